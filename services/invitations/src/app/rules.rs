//! The permission that each method needs in its organization or class. Redeem and preview need none: the invitation is
//! the right.

use homeroom_api::{membership::v1::Permission, names::InvitationKind};
use homeroom_kit::auth::Scope;

/// The rule for one method.
pub type Rule = homeroom_kit::rpc::Rule<Permission>;

homeroom_kit::rules! {
    Permission:
    ///
    /// Only administrators handle the organization's own token, reading included (A2).
    GET_INVITE_TOKEN = "TokenService/GetInviteToken": ReadInvitations;
    UPDATE_INVITE_TOKEN = "TokenService/UpdateInviteToken": ManageInvitations;
    RESET_INVITE_TOKEN = "TokenService/ResetInviteToken": ManageInvitations;
    CREATE_TOKEN = "TokenService/CreateToken": ManageInvitations;
    BATCH_CREATE_TOKENS = "TokenService/BatchCreateTokens": ManageInvitations;
    GET_TOKEN = "TokenService/GetToken": ReadInvitations;
    LIST_TOKENS = "TokenService/ListTokens": ReadInvitations;
    UPDATE_TOKEN = "TokenService/UpdateToken": ManageInvitations;
    REVOKE_TOKEN = "TokenService/RevokeToken": ManageInvitations;
    REVEAL_TOKEN = "TokenService/RevealToken": ReadInvitations;
    CREATE_ENROLLMENT_CODE = "EnrollmentCodeService/CreateEnrollmentCode": ManageInvitations;
    GET_ENROLLMENT_CODE = "EnrollmentCodeService/GetEnrollmentCode": ReadInvitations;
    LIST_ENROLLMENT_CODES = "EnrollmentCodeService/ListEnrollmentCodes": ReadInvitations;
    UPDATE_ENROLLMENT_CODE = "EnrollmentCodeService/UpdateEnrollmentCode": ManageInvitations;
    DELETE_ENROLLMENT_CODE = "EnrollmentCodeService/DeleteEnrollmentCode": ManageInvitations;
    GET_CLASS_CODE = "ClassCodeService/GetClassCode": ReadInvitations;
    UPDATE_CLASS_CODE = "ClassCodeService/UpdateClassCode": ManageInvitations;
    LOCK_CLASS_CODE = "ClassCodeService/LockClassCode": ManageInvitations;
    UNLOCK_CLASS_CODE = "ClassCodeService/UnlockClassCode": ManageInvitations;
    RESET_CLASS_CODE = "ClassCodeService/ResetClassCode": ManageInvitations;
    GET_JOIN_URL = "JoinUrlService/GetJoinUrl": ReadInvitations;
    UPDATE_JOIN_URL = "JoinUrlService/UpdateJoinUrl": ManageInvitations;
    GET_REDEMPTION = "RedemptionService/GetRedemption": ReadInvitations;
    LIST_REDEMPTIONS = "RedemptionService/ListRedemptions": ReadInvitations;
    ///
    /// Administrators, who may read the invitations of the organization itself.
    LIST_REFUSED_ATTEMPTS = "RedemptionService/ListRefusedAttempts": ReadInvitations;
    ///
    /// The owner of a class, and administrators (R12).
    LIST_AUDIT_ENTRIES = "AuditService/ListAuditEntries": ManageInvitations;
    LIST_EVENTS = "EventService/ListEvents": ReadInvitations [Admit, Platform];
    WATCH_EVENTS = "EventService/WatchEvents": ReadInvitations [Admit, Platform];
}

/// Returns the rule of the method that reads an invitation of a kind.
#[must_use]
pub const fn get(kind: InvitationKind) -> Rule {
    match kind {
        InvitationKind::OrganizationToken => GET_INVITE_TOKEN,
        InvitationKind::ClassCode => GET_CLASS_CODE,
        InvitationKind::JoinUrl => GET_JOIN_URL,
        InvitationKind::ClassToken => GET_TOKEN,
        InvitationKind::EnrollmentCode => GET_ENROLLMENT_CODE,
    }
}

/// The scope that the methods of `UserService` need: a person belongs to no single organization, and no role suffices.
pub const USER_SCOPE: Scope = Scope::Platform;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_it_asks_for_something() {
        let methods: HashSet<&str> = ALL.iter().map(|rule| rule.method).collect();
        assert_eq!(methods.len(), ALL.len());
        for rule in ALL {
            assert_ne!(rule.permission, None, "{}", rule.method);
        }
    }
}
