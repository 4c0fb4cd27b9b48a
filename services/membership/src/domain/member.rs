//! A person's membership of an organization or a class, its role, and how it came about.

use std::fmt;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::UserId,
    names::{MemberName, Place},
};

/// A membership. A class's members show the particulars kept with the organization's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Of what.
    pub place: Place,
    /// Who.
    pub user: UserId,
    /// What staff are shown of the person.
    pub particulars: Particulars,
    /// What the person may do there: a role that fits the place.
    pub role: Role,
    /// When the person joined.
    pub join_time: DateTime<Utc>,
    /// How it came about (R6).
    pub provenance: Provenance,
    /// Grows with every change; the etag. A class's member counts changes of the particulars too.
    pub revision: i64,
}

impl Member {
    /// Its resource name.
    #[must_use]
    pub fn name(&self) -> MemberName {
        MemberName {
            place: self.place.clone(),
            user: self.user.clone(),
        }
    }
}

/// What staff are shown of a person; each is empty where unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Particulars {
    /// At most 200 characters.
    pub display_name: String,
    /// In canonical form; at most 254 bytes.
    pub email: String,
    /// The id in the school's own system: at most 128 characters.
    pub external_id: String,
}

/// What a member may do: an organization has administrators, teachers and students, a class one owner,
/// co-teachers and students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Of an organization: everything in it but the seat limit.
    Admin,
    /// Of an organization: creates classes.
    Teacher,
    /// Of a class: exactly one.
    Owner,
    /// Of a class: decides join requests.
    CoTeacher,
    /// Of either. An organization's student holds a seat (R7).
    Student,
}

homeroom_kit::named! {
    Role, as_str, parse:
    Admin = "ADMIN",
    Teacher = "TEACHER",
    Owner = "OWNER",
    CoTeacher = "CO_TEACHER",
    Student = "STUDENT",
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How a membership came about (R6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Resource name of the invitation; empty for [`Method::Added`].
    pub invitation: String,
    /// Resource name of the redemption; empty for [`Method::Added`].
    pub redemption: String,
    /// User id of who approved the request or added the member; empty for an admission at once.
    pub approved_by: String,
    /// The way in.
    pub method: Method,
}

impl Provenance {
    /// Of a person whom `by` added, or who came with the organization or class.
    #[must_use]
    pub fn added(by: &UserId) -> Self {
        Self {
            invitation: String::new(),
            redemption: String::new(),
            approved_by: by.to_string(),
            method: Method::Added,
        }
    }
}

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Added by staff, or made with the organization or class.
    Added,
    /// An organization's invite token (A2).
    OrganizationToken,
    /// A class token (A6).
    ClassToken,
    /// An enrolment code (B1).
    EnrollmentCode,
    /// A class code (C1).
    ClassCode,
    /// A join URL (C9).
    JoinUrl,
}

homeroom_kit::named! {
    Method, as_str, parse:
    Added = "ADDED",
    OrganizationToken = "ORGANIZATION_TOKEN",
    ClassToken = "CLASS_TOKEN",
    EnrollmentCode = "ENROLLMENT_CODE",
    ClassCode = "CLASS_CODE",
    JoinUrl = "JOIN_URL",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_methods_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str()), Some(method));
        }
        assert_eq!(Role::parse("GUEST"), None);
        assert_eq!(Method::parse(""), None);
    }
}
