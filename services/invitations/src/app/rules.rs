//! The permission that each method needs in its organization or class. Redeem and preview need none: the invitation is
//! the right.

use homeroom_api::membership::v1::Permission;
use homeroom_kit::auth::Scope;

/// The permission that one method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The method's name in the contract.
    pub method: &'static str,
    /// The permission that the caller's role must give.
    pub permission: Permission,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $method:literal: $permission:ident;)+) => {
        $(
            #[doc = concat!("What `", $method, "` asks for.")]
            $(#[$doc])*
            pub const $name: Rule = Rule {
                method: $method,
                permission: Permission::$permission,
            };
        )+

        /// Every rule, one for each method.
        pub const ALL: &[Rule] = &[$($name),+];
    };
}

rules! {
    ///
    /// Only administrators handle the organization's own token, reading included (A2).
    GET_INVITE_TOKEN = "GetInviteToken": ReadInvitations;
    UPDATE_INVITE_TOKEN = "UpdateInviteToken": ManageInvitations;
    RESET_INVITE_TOKEN = "ResetInviteToken": ManageInvitations;
    CREATE_TOKEN = "CreateToken": ManageInvitations;
    BATCH_CREATE_TOKENS = "BatchCreateTokens": ManageInvitations;
    GET_TOKEN = "GetToken": ReadInvitations;
    LIST_TOKENS = "ListTokens": ReadInvitations;
    UPDATE_TOKEN = "UpdateToken": ManageInvitations;
    REVOKE_TOKEN = "RevokeToken": ManageInvitations;
    REVEAL_TOKEN = "RevealToken": ReadInvitations;
    CREATE_ENROLLMENT_CODE = "CreateEnrollmentCode": ManageInvitations;
    GET_ENROLLMENT_CODE = "GetEnrollmentCode": ReadInvitations;
    LIST_ENROLLMENT_CODES = "ListEnrollmentCodes": ReadInvitations;
    UPDATE_ENROLLMENT_CODE = "UpdateEnrollmentCode": ManageInvitations;
    DELETE_ENROLLMENT_CODE = "DeleteEnrollmentCode": ManageInvitations;
    GET_CLASS_CODE = "GetClassCode": ReadInvitations;
    UPDATE_CLASS_CODE = "UpdateClassCode": ManageInvitations;
    LOCK_CLASS_CODE = "LockClassCode": ManageInvitations;
    UNLOCK_CLASS_CODE = "UnlockClassCode": ManageInvitations;
    RESET_CLASS_CODE = "ResetClassCode": ManageInvitations;
    GET_JOIN_URL = "GetJoinUrl": ReadInvitations;
    UPDATE_JOIN_URL = "UpdateJoinUrl": ManageInvitations;
    GET_REDEMPTION = "GetRedemption": ReadInvitations;
    LIST_REDEMPTIONS = "ListRedemptions": ReadInvitations;
    ///
    /// Administrators, who may read the invitations of the organization itself.
    LIST_REFUSED_ATTEMPTS = "ListRefusedAttempts": ReadInvitations;
    ///
    /// The owner of a class, and administrators (R12).
    LIST_AUDIT_ENTRIES = "ListAuditEntries": ManageInvitations;
    // Services read every feed by the kit's `FEED_SCOPES`, without a role.
    LIST_EVENTS = "ListEvents": ReadInvitations;
    WATCH_EVENTS = "WatchEvents": ReadInvitations;
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
            assert_ne!(rule.permission, Permission::Unspecified, "{}", rule.method);
        }
    }
}
