//! The callers that may call each RPC of `homeroom.invitations.v1`, written independently of the
//! service's own table: one row for each RPC and each kind of place that it concerns.

use super::row::{
    ACT_AS, ADMIT, About,
    Bound::RefusesAny,
    Concerned::Student,
    EVERYWHERE,
    Least::{Admin, CoTeacher, Owner},
    PLATFORM, Row, UNDER_CLASS, UNDER_ORGANIZATION, anyone, class, organization, scoped,
};

const TOKEN: &str = r#"{"name":"$token"}"#;
const CODE_OF_CLASS: &str = r#"{"name":"$code"}"#;
const CODE_OF_ORGANIZATION: &str = r#"{"name":"$organization_code"}"#;
const CLASS_CODE_AT_STALE_ETAG: &str = r#"{"name":"$class/classCode","etag":"stale"}"#;

/// `homeroom.invitations.v1`.
#[rustfmt::skip]
pub(crate) const INVITATIONS: &[Row] = &[
    organization("TokenService.GetInviteToken", Admin, r#"{"name":"$organization/inviteToken"}"#),
    organization("TokenService.UpdateInviteToken", Admin, r#"{"invite_token":{"name":"$organization/inviteToken","expire_time":"2030-01-01T00:00:00Z","etag":"stale"}}"#),
    organization("TokenService.ResetInviteToken", Admin, r#"{"name":"$organization/inviteToken","etag":"stale"}"#),
    class("TokenService.CreateToken", Owner, r#"{"parent":"$class","token":{}}"#),
    class("TokenService.BatchCreateTokens", Owner, r#"{"parent":"$class","requests":[{"token":{}}]}"#),
    class("TokenService.GetToken", CoTeacher, TOKEN),
    class("TokenService.ListTokens", CoTeacher, UNDER_CLASS),
    class("TokenService.UpdateToken", Owner, r#"{"token":{"name":"$token","display_name":"New","etag":"stale"}}"#),
    class("TokenService.RevokeToken", Owner, r#"{"name":"$token","etag":"stale"}"#),
    class("TokenService.RevealToken", CoTeacher, TOKEN),
    class("EnrollmentCodeService.CreateEnrollmentCode", Owner, r#"{"parent":"$class","enrollment_code":{"code":"$typed"},"acknowledge_weak":true}"#),
    organization("EnrollmentCodeService.CreateEnrollmentCode", Admin, r#"{"parent":"$organization","enrollment_code":{"code":"$typed"},"acknowledge_weak":true}"#),
    class("EnrollmentCodeService.GetEnrollmentCode", CoTeacher, CODE_OF_CLASS),
    organization("EnrollmentCodeService.GetEnrollmentCode", Admin, CODE_OF_ORGANIZATION),
    class("EnrollmentCodeService.ListEnrollmentCodes", CoTeacher, UNDER_CLASS),
    organization("EnrollmentCodeService.ListEnrollmentCodes", Admin, UNDER_ORGANIZATION),
    class("EnrollmentCodeService.UpdateEnrollmentCode", Owner, r#"{"enrollment_code":{"name":"$code","display_name":"New","etag":"stale"}}"#),
    organization("EnrollmentCodeService.UpdateEnrollmentCode", Admin, r#"{"enrollment_code":{"name":"$organization_code","display_name":"New","etag":"stale"}}"#),
    class("EnrollmentCodeService.DeleteEnrollmentCode", Owner, r#"{"name":"$code","etag":"stale"}"#),
    organization("EnrollmentCodeService.DeleteEnrollmentCode", Admin, r#"{"name":"$organization_code","etag":"stale"}"#),
    class("ClassCodeService.GetClassCode", CoTeacher, r#"{"name":"$class/classCode"}"#),
    class("ClassCodeService.UpdateClassCode", Owner, r#"{"class_code":{"name":"$class/classCode","lock_period":"7200s","etag":"stale"}}"#),
    class("ClassCodeService.LockClassCode", Owner, CLASS_CODE_AT_STALE_ETAG),
    class("ClassCodeService.UnlockClassCode", Owner, CLASS_CODE_AT_STALE_ETAG),
    class("ClassCodeService.ResetClassCode", Owner, CLASS_CODE_AT_STALE_ETAG),
    class("JoinUrlService.GetJoinUrl", CoTeacher, r#"{"name":"$class/joinUrl"}"#),
    class("JoinUrlService.UpdateJoinUrl", Owner, r#"{"join_url":{"name":"$class/joinUrl","enabled":true,"etag":"stale"}}"#),
    anyone("RedemptionService.PreviewRedemption", r#"{"credential":"HAMILTON-NOTHING"}"#),
    scoped("RedemptionService.PreviewRedemption", About::Nothing, &[ACT_AS], r#"{"credential":"HAMILTON-NOTHING","user":{"user":"somebody-else"}}"#),
    anyone("RedemptionService.Redeem", r#"{"credential":"HAMILTON-NOTHING"}"#),
    scoped("RedemptionService.Redeem", About::Nothing, &[ACT_AS], r#"{"credential":"HAMILTON-NOTHING","user":{"user":"somebody-else"}}"#),
    scoped("RedemptionService.BatchRedeem", About::Nothing, &[ACT_AS], r#"{"requests":[{"credential":"HAMILTON-NOTHING","user":{"user":"somebody-else"}}]}"#),
    class("RedemptionService.GetRedemption", CoTeacher, r#"{"name":"$redemption"}"#).or(Student).hiding(),
    class("RedemptionService.ListRedemptions", CoTeacher, UNDER_CLASS),
    organization("RedemptionService.ListRedemptions", Admin, UNDER_ORGANIZATION),
    organization("RedemptionService.ListRefusedAttempts", Admin, UNDER_ORGANIZATION),
    scoped("RedemptionService.ListRefusedAttempts", About::Nothing, &[PLATFORM], EVERYWHERE).bound(RefusesAny),
    class("AuditService.ListAuditEntries", Owner, UNDER_CLASS),
    organization("AuditService.ListAuditEntries", Admin, UNDER_ORGANIZATION),
    scoped("AuditService.ListAuditEntries", About::Nothing, &[PLATFORM], EVERYWHERE).bound(RefusesAny),
    scoped("UserService.EraseUser", About::Nothing, &[PLATFORM], r#"{"name":"users/nobody-in-particular"}"#).bound(RefusesAny),
    scoped("UserService.MoveUser", About::Nothing, &[PLATFORM], r#"{"name":"users/nobody-at-all","target":"users/nobody-else"}"#).bound(RefusesAny),
    scoped("UserService.ListUserRecords", About::Nothing, &[PLATFORM], r#"{"parent":"users/nobody-in-particular"}"#).bound(RefusesAny),
    scoped("UserService.ClearFailedAttempts", About::Nothing, &[PLATFORM], r#"{"name":"users/nobody-in-particular"}"#).bound(RefusesAny),
    class("EventService.ListEvents", CoTeacher, UNDER_CLASS).or_scopes(&[ADMIT, PLATFORM]),
    organization("EventService.ListEvents", Admin, UNDER_ORGANIZATION).or_scopes(&[ADMIT, PLATFORM]),
    scoped("EventService.ListEvents", About::Nothing, &[ADMIT, PLATFORM], EVERYWHERE).bound(RefusesAny),
    class("EventService.WatchEvents", CoTeacher, UNDER_CLASS).or_scopes(&[ADMIT, PLATFORM]),
    organization("EventService.WatchEvents", Admin, UNDER_ORGANIZATION).or_scopes(&[ADMIT, PLATFORM]),
    scoped("EventService.WatchEvents", About::Nothing, &[ADMIT, PLATFORM], EVERYWHERE).bound(RefusesAny),
];
