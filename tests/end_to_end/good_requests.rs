//! One valid request for each RPC of the contract, for tables that change one field.

use homeroom_tests::Claims;
use serde_json::{Value, json};

/// A valid request for an RPC; the table then spoils one field at a time.
pub(crate) struct GoodRequest {
    pub(crate) method: &'static str,
    pub(crate) caller: Claims<'static>,
    pub(crate) body: Value,
}

const ADMIN: Claims<'static> = Claims::of("admin");
const PLATFORM: Claims<'static> = Claims {
    scopes: &["homeroom.platform"],
    ..Claims::of("platform")
};
const SERVICE: Claims<'static> = Claims {
    scopes: &["homeroom.admit"],
    ..Claims::of("invitations")
};
const STUDENT: Claims<'static> = Claims::of("student-1");
const LMS: Claims<'static> = Claims {
    scopes: &["homeroom.act_as", "homeroom.vouch", "homeroom.forward_ip"],
    ..Claims::of("lms")
};

const SOME_ID: &str = "01900000-0000-7000-8000-00000000000a";

/// The school's existing resources; `admin` may do anything with them.
pub(crate) struct Existing {
    pub(crate) token: String,
    pub(crate) enrollment_code: String,
    pub(crate) join_request: String,
}

/// Returns a valid request for each RPC of the contract.
pub(crate) fn good_requests(existing: &Existing) -> Vec<GoodRequest> {
    let organization = "organizations/hamilton";
    let class = "organizations/hamilton/classes/biology";
    let redemption = format!("{organization}/redemptions/{SOME_ID}");
    let member = |user: &str| json!({"user": user, "role": "STUDENT"});
    let named = |name: &str| json!({ "name": name });
    let parent = |parent: &str| json!({ "parent": parent });
    let admit = json!({"redemption": redemption, "invitation": existing.token, "epoch": 1, "parent": class, "user": {"user": "student-9"}, "route": "ADMIT_AT_ONCE", "method": "CLASS_TOKEN", "invitation_issue_time": "2026-09-01T08:00:00Z"});
    #[rustfmt::skip]
    let rows = [
        ("membership", "OrganizationService.CreateOrganization", PLATFORM, json!({"organization_id": "another", "organization": {"display_name": "Another"}})),
        ("membership", "OrganizationService.GetOrganization", ADMIN, named(organization)),
        ("membership", "OrganizationService.ListOrganizations", ADMIN, json!({})),
        ("membership", "OrganizationService.UpdateOrganization", ADMIN, json!({"organization": {"name": organization, "display_name": "New"}})),
        ("membership", "OrganizationService.DeleteOrganization", ADMIN, named(organization)),
        ("membership", "OrganizationService.GetSeatUsage", ADMIN, named("organizations/hamilton/seatUsage")),
        ("membership", "ClassService.CreateClass", ADMIN, json!({"parent": organization, "class_id": "physics", "class": {"display_name": "Physics"}})),
        ("membership", "ClassService.GetClass", ADMIN, named(class)),
        ("membership", "ClassService.ListClasses", ADMIN, parent(organization)),
        ("membership", "ClassService.UpdateClass", ADMIN, json!({"class": {"name": class, "display_name": "New"}})),
        ("membership", "ClassService.ArchiveClass", ADMIN, named(class)),
        ("membership", "ClassService.UnarchiveClass", ADMIN, named(class)),
        ("membership", "ClassService.DeleteClass", ADMIN, named(class)),
        ("membership", "ClassService.TransferClassOwnership", ADMIN, json!({"name": class, "owner": "admin"})),
        ("membership", "MemberService.AddOrganizationMember", ADMIN, json!({"parent": organization, "member": member("student-9")})),
        ("membership", "MemberService.GetOrganizationMember", ADMIN, named("organizations/hamilton/members/student-0")),
        ("membership", "MemberService.ListOrganizationMembers", ADMIN, parent(organization)),
        ("membership", "MemberService.UpdateOrganizationMember", ADMIN, json!({"member": {"name": "organizations/hamilton/members/student-0", "display_name": "New"}})),
        ("membership", "MemberService.RemoveOrganizationMember", ADMIN, named("organizations/hamilton/members/student-0")),
        ("membership", "MemberService.AddClassMember", ADMIN, json!({"parent": class, "member": member("student-9")})),
        ("membership", "MemberService.GetClassMember", ADMIN, named("organizations/hamilton/classes/biology/members/student-0")),
        ("membership", "MemberService.ListClassMembers", ADMIN, parent(class)),
        ("membership", "MemberService.UpdateClassMember", ADMIN, json!({"member": {"name": "organizations/hamilton/classes/biology/members/student-0", "role": "CO_TEACHER"}})),
        ("membership", "MemberService.RemoveClassMember", ADMIN, named("organizations/hamilton/classes/biology/members/student-0")),
        ("membership", "MemberService.ListMemberships", ADMIN, parent("users/admin")),
        ("membership", "JoinRequestService.GetJoinRequest", ADMIN, named(&existing.join_request)),
        ("membership", "JoinRequestService.ListJoinRequests", ADMIN, parent(class)),
        ("membership", "JoinRequestService.ApproveJoinRequest", ADMIN, named(&existing.join_request)),
        ("membership", "JoinRequestService.DenyJoinRequest", ADMIN, named(&existing.join_request)),
        ("membership", "JoinRequestService.BatchDecideJoinRequests", ADMIN, json!({"parent": class, "decisions": [{"name": existing.join_request, "action": "DENY"}]})),
        ("membership", "JoinRequestService.WithdrawJoinRequest", STUDENT, named(&existing.join_request)),
        ("membership", "AdmissionService.Admit", SERVICE, admit.clone()),
        ("membership", "AdmissionService.BatchAdmit", SERVICE, json!({"requests": [admit]})),
        ("membership", "AdmissionService.GetAdmission", SERVICE, named(&redemption)),
        ("membership", "AdmissionService.RaiseFence", SERVICE, json!({"invitation": existing.token, "epoch": 1})),
        ("membership", "AdmissionService.CheckAccess", SERVICE, json!({"user": "admin", "name": class, "permission": "VIEW"})),
        ("membership", "UserService.EraseUser", SERVICE, json!({"name": "users/nobody-in-particular", "pseudonym": format!("erased-{SOME_ID}")})),
        ("membership", "EventService.ListEvents", ADMIN, parent(class)),
        ("membership", "EventService.WatchEvents", ADMIN, parent(class)),
        ("invitations", "TokenService.GetInviteToken", ADMIN, named("organizations/hamilton/inviteToken")),
        ("invitations", "TokenService.UpdateInviteToken", ADMIN, json!({"invite_token": {"name": "organizations/hamilton/inviteToken", "expire_time": "2030-01-01T00:00:00Z"}})),
        ("invitations", "TokenService.ResetInviteToken", ADMIN, named("organizations/hamilton/inviteToken")),
        ("invitations", "TokenService.CreateToken", ADMIN, json!({"parent": class, "token": {}})),
        ("invitations", "TokenService.BatchCreateTokens", ADMIN, json!({"parent": class, "tokens": [{}]})),
        ("invitations", "TokenService.GetToken", ADMIN, named(&existing.token)),
        ("invitations", "TokenService.ListTokens", ADMIN, parent(class)),
        ("invitations", "TokenService.UpdateToken", ADMIN, json!({"token": {"name": existing.token, "display_name": "New"}})),
        ("invitations", "TokenService.RevokeToken", ADMIN, named(&existing.token)),
        ("invitations", "TokenService.RevealToken", ADMIN, named(&existing.token)),
        ("invitations", "EnrollmentCodeService.CreateEnrollmentCode", ADMIN, json!({"parent": class, "enrollment_code": {"code": "PHYSICS 7"}, "acknowledge_weak": true})),
        ("invitations", "EnrollmentCodeService.GetEnrollmentCode", ADMIN, named(&existing.enrollment_code)),
        ("invitations", "EnrollmentCodeService.ListEnrollmentCodes", ADMIN, parent(class)),
        ("invitations", "EnrollmentCodeService.UpdateEnrollmentCode", ADMIN, json!({"enrollment_code": {"name": existing.enrollment_code, "display_name": "New"}})),
        ("invitations", "EnrollmentCodeService.DeleteEnrollmentCode", ADMIN, named(&existing.enrollment_code)),
        ("invitations", "ClassCodeService.GetClassCode", ADMIN, named("organizations/hamilton/classes/biology/classCode")),
        ("invitations", "ClassCodeService.UpdateClassCode", ADMIN, json!({"class_code": {"name": "organizations/hamilton/classes/biology/classCode", "lock_period": "7200s"}})),
        ("invitations", "ClassCodeService.LockClassCode", ADMIN, named("organizations/hamilton/classes/biology/classCode")),
        ("invitations", "ClassCodeService.UnlockClassCode", ADMIN, named("organizations/hamilton/classes/biology/classCode")),
        ("invitations", "ClassCodeService.ResetClassCode", ADMIN, named("organizations/hamilton/classes/biology/classCode")),
        ("invitations", "JoinUrlService.GetJoinUrl", ADMIN, named("organizations/hamilton/classes/biology/joinUrl")),
        ("invitations", "JoinUrlService.UpdateJoinUrl", ADMIN, json!({"join_url": {"name": "organizations/hamilton/classes/biology/joinUrl", "enabled": true}})),
        ("invitations", "RedemptionService.PreviewRedemption", LMS, json!({"credential": "HAMILTON-NOTHING", "user": {"user": "student-9"}})),
        ("invitations", "RedemptionService.Redeem", LMS, json!({"credential": "HAMILTON-NOTHING", "user": {"user": "student-9"}})),
        ("invitations", "RedemptionService.BatchRedeem", LMS, json!({"requests": [{"credential": "HAMILTON-NOTHING", "user": {"user": "student-9"}}]})),
        ("invitations", "RedemptionService.GetRedemption", ADMIN, named(&redemption)),
        ("invitations", "RedemptionService.ListRedemptions", ADMIN, parent(class)),
        ("invitations", "RedemptionService.ListRefusedAttempts", ADMIN, parent(organization)),
        ("invitations", "AuditService.ListAuditEntries", ADMIN, parent(class)),
        ("invitations", "UserService.EraseUser", PLATFORM, named("users/nobody-in-particular")),
        ("invitations", "UserService.ClearFailedAttempts", PLATFORM, named("users/nobody-in-particular")),
        ("invitations", "EventService.ListEvents", ADMIN, parent(class)),
        ("invitations", "EventService.WatchEvents", ADMIN, parent(class)),
    ];
    rows.into_iter()
        .map(|(service, method, caller, body)| GoodRequest {
            method: Box::leak(format!("homeroom.{service}.v1.{method}").into_boxed_str()),
            caller,
            body,
        })
        .collect()
}
