//! A person's membership in an organization or a class, its role, and its provenance.

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::UserId,
    names::{InvitationKind, MemberName, Place},
};
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};

/// A membership, with the names of its columns. Class members are shown with the particulars that the organization
/// keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The organization or class.
    #[serde(flatten, with = "columns::place")]
    pub place: Place,
    /// The member.
    #[serde(rename = "user_id", with = "columns::text")]
    pub user: UserId,
    /// The particulars shown to staff.
    #[serde(flatten)]
    pub particulars: Particulars,
    /// When the particulars were stated; older statements do not replace them.
    #[serde(with = "columns::time")]
    pub told_time: DateTime<Utc>,
    /// The particulars that staff set; statements do not replace these.
    pub set_by_hand: SetByHand,
    /// The role, one that fits the place.
    pub role: Role,
    /// When the person joined.
    #[serde(with = "columns::time")]
    pub join_time: DateTime<Utc>,
    /// The membership's provenance (R6).
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The revision, which grows with every change; the etag. For a class member it also counts changes of the
    /// particulars.
    pub revision: i64,
}

impl Member {
    /// Returns its resource name.
    #[must_use]
    pub fn name(&self) -> MemberName {
        MemberName {
            place: self.place.clone(),
            user: self.user.clone(),
        }
    }

    /// Returns the membership of a person of whom `other` is the membership by another account, at the same place (R15):
    /// the stronger role counts, what staff set comes before what was told, and how the person joined stays.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let (particulars, set_by_hand) = self
            .particulars
            .with(self.set_by_hand, (&other.particulars, other.set_by_hand));
        Self {
            particulars,
            told_time: self.told_time.max(other.told_time),
            set_by_hand,
            // Of the roles of a place, the stronger one is declared first.
            role: self.role.min(other.role),
            ..self.clone()
        }
    }

    /// Returns the member after these particulars were stated at `time`; None if that changes nothing.
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

/// The particulars of a person that staff see; each is empty if unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Particulars {
    /// The display name, at most 200 characters.
    pub display_name: String,
    /// The address in canonical form; at most 254 bytes.
    pub email: String,
    /// The id in the school's own system: at most 255 characters.
    pub external_id: String,
}

impl Particulars {
    /// Returns these particulars updated with newly stated ones: an empty field changes nothing, and a field that staff
    /// set stays.
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

impl Particulars {
    /// Returns these particulars, completed by those of another account of the person.
    fn with(&self, set: SetByHand, (other, other_set): (&Self, SetByHand)) -> (Self, SetByHand) {
        let choose = |bit, mine: &String, theirs: &String| {
            let by_hand = [set, other_set].map(|set| set.0 & bit != 0);
            let take =
                matches!(by_hand, [false, true]) || (by_hand == [false, false] && mine.is_empty());
            let chosen = if take { theirs } else { mine };
            chosen.clone()
        };
        let particulars = Self {
            display_name: choose(1, &self.display_name, &other.display_name),
            email: choose(2, &self.email, &other.email),
            external_id: choose(4, &self.external_id, &other.external_id),
        };
        (particulars, SetByHand(set.0 | other_set.0))
    }
}

/// The particulars that staff set, as bits: the name (1), the address (2), the external id (4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetByHand(pub i64);

impl SetByHand {
    /// Returns these bits and those of the fields that differ.
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

/// The members of a place that a list shows.
#[derive(Debug, Clone, Default)]
pub struct MemberFilter {
    /// Only those of this role.
    pub role: Option<Role>,
    /// Only those with this address, in canonical form.
    pub email: Option<String>,
    /// Only those with this external id.
    pub external_id: Option<String>,
    /// Only those who joined by this invitation, by its resource name (R6).
    pub invitation: Option<String>,
    /// Only those who joined at this time or later.
    pub joined_from: Option<DateTime<Utc>>,
}

homeroom_kit::named! {
    /// A member's role: an organization has administrators, teachers and students, a class has one owner, co-teachers and
    /// students.
    pub enum Role: as_str, parse {
        /// A member of an organization who may do everything in it but change the seat limit.
        Admin = "ADMIN",
        /// A member of an organization who may create classes.
        Teacher = "TEACHER",
        /// The one owner of a class.
        Owner = "OWNER",
        /// A member of a class who decides join requests.
        CoTeacher = "CO_TEACHER",
        /// A student of an organization or a class. An organization's student holds a seat (R7).
        Student = "STUDENT",
    }
}

/// The provenance of a membership (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Resource name of the invitation; empty for [`Method::Added`].
    pub invitation: String,
    /// Resource name of the redemption; empty for [`Method::Added`].
    pub redemption: String,
    /// User id of the person who approved the request or added the member; empty for an admission at once.
    pub approved_by: String,
    /// The way in.
    pub method: Method,
}

impl Provenance {
    /// Returns the provenance of a person whom `by` added, or who was the first member of a new organization or class.
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
    /// An invitation of this kind.
    Invitation(InvitationKind),
}

impl Method {
    /// Returns its name in the contract, the database and events, which never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Invitation(kind) => kind.method(),
        }
    }

    /// Returns the method of that name, or `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let kinds = InvitationKind::ALL.map(Self::Invitation);
        let mut all = kinds.into_iter().chain([Self::Added]);
        all.find(|method| method.as_str() == name)
    }
}

homeroom_kit::by_name!(Method, as_str, parse);

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
    fn r15_two_memberships_become_one_with_the_stronger_role_and_what_staff_set() {
        let member = |role, set_by_hand, names| Member {
            place: Place::parse("organizations/hamilton").unwrap(),
            user: UserId::parse("ann").unwrap(),
            particulars: particulars(names),
            told_time: DateTime::UNIX_EPOCH,
            set_by_hand: SetByHand(set_by_hand),
            role,
            join_time: DateTime::UNIX_EPOCH,
            provenance: Provenance::added(&UserId::parse("ada").unwrap()),
            revision: 1,
        };
        for (one, other, role) in [
            (Role::Student, Role::Student, Role::Student),
            (Role::Student, Role::Teacher, Role::Teacher),
            (Role::Admin, Role::Teacher, Role::Admin),
            (Role::CoTeacher, Role::Owner, Role::Owner),
            (Role::CoTeacher, Role::Student, Role::CoTeacher),
        ] {
            let [one, other] = [one, other].map(|role| member(role, 0, ["Ann", "", ""]));
            assert_eq!(one.with(&other).role, role);
            assert_eq!(other.with(&one).role, role);
        }
        for (by_hand, others, shown, set) in [
            (0, 0, ["Ann", "b@b.org", "s-2"], 0),
            (0, 7, ["Bea", "b@b.org", "s-2"], 7),
            (3, 7, ["Ann", "", "s-2"], 7),
            (2, 1, ["Bea", "", "s-2"], 3),
        ] {
            let one = member(Role::Student, by_hand, ["Ann", "", ""]);
            let other = member(Role::Student, others, ["Bea", "b@b.org", "s-2"]);
            let both = one.with(&other);
            assert_eq!(both.particulars, particulars(shown), "{by_hand} {others}");
            assert_eq!(both.set_by_hand, SetByHand(set));
        }
    }

    #[test]
    fn roles_and_methods_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for method in InvitationKind::ALL.map(Method::Invitation) {
            assert_eq!(Method::parse(method.as_str()), Some(method));
        }
        assert_eq!(Method::parse("ADDED"), Some(Method::Added));
        assert_eq!(Role::parse("GUEST"), None);
        assert_eq!(Method::parse(""), None);
    }
}
