//! The one table of who may call each method.
//!
//! A call is allowed by any of the scopes, by a role that has the permission, or, if `own` is set, to the person
//! concerned. Handlers authorize by these rules, and a test checks that every method is listed here.

use homeroom_api::ids::UserId;
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    events::FEED_SCOPES,
};

use crate::domain::access::{Permission, Standing};

/// The rule for one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `Service/Method` in the package `homeroom.membership.v1`.
    pub method: &'static str,
    /// The permission that a role needs.
    pub permission: Option<Permission>,
    /// The scopes of which any one allows the call without a role.
    pub scopes: &'static [Scope],
    /// True if the person concerned may call it without further permission.
    pub own: bool,
}

const fn by_role(method: &'static str, permission: Permission) -> Rule {
    Rule {
        method,
        permission: Some(permission),
        scopes: &[],
        own: false,
    }
}

const fn by_scope(method: &'static str, scopes: &'static [Scope]) -> Rule {
    Rule {
        method,
        permission: None,
        scopes,
        own: false,
    }
}

impl Rule {
    const fn or_scopes(self, scopes: &'static [Scope]) -> Self {
        Self { scopes, ..self }
    }

    const fn or_own(self) -> Self {
        Self { own: true, ..self }
    }

    /// Returns true if the caller's token has one of the scopes.
    #[must_use]
    pub fn is_met_by_scope(&self, caller: &Caller) -> bool {
        self.scopes.iter().any(|scope| caller.has(*scope))
    }

    /// Returns true if the acting user's role in the place has the permission.
    #[must_use]
    pub fn is_met_by_role(&self, standing: &Standing) -> bool {
        self.permission
            .is_some_and(|permission| standing.permits(permission))
    }

    /// Returns true if the rule allows the call to the person concerned, and `person` is the acting user.
    #[must_use]
    pub fn is_met_by_person(&self, caller: &Caller, person: &UserId) -> bool {
        self.own && *person == caller.user
    }

    /// Returns `SCOPE_MISSING` unless the caller's token has one of the scopes.
    pub fn require_scope(&self, caller: &Caller) -> Result<()> {
        caller.require_any(self.scopes)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $rule:expr;)+) => {
        $($(#[$doc])* pub const $name: Rule = $rule;)+

        /// All rules, one for each method.
        pub const ALL: &[Rule] = &[$($name),+];
    };
}

use Permission as P;

rules! {
    /// The platform.
    CREATE_ORGANIZATION = by_scope("OrganizationService/CreateOrganization", &[Scope::Platform]);
    /// Its members, and the platform.
    GET_ORGANIZATION = by_role("OrganizationService/GetOrganization", P::ViewOrganization)
        .or_scopes(&[Scope::Platform]);
    /// Anyone for their own organizations; the platform for all.
    LIST_ORGANIZATIONS = Rule { method: "OrganizationService/ListOrganizations", permission: None, scopes: &[Scope::Platform], own: true };
    /// Administrators; changing the seat limit also needs the platform's scope (`UPDATE_SEAT_LIMIT_SCOPE`).
    UPDATE_ORGANIZATION = by_role("OrganizationService/UpdateOrganization", P::ManageOrganization);
    /// Administrators, and the platform.
    DELETE_ORGANIZATION = by_role("OrganizationService/DeleteOrganization", P::ManageOrganization)
        .or_scopes(&[Scope::Platform]);
    /// Administrators, the platform, and the invitations service.
    GET_SEAT_USAGE = by_role("OrganizationService/GetSeatUsage", P::ManageOrganization)
        .or_scopes(&[Scope::Platform, Scope::Admit]);

    /// Teachers, who then own the class, and administrators.
    CREATE_CLASS = by_role("ClassService/CreateClass", P::CreateClass);
    /// Its members, and administrators.
    GET_CLASS = by_role("ClassService/GetClass", P::ViewClass);
    /// The organization's members for their own classes; administrators for all.
    LIST_CLASSES = by_role("ClassService/ListClasses", P::ViewOrganization);
    /// Its owner, and administrators.
    UPDATE_CLASS = by_role("ClassService/UpdateClass", P::ManageClass);
    /// Its owner, and administrators.
    ARCHIVE_CLASS = by_role("ClassService/ArchiveClass", P::ManageClass);
    /// Its owner, and administrators.
    UNARCHIVE_CLASS = by_role("ClassService/UnarchiveClass", P::ManageClass);
    /// Its owner, and administrators.
    DELETE_CLASS = by_role("ClassService/DeleteClass", P::ManageClass);
    /// Its owner, and administrators.
    TRANSFER_CLASS_OWNERSHIP = by_role("ClassService/TransferClassOwnership", P::ManageClass);

    /// Administrators, and the platform, so that an organization that has lost its administrators can get another one.
    ADD_ORGANIZATION_MEMBER = by_role("MemberService/AddOrganizationMember", P::ManageOrganization)
        .or_scopes(&[Scope::Platform]);
    /// The member, teachers and administrators.
    GET_ORGANIZATION_MEMBER = by_role("MemberService/GetOrganizationMember", P::ReadOrganizationMember).or_own();
    /// Administrators.
    LIST_ORGANIZATION_MEMBERS = by_role("MemberService/ListOrganizationMembers", P::ManageOrganization);
    /// Administrators.
    UPDATE_ORGANIZATION_MEMBER = by_role("MemberService/UpdateOrganizationMember", P::ManageOrganization);
    /// The member, who then leaves, and administrators.
    REMOVE_ORGANIZATION_MEMBER = by_role("MemberService/RemoveOrganizationMember", P::ManageOrganization).or_own();
    /// The class's owner, and administrators.
    ADD_CLASS_MEMBER = by_role("MemberService/AddClassMember", P::ManageClass);
    /// The member, and the class's staff.
    GET_CLASS_MEMBER = by_role("MemberService/GetClassMember", P::ReadRoster).or_own();
    /// The class's staff, and administrators.
    LIST_CLASS_MEMBERS = by_role("MemberService/ListClassMembers", P::ReadRoster);
    /// The class's owner, and administrators.
    UPDATE_CLASS_MEMBER = by_role("MemberService/UpdateClassMember", P::ManageClass);
    /// The member, who then leaves, the owner, and administrators.
    REMOVE_CLASS_MEMBER = by_role("MemberService/RemoveClassMember", P::ManageClass).or_own();
    /// The acting user, for their own memberships.
    LIST_MEMBERSHIPS = Rule { method: "MemberService/ListMemberships", permission: None, scopes: &[], own: true };

    /// The person who asks, and the staff who decide.
    GET_JOIN_REQUEST = by_role("JoinRequestService/GetJoinRequest", P::DecideJoinRequests).or_own();
    /// Staff for the whole queue; anyone else for their own requests.
    LIST_JOIN_REQUESTS = by_role("JoinRequestService/ListJoinRequests", P::DecideJoinRequests).or_own();
    /// Owner, co-teachers, administrators (C11, X2).
    APPROVE_JOIN_REQUEST = by_role("JoinRequestService/ApproveJoinRequest", P::DecideJoinRequests);
    /// Owner, co-teachers, administrators (C11, X2).
    DENY_JOIN_REQUEST = by_role("JoinRequestService/DenyJoinRequest", P::DecideJoinRequests);
    /// Owner, co-teachers, administrators (C11, X2).
    BATCH_DECIDE_JOIN_REQUESTS = by_role("JoinRequestService/BatchDecideJoinRequests", P::DecideJoinRequests);
    /// The person who asks.
    WITHDRAW_JOIN_REQUEST = Rule { method: "JoinRequestService/WithdrawJoinRequest", permission: None, scopes: &[], own: true };

    /// The invitations service.
    ADMIT = by_scope("AdmissionService/Admit", &[Scope::Admit]);
    /// The invitations service.
    BATCH_ADMIT = by_scope("AdmissionService/BatchAdmit", &[Scope::Admit]);
    /// The invitations service.
    GET_ADMISSION = by_scope("AdmissionService/GetAdmission", &[Scope::Admit]);
    /// The invitations service.
    RAISE_FENCE = by_scope("AdmissionService/RaiseFence", &[Scope::Admit]);
    /// The invitations service.
    CHECK_ACCESS = by_scope("AdmissionService/CheckAccess", &[Scope::Admit]);

    /// The invitations service, which erases in both.
    ERASE_USER = by_scope("UserService/EraseUser", &[Scope::Admit]);

    // The kit defines the scopes of the feed and admits services before it asks for a role: they read the feeds of both
    // services, where they have no role, even those of a place that no longer exists.
    /// Staff of the parent, and services.
    LIST_EVENTS = by_role("EventService/ListEvents", P::ReadRoster).or_scopes(FEED_SCOPES);
    /// Staff of the parent, and services.
    WATCH_EVENTS = by_role("EventService/WatchEvents", P::ReadRoster).or_scopes(FEED_SCOPES);
}

/// The scope that `UpdateOrganization` also requires to change `seat_limit`.
pub const UPDATE_SEAT_LIMIT_SCOPE: Scope = Scope::Platform;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_has_one_rule_and_every_rule_a_method() {
        let set = FileDescriptorSet::decode(homeroom_api::FILE_DESCRIPTOR_SET).unwrap();
        let methods: BTreeSet<String> = set
            .file
            .iter()
            .filter(|file| file.package() == "homeroom.membership.v1")
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                let methods = service.method.iter();
                methods.map(|method| format!("{}/{}", service.name(), method.name()))
            })
            .collect();
        let ruled: BTreeSet<String> = ALL.iter().map(|rule| rule.method.to_owned()).collect();
        assert_eq!(ruled, methods);
        assert_eq!(ruled.len(), ALL.len());
    }

    #[test]
    fn every_rule_lets_somebody_call() {
        for rule in ALL {
            let somebody = rule.permission.is_some() || !rule.scopes.is_empty() || rule.own;
            assert!(somebody, "{}", rule.method);
        }
    }
}
