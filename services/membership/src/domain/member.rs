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
    /// When that was told: what is older replaces none of it.
    pub told_time: DateTime<Utc>,
    /// Those of the particulars that staff set: what is told replaces none of them.
    pub set_by_hand: SetByHand,
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

    /// Returns the member as it is once this was told of the person at `time`; None where that changes nothing.
    #[must_use]
    pub fn told(&self, told: &Particulars, time: DateTime<Utc>) -> Option<Self> {
        let particulars = self.particulars.told(told, self.set_by_hand);
        (time >= self.told_time && particulars != self.particulars).then(|| Self {
            particulars,
            told_time: time,
            revision: self.revision + 1,
            ..self.clone()
        })
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

impl Particulars {
    /// Returns them with what was told since: what is empty tells nothing, and what staff set stays.
    #[must_use]
    pub fn told(&self, told: &Self, set_by_hand: SetByHand) -> Self {
        let choose = |bit, known: &String, told: &String| {
            let stays = told.is_empty() || set_by_hand.0 & bit != 0;
            let shown = if stays { known } else { told };
            shown.clone()
        };
        Self {
            display_name: choose(1, &self.display_name, &told.display_name),
            email: choose(2, &self.email, &told.email),
            external_id: choose(4, &self.external_id, &told.external_id),
        }
    }
}

/// Which particulars staff set, as the bits of a number: the name (1), the address (2), the external id (4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetByHand(pub i64);

impl SetByHand {
    /// Returns these, and those that differ.
    #[must_use]
    pub fn and_changed(self, before: &Particulars, after: &Particulars) -> Self {
        let set = |bit, before: &String, after: &String| if before == after { 0 } else { bit };
        Self(
            self.0
                | set(1, &before.display_name, &after.display_name)
                | set(2, &before.email, &after.email)
                | set(4, &before.external_id, &after.external_id),
        )
    }
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

    fn particulars([display_name, email, external_id]: [&str; 3]) -> Particulars {
        Particulars {
            display_name: display_name.to_owned(),
            email: email.to_owned(),
            external_id: external_id.to_owned(),
        }
    }

    #[test]
    fn u14_what_is_told_replaces_all_but_what_staff_set() {
        let known = particulars(["Ann", "", "s-1"]);
        for (told, by_hand, shown) in [
            (["", "", ""], 0, ["Ann", "", "s-1"]),
            (["Anna", "", ""], 0, ["Anna", "", "s-1"]),
            (["", "a@b.org", "s-2"], 0, ["Ann", "a@b.org", "s-2"]),
            (["Anna", "a@b.org", "s-2"], 1, ["Ann", "a@b.org", "s-2"]),
            (["Anna", "a@b.org", "s-2"], 2, ["Anna", "", "s-2"]),
            (["Anna", "a@b.org", "s-2"], 4, ["Anna", "a@b.org", "s-1"]),
            (["Anna", "a@b.org", "s-2"], 7, ["Ann", "", "s-1"]),
        ] {
            let after = known.told(&particulars(told), SetByHand(by_hand));
            assert_eq!(after, particulars(shown), "{told:?} {by_hand}");
        }
    }

    #[test]
    fn u14_staff_set_what_they_change_and_nothing_else() {
        let before = particulars(["Ann", "a@b.org", "s-1"]);
        for (after, marked) in [
            (["Ann", "a@b.org", "s-1"], 0),
            (["Anna", "a@b.org", "s-1"], 1),
            (["Ann", "", "s-1"], 2),
            (["Ann", "a@b.org", "s-2"], 4),
            (["", "", ""], 7),
        ] {
            let after = particulars(after);
            let set = SetByHand::default().and_changed(&before, &after);
            assert_eq!(set, SetByHand(marked), "{after:?}");
            assert_eq!(
                SetByHand(2).and_changed(&before, &after),
                SetByHand(marked | 2)
            );
        }
    }

    #[test]
    fn u14_the_later_telling_wins_and_one_that_changes_nothing_leaves_the_etag() {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let member = Member {
            place: Place::parse("organizations/hamilton").unwrap(),
            user: UserId::parse("ann").unwrap(),
            particulars: particulars(["Ann", "", ""]),
            told_time: time(100),
            set_by_hand: SetByHand::default(),
            role: Role::Student,
            join_time: time(100),
            provenance: Provenance::added(&UserId::parse("ada").unwrap()),
            revision: 3,
        };
        for (at, name, told) in [
            (99, "Anna", None),
            (100, "Anna", Some(4)),
            (101, "Anna", Some(4)),
            (101, "Ann", None),
            (101, "", None),
        ] {
            let after = member.told(&particulars([name, "", ""]), time(at));
            let seen = after.as_ref().map(|after| after.revision);
            assert_eq!(seen, told, "{name} at {at}");
            if let Some(after) = after {
                assert_eq!(
                    (after.told_time, after.particulars.display_name.as_str()),
                    (time(at), name)
                );
            }
        }
    }

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
