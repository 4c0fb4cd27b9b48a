//! The permissions that a person's roles in an organization and in a class give.

use homeroom_api::names::Place;
use serde::Deserialize;

use super::{class::ClassState, member::Role};

/// Something that a person may want to do in an organization or a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Know that the organization exists: for its members.
    ViewOrganization,
    /// Know that the class exists: for its members, and administrators.
    ViewClass,
    /// Read one member of the organization: for teachers and administrators.
    ReadOrganizationMember,
    /// Create a class: for teachers and administrators.
    CreateClass,
    /// Change or delete the organization, or change its members: for administrators.
    ManageOrganization,
    /// Read the roster, the queue and the feed: for the class's staff, and administrators.
    ReadRoster,
    /// Decide join requests: for the class's staff, and administrators (C11, X2).
    DecideJoinRequests,
    /// Read codes, tokens, URL and redemptions: for the class's staff, and administrators.
    ReadInvitations,
    /// Make, change, reset, lock and revoke them: for the class's owner, and administrators.
    ManageInvitations,
    /// Change or delete the class, or change its members: for its owner, and administrators.
    ManageClass,
}

/// Returns true if the roles give the permission. `role_in_class` is None for a person who is not a member of the
/// class, and if the place is the organization itself.
#[must_use]
pub fn permits(
    role_in_organization: Option<Role>,
    role_in_class: Option<Role>,
    permission: Permission,
) -> bool {
    use Permission as P;
    let administrator = role_in_organization == Some(Role::Admin);
    let teacher = role_in_organization == Some(Role::Teacher);
    let owner = role_in_class == Some(Role::Owner);
    let co_teacher = role_in_class == Some(Role::CoTeacher);
    match permission {
        P::ViewOrganization => role_in_organization.is_some(),
        P::ViewClass => administrator || role_in_class.is_some(),
        P::ReadOrganizationMember | P::CreateClass => administrator || teacher,
        P::ManageOrganization => administrator,
        P::ReadRoster | P::DecideJoinRequests | P::ReadInvitations => {
            administrator || owner || co_teacher
        }
        P::ManageInvitations | P::ManageClass => administrator || owner,
    }
}

/// An organization or class that exists, with one person's roles in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The organization's name as shown to people.
    pub organization_display_name: String,
    /// The prefix of its enrollment codes.
    pub code_prefix: String,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// The class; None if the organization itself was asked for or the class does not exist.
    pub class: Option<ClassStanding>,
    /// The person's role in the organization.
    pub role_in_organization: Option<Role>,
    /// The person's role in the class.
    pub role_in_class: Option<Role>,
}

/// A class that exists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClassStanding {
    /// The name shown to people.
    pub display_name: String,
    /// The class's state, which says if people can join.
    pub state: ClassState,
}

impl Standing {
    /// Returns true if the person's roles give the permission.
    #[must_use]
    pub fn permits(&self, permission: Permission) -> bool {
        permits(self.role_in_organization, self.role_in_class, permission)
    }

    /// Returns true if the person may know that the place exists. An absent place and a hidden one get the same answer.
    #[must_use]
    pub fn is_visible(&self, place: &Place) -> bool {
        match place {
            Place::Organization(_) => self.permits(Permission::ViewOrganization),
            Place::Class(_) => self.class.is_some() && self.permits(Permission::ViewClass),
        }
    }

    /// Returns the role by which the person acts: that in the class, else that in the organization.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role_in_class.or(self.role_in_organization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The roles in an organization and in a class, and what they permit.
    type Row<'lists> = (Option<Role>, Option<Role>, &'lists [&'lists [Permission]]);

    #[test]
    fn roles_may_what_the_table_of_02_says() {
        use Permission as P;
        use Role::{Admin, CoTeacher, Owner, Student, Teacher};
        const STUDENT: &[P] = &[P::ViewOrganization];
        const TEACHER: &[P] = &[
            P::ViewOrganization,
            P::ReadOrganizationMember,
            P::CreateClass,
        ];
        const IN_CLASS: &[P] = &[P::ViewClass];
        const CO_TEACHER: &[P] = &[
            P::ViewClass,
            P::ReadRoster,
            P::DecideJoinRequests,
            P::ReadInvitations,
        ];
        const OWNER: &[P] = &[P::ManageInvitations, P::ManageClass];
        let every = [TEACHER, CO_TEACHER, OWNER, &[P::ManageOrganization]].concat();
        let table: [Row<'_>; 10] = [
            (None, None, &[]),
            (Some(Student), None, &[STUDENT]),
            (Some(Student), Some(Student), &[STUDENT, IN_CLASS]),
            (Some(Student), Some(CoTeacher), &[STUDENT, CO_TEACHER]),
            (Some(Teacher), None, &[TEACHER]),
            (Some(Teacher), Some(Student), &[TEACHER, IN_CLASS]),
            (Some(Teacher), Some(CoTeacher), &[TEACHER, CO_TEACHER]),
            (Some(Teacher), Some(Owner), &[TEACHER, CO_TEACHER, OWNER]),
            (Some(Admin), None, &[&every]),
            (Some(Admin), Some(Student), &[&every]),
        ];
        for (in_organization, in_class, may) in table {
            for permission in &every {
                assert_eq!(
                    permits(in_organization, in_class, *permission),
                    may.concat().contains(permission),
                    "{in_organization:?} {in_class:?} {permission:?}"
                );
            }
        }
    }
}
