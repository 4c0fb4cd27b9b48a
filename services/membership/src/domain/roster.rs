//! Rosters of other systems: the memberships that an import states, and what becomes of each.

use homeroom_api::{ids::UserId, names::Place};

use super::member::{Member, Particulars, Role};

/// Maximum number of rows in one import.
pub const ROSTER_ROWS_MAX: usize = 500;
/// Maximum number of replaced values that the result of one row tells: somebody who teaches many classes and becomes a
/// Student changes in each.
pub const REPLACED_TOLD_MAX: usize = 10;
/// The largest share of a place's members that an import can be allowed to remove, in percent.
pub const REMOVALS_PERCENT_MAX: i64 = 100;

/// One membership that another system knows, or knows no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The organization or class.
    pub place: Place,
    /// The person.
    pub user: UserId,
    /// The state that the membership is to have.
    pub stated: Stated,
}

/// The state of a membership in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stated {
    /// The person is a member, with this role and those particulars that are not empty. Without a role, a member keeps
    /// theirs, and a newcomer is a Student.
    Member(Option<Role>, Particulars),
    /// The person is no member.
    Absent,
}

homeroom_kit::named! {
    /// The kind of change that a row makes.
    pub enum Change: as_str, parse {
        /// The membership is new.
        Added = "ADDED",
        /// Nothing changes.
        Unchanged = "UNCHANGED",
        /// Role or particulars change.
        Updated = "UPDATED",
        /// An earlier row has the same membership.
        Duplicate = "DUPLICATE",
        /// The membership ends.
        Removed = "REMOVED",
    }
}

/// What becomes of a row that has no failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The kind of change.
    pub change: Change,
    /// The display name that a member has before it; empty for others.
    pub display_name: String,
    /// The values that the row replaces or ends: if any of them is another one by now, the row would be planned
    /// otherwise.
    pub replaced: Vec<Replaced>,
}

/// A value of a membership that a row replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The organization or class of the membership.
    pub place: Place,
    /// The name of the field.
    pub field: &'static str,
    /// The value before.
    pub from: String,
    /// The value after; empty if the membership ends.
    pub to: String,
}

impl Replaced {
    /// Returns what a membership loses as its role becomes another one, or ends.
    #[must_use]
    pub fn role(member: &Member, to: Option<Role>) -> Self {
        Self {
            place: member.place.clone(),
            field: "role",
            from: member.role.as_str().to_owned(),
            to: to.map_or("", Role::as_str).to_owned(),
        }
    }
}

impl Outcome {
    /// Returns the outcome of a row that replaces nothing.
    #[must_use]
    pub const fn new(change: Change) -> Self {
        Self {
            change,
            display_name: String::new(),
            replaced: Vec::new(),
        }
    }
}

/// Returns true if an import may remove so many of a place's members.
#[must_use]
pub fn may_remove(removed: usize, members: i64, percent_max: i64) -> bool {
    let removed = i64::try_from(removed).unwrap_or(i64::MAX);
    removed.saturating_mul(100) <= members.saturating_mul(percent_max)
}

impl Particulars {
    /// Returns these particulars with those stated in a roster that are not empty.
    #[must_use]
    pub fn stated(&self, stated: &Self) -> Self {
        let choose = |known: &String, stated: &String| {
            let shown = if stated.is_empty() { known } else { stated };
            shown.clone()
        };
        Self {
            display_name: choose(&self.display_name, &stated.display_name),
            email: choose(&self.email, &stated.email),
            external_id: choose(&self.external_id, &stated.external_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_a_share_is_removed_to_its_edge_and_nobody_without_one() {
        for (removed, members, percent_max, allowed) in [
            (0, 0, 0, true),
            (0, 30, 0, true),
            (1, 30, 0, false),
            (1, 1_000_000, 0, false),
            (3, 30, 10, true),
            (4, 30, 10, false),
            (1, 3, 33, false),
            (1, 3, 34, true),
            (30, 30, REMOVALS_PERCENT_MAX, true),
            (30, 30, 99, false),
        ] {
            assert_eq!(
                may_remove(removed, members, percent_max),
                allowed,
                "{removed} of {members} by {percent_max}"
            );
        }
    }

    #[test]
    fn s1_what_a_row_leaves_empty_stays() {
        let particulars = |name: &str, email: &str, id: &str| Particulars {
            display_name: name.to_owned(),
            email: email.to_owned(),
            external_id: id.to_owned(),
        };
        let known = particulars("Ann", "a@b.org", "s-1");
        for (stated, shown) in [
            (["", "", ""], ["Ann", "a@b.org", "s-1"]),
            (["Anna", "", ""], ["Anna", "a@b.org", "s-1"]),
            (["", "c@b.org", "s-2"], ["Ann", "c@b.org", "s-2"]),
        ] {
            let [name, email, id] = stated;
            let after = known.stated(&particulars(name, email, id));
            let [name, email, id] = shown;
            assert_eq!(after, particulars(name, email, id), "{stated:?}");
        }
    }
}
