//! The callers that may call each RPC of `homeroom.membership.v1`, written independently of the
//! service's own table: one row for each RPC and each kind of place that it concerns.

use super::row::{
    ADMIT, About,
    Bound::{Answers, Refuses, RefusesAny},
    Concerned::{Asker, Student},
    EVERYWHERE,
    Least::{Admin, CoTeacher, Member, Owner, Teacher},
    Opens, PLATFORM, Row, UNDER_CLASS, UNDER_ORGANIZATION, anyone, class, organization, scoped,
};

const NAME_OF_CLASS: &str = r#"{"name":"$class"}"#;
const CLASS_AT_STALE_ETAG: &str = r#"{"name":"$class","etag":"stale"}"#;
const REQUEST: &str = r#"{"name":"$request"}"#;
const ORGANIZATION_REQUEST: &str = r#"{"name":"$organization_request"}"#;

/// `homeroom.membership.v1`.
pub(crate) const MEMBERSHIP: &[Row] = &[
    scoped("OrganizationService.CreateOrganization", About::Nothing, &[PLATFORM],
        r#"{"organization_id":"$organization_id","organization":{"display_name":"Another"}}"#).bound(Refuses),
    organization("OrganizationService.GetOrganization", Member, r#"{"name":"$organization"}"#).or_scopes(&[PLATFORM]),
    anyone("OrganizationService.ListOrganizations", "{}").or_scopes(&[PLATFORM]).showing("$organization", About::Organization, Member),
    organization("OrganizationService.UpdateOrganization", Admin,
        r#"{"organization":{"name":"$organization","display_name":"New","etag":"stale"}}"#),
    Row::new("OrganizationService.UpdateOrganization", About::Organization, Opens::License,
        r#"{"organization":{"name":"$organization","seat_limit":7,"etag":"stale"},"update_mask":"seatLimit"}"#)
        .or_scopes(&[PLATFORM]),
    organization("OrganizationService.DeleteOrganization", Admin, r#"{"name":"$organization","etag":"stale"}"#).or_scopes(&[PLATFORM]),
    organization("OrganizationService.GetSeatUsage", Admin, r#"{"name":"$organization/seatUsage"}"#).or_scopes(&[PLATFORM, ADMIT]),
    organization("ClassService.CreateClass", Teacher,
        r#"{"parent":"$organization","class_id":"$class_id","class":{"display_name":"Another"}}"#),
    class("ClassService.GetClass", Member, NAME_OF_CLASS),
    organization("ClassService.ListClasses", Member, UNDER_ORGANIZATION).showing("$class", About::Class, Member),
    class("ClassService.UpdateClass", Owner, r#"{"class":{"name":"$class","display_name":"New","etag":"stale"}}"#),
    class("ClassService.ArchiveClass", Owner, CLASS_AT_STALE_ETAG),
    class("ClassService.UnarchiveClass", Owner, CLASS_AT_STALE_ETAG),
    class("ClassService.DeleteClass", Owner, CLASS_AT_STALE_ETAG),
    class("ClassService.TransferClassOwnership", Owner, r#"{"name":"$class","owner":"$owner","etag":"stale"}"#),
    organization("MemberService.AddOrganizationMember", Admin,
        r#"{"parent":"$organization","member":{"user":"$student","role":"STUDENT"}}"#).or_scopes(&[PLATFORM]),
    organization("MemberService.GetOrganizationMember", Teacher, r#"{"name":"$organization/members/$student"}"#).or(Student),
    organization("MemberService.ListOrganizationMembers", Admin, UNDER_ORGANIZATION),
    organization("MemberService.UpdateOrganizationMember", Admin,
        r#"{"member":{"name":"$organization/members/$student","display_name":"New","etag":"stale"}}"#),
    organization("MemberService.RemoveOrganizationMember", Admin,
        r#"{"name":"$organization/members/$student","etag":"stale"}"#).or(Student),
    class("MemberService.AddClassMember", Owner, r#"{"parent":"$class","member":{"user":"$student","role":"STUDENT"}}"#),
    class("MemberService.GetClassMember", CoTeacher, r#"{"name":"$class/members/$student"}"#).or(Student),
    class("MemberService.ListClassMembers", CoTeacher, UNDER_CLASS),
    class("MemberService.UpdateClassMember", Owner,
        r#"{"member":{"name":"$class/members/$student","role":"CO_TEACHER","etag":"stale"}}"#),
    class("MemberService.RemoveClassMember", Owner, r#"{"name":"$class/members/$student","etag":"stale"}"#).or(Student),
    organization("RosterService.PlanImport", Admin, r#"{"parent":"$organization","rows":[{"class":"$class","user":"$student"}]}"#)
        .or_scopes(&[PLATFORM]),
    organization("RosterService.CommitImport", Admin,
        r#"{"parent":"$organization","rows":[{"class":"$class","user":"$student"}],"revision":"stale"}"#).or_scopes(&[PLATFORM]),
    class("MemberService.BatchRemoveMembers", Owner,
        r#"{"parent":"$class","invitation":"$class/classCode","validate_only":true}"#),
    organization("MemberService.BatchRemoveMembers", Admin,
        r#"{"parent":"$organization","invitation":"$organization/inviteToken","validate_only":true}"#),
    anyone("MemberService.ListMemberships", r#"{"parent":"users/me"}"#),
    Row::new("MemberService.ListMemberships", About::Nothing, Opens::Nothing, r#"{"parent":"users/somebody-else"}"#),
    // The join request has been denied, and a person who may decide it is told so.
    class("JoinRequestService.GetJoinRequest", CoTeacher, REQUEST).or(Asker),
    // A person who may not decide sees only their own requests.
    Row::new("JoinRequestService.ListJoinRequests", About::Class, Opens::Sight, UNDER_CLASS).or(Asker)
        .showing("$request", About::Class, CoTeacher),
    Row::new("JoinRequestService.ListJoinRequests", About::Organization, Opens::Sight, UNDER_ORGANIZATION)
        .showing("$organization_request", About::Organization, Admin),
    class("JoinRequestService.ApproveJoinRequest", CoTeacher, REQUEST).known_to(Asker),
    class("JoinRequestService.DenyJoinRequest", CoTeacher, REQUEST).known_to(Asker),
    class("JoinRequestService.BatchDecideJoinRequests", CoTeacher,
        r#"{"parent":"$class","requests":[{"name":"$request","action":"DENY"}]}"#),
    organization("JoinRequestService.BatchDecideJoinRequests", Admin,
        r#"{"parent":"$organization","requests":[{"name":"$organization_request","action":"DENY"}]}"#),
    organization("JoinRequestService.GetJoinRequest", Admin, ORGANIZATION_REQUEST),
    organization("JoinRequestService.ApproveJoinRequest", Admin, ORGANIZATION_REQUEST),
    organization("JoinRequestService.DenyJoinRequest", Admin, ORGANIZATION_REQUEST),
    Row::new("JoinRequestService.WithdrawJoinRequest", About::Class, Opens::Person, REQUEST).or(Asker),
    scoped("AdmissionService.Admit", About::Class, &[ADMIT], r#"{"redemption":"$redemption","invitation":"$token","epoch":1,"parent":"$class","user":{"user":"$student"},"route":"ADMIT_AT_ONCE","method":"CLASS_TOKEN","invitation_issue_time":"2026-09-01T08:00:00Z","validate_only":true}"#),
    scoped("AdmissionService.BatchAdmit", About::Class, &[ADMIT], r#"{"requests":[{"redemption":"$redemption","invitation":"$token","epoch":1,"parent":"$class","user":{"user":"$student"},"route":"ADMIT_AT_ONCE","method":"CLASS_TOKEN","invitation_issue_time":"2026-09-01T08:00:00Z","validate_only":true}]}"#),
    scoped("AdmissionService.GetAdmission", About::Organization, &[ADMIT], r#"{"name":"$redemption"}"#),
    scoped("AdmissionService.RaiseFence", About::Class, &[ADMIT], r#"{"invitation":"$token","epoch":0}"#),
    // A place outside the token's limits counts as one that the user does not see.
    scoped("AdmissionService.CheckAccess", About::Class, &[ADMIT], r#"{"user":"$student","name":"$class","permission":"VIEW"}"#).bound(Answers),
    scoped("UserService.EraseUser", About::Nothing, &[ADMIT], r#"{"name":"users/nobody-known","pseudonym":"erased-01900000-0000-7000-8000-00000000000a","validate_only":true}"#).bound(RefusesAny),
    scoped("UserService.MoveUser", About::Nothing, &[ADMIT], r#"{"name":"users/nobody-known","target":"users/nobody-else","move_id":"moved-01900000-0000-7000-8000-00000000000a"}"#).bound(RefusesAny),
    scoped("UserService.ListUserRecords", About::Nothing, &[ADMIT], r#"{"parent":"users/nobody-known"}"#).bound(RefusesAny),
    class("EventService.ListEvents", CoTeacher, UNDER_CLASS).or_scopes(&[ADMIT, PLATFORM]),
    organization("EventService.ListEvents", Admin, UNDER_ORGANIZATION).or_scopes(&[ADMIT, PLATFORM]),
    scoped("EventService.ListEvents", About::Nothing, &[ADMIT, PLATFORM], EVERYWHERE).bound(RefusesAny),
    class("EventService.WatchEvents", CoTeacher, UNDER_CLASS).or_scopes(&[ADMIT, PLATFORM]),
    organization("EventService.WatchEvents", Admin, UNDER_ORGANIZATION).or_scopes(&[ADMIT, PLATFORM]),
    scoped("EventService.WatchEvents", About::Nothing, &[ADMIT, PLATFORM], EVERYWHERE).bound(RefusesAny),
];
