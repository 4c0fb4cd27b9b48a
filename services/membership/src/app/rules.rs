//! The one table of who may call each method. Handlers authorize by these rules, and a test checks that every method is
//! listed here.

use homeroom_kit::auth::Scope;

use crate::domain::access::Permission;

/// The rule for one method.
pub type Rule = homeroom_kit::rpc::Rule<Permission>;

homeroom_kit::rules! {
    Permission:
    CREATE_ORGANIZATION = "OrganizationService/CreateOrganization": [Platform];
    GET_ORGANIZATION = "OrganizationService/GetOrganization": ViewOrganization [Platform];
    ///
    /// Anyone for their own organizations; the platform for all.
    LIST_ORGANIZATIONS = "OrganizationService/ListOrganizations": [Platform] + own;
    ///
    /// Administrators; changing the seat limit also needs the platform's scope (`UPDATE_SEAT_LIMIT_SCOPE`).
    UPDATE_ORGANIZATION = "OrganizationService/UpdateOrganization": ManageOrganization;
    DELETE_ORGANIZATION = "OrganizationService/DeleteOrganization": ManageOrganization [Platform];
    GET_SEAT_USAGE = "OrganizationService/GetSeatUsage": ManageOrganization [Platform, Admit];

    CREATE_CLASS = "ClassService/CreateClass": CreateClass;
    GET_CLASS = "ClassService/GetClass": ViewClass;
    ///
    /// The organization's members for their own classes; administrators for all.
    LIST_CLASSES = "ClassService/ListClasses": ViewOrganization;
    UPDATE_CLASS = "ClassService/UpdateClass": ManageClass;
    ARCHIVE_CLASS = "ClassService/ArchiveClass": ManageClass;
    UNARCHIVE_CLASS = "ClassService/UnarchiveClass": ManageClass;
    DELETE_CLASS = "ClassService/DeleteClass": ManageClass;
    TRANSFER_CLASS_OWNERSHIP = "ClassService/TransferClassOwnership": ManageClass;

    ///
    /// Administrators, and the platform, so that an organization that has lost its administrators can get another one.
    ADD_ORGANIZATION_MEMBER = "MemberService/AddOrganizationMember": ManageOrganization [Platform];
    GET_ORGANIZATION_MEMBER = "MemberService/GetOrganizationMember": ReadOrganizationMember + own;
    LIST_ORGANIZATION_MEMBERS = "MemberService/ListOrganizationMembers": ManageOrganization;
    UPDATE_ORGANIZATION_MEMBER = "MemberService/UpdateOrganizationMember": ManageOrganization;
    REMOVE_ORGANIZATION_MEMBER = "MemberService/RemoveOrganizationMember": ManageOrganization + own;
    ADD_CLASS_MEMBER = "MemberService/AddClassMember": ManageClass;
    GET_CLASS_MEMBER = "MemberService/GetClassMember": ReadRoster + own;
    LIST_CLASS_MEMBERS = "MemberService/ListClassMembers": ReadRoster;
    UPDATE_CLASS_MEMBER = "MemberService/UpdateClassMember": ManageClass;
    ///
    /// Administrators, and for a class its owner too.
    BATCH_REMOVE_MEMBERS = "MemberService/BatchRemoveMembers": ManageClass;
    REMOVE_CLASS_MEMBER = "MemberService/RemoveClassMember": ManageClass + own;
    LIST_MEMBERSHIPS = "MemberService/ListMemberships": + own;

    PLAN_IMPORT = "RosterService/PlanImport": ManageOrganization [Platform];
    COMMIT_IMPORT = "RosterService/CommitImport": ManageOrganization [Platform];

    GET_JOIN_REQUEST = "JoinRequestService/GetJoinRequest": DecideJoinRequests + own;
    ///
    /// Staff for the whole queue; anyone else for their own requests.
    LIST_JOIN_REQUESTS = "JoinRequestService/ListJoinRequests": DecideJoinRequests + own;
    APPROVE_JOIN_REQUEST = "JoinRequestService/ApproveJoinRequest": DecideJoinRequests;
    DENY_JOIN_REQUEST = "JoinRequestService/DenyJoinRequest": DecideJoinRequests;
    BATCH_DECIDE_JOIN_REQUESTS = "JoinRequestService/BatchDecideJoinRequests": DecideJoinRequests;
    WITHDRAW_JOIN_REQUEST = "JoinRequestService/WithdrawJoinRequest": + own;

    ADMIT = "AdmissionService/Admit": [Admit];
    BATCH_ADMIT = "AdmissionService/BatchAdmit": [Admit];
    GET_ADMISSION = "AdmissionService/GetAdmission": [Admit];
    RAISE_FENCE = "AdmissionService/RaiseFence": [Admit];
    CHECK_ACCESS = "AdmissionService/CheckAccess": [Admit];

    ERASE_USER = "UserService/EraseUser": [Admit];
    MOVE_USER = "UserService/MoveUser": [Admit];
    LIST_USER_RECORDS = "UserService/ListUserRecords": [Admit];

    // The kit defines the scopes of the feed and admits services before it asks for a role: they read the feeds of both
    // services, where they have no role, even those of a place that no longer exists.
    LIST_EVENTS = "EventService/ListEvents": ReadRoster [Admit, Platform];
    WATCH_EVENTS = "EventService/WatchEvents": ReadRoster [Admit, Platform];
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
