//! Who leaves by an import: the people that the files remove or, if the files list everybody, no longer have.

use std::collections::{BTreeMap, HashMap};

use homeroom_api::{common::v1::Role, membership::v1::Member};

use super::classes::Place;
use crate::{
    Failure,
    remote::Remote,
    roster::{Left, Roster, What},
};

/// The most classes that an error names.
const CLASSES_NAMED_MAX: usize = 10;

/// A membership that ends because the files do not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absent {
    /// The resource name of the class.
    pub(super) class: String,
    pub(super) user: String,
}

/// Returns who is no longer in the files, if that is to be so; and checks for each class that the import removes no
/// larger share of its members than it may. Nothing has been changed yet.
pub(super) async fn plan(
    remote: &Remote,
    roster: &Roster,
    places: &[Place],
    remove_absent: bool,
    percent_max: i32,
) -> Result<Vec<Absent>, Failure> {
    if remove_absent {
        check_complete(roster)?;
    }
    let mut of_classes: BTreeMap<u32, bool> = BTreeMap::new();
    for row in &roster.rows {
        if let Some(class) = row.class {
            *of_classes.entry(class).or_default() |= row.what == What::Remove;
        }
    }
    // Two people of the files may be one user.
    let mut people: HashMap<&str, Vec<u32>> = HashMap::new();
    for (index, person) in (0..).zip(&roster.people) {
        people.entry(&person.user).or_default().push(index);
    }
    let (mut absent, mut too_many) = (Vec::new(), Vec::new());
    for (class, removes) in of_classes {
        let Some(Place::Known(name)) = places.get(class as usize) else {
            continue;
        };
        if !(removes || remove_absent) {
            continue;
        }
        let members = remote.class_members(name).await?;
        let what = |member: &Member| {
            let people = people.get(member.user.as_str())?.iter();
            let rows = people.filter_map(|person| roster.row_of(Some(class), *person));
            rows.map(|row| row.what).max()
        };
        let leaves = leaving(&members, what, remove_absent);
        if !is_within(leaves.len(), members.len(), percent_max) {
            too_many.push(format!(
                "{} of {} members of {name}",
                leaves.len(),
                members.len()
            ));
        }
        let unlisted = leaves.iter().filter(|(_, listed)| !listed);
        absent.extend(unlisted.map(|(user, _)| Absent {
            class: name.clone(),
            user: (*user).to_owned(),
        }));
    }
    if too_many.is_empty() {
        return Ok(absent);
    }
    let more = too_many.len().saturating_sub(CLASSES_NAMED_MAX);
    let mut lines: Vec<String> = too_many.into_iter().take(CLASSES_NAMED_MAX).collect();
    if more > 0 {
        lines.push(format!("and {more} more classes"));
    }
    Err(format!(
        "the import would remove more than --removals-percent-max {percent_max} of a class; nothing was changed\n  {}",
        lines.join("\n  ")
    )
    .into())
}

/// Checks that who is not in the files has left, rather than stands in a row that cannot be read.
fn check_complete(roster: &Roster) -> Result<(), Failure> {
    if !roster.complete {
        return Err("--remove-absent is for files that list everybody, and these are a delta, in which others stay".into());
    }
    let unread = roster.findings.left(Left::Unreadable) + roster.findings.left(Left::Orphan);
    if unread > 0 {
        return Err(format!(
            "{unread} rows cannot be read, so it is not known who has left: mend them, or leave out --remove-absent"
        )
        .into());
    }
    Ok(())
}

/// Returns the members who leave, and true for those whom a row removes. The owner never does.
fn leaving(
    members: &[Member],
    what: impl Fn(&Member) -> Option<What>,
    remove_absent: bool,
) -> Vec<(&str, bool)> {
    let mut leaving = Vec::new();
    for member in members {
        let listed = match what(member) {
            Some(What::Remove) => true,
            None if remove_absent && member.role() != Role::Owner => false,
            _ => continue,
        };
        leaving.push((member.user.as_str(), listed));
    }
    leaving
}

/// Returns true if so many members of a class may be removed.
fn is_within(removed: usize, members: usize, percent_max: i32) -> bool {
    let percent = usize::try_from(percent_max).unwrap_or_default();
    removed * 100 <= members * percent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::Role as FileRole;

    fn member(user: &str, role: Role) -> Member {
        Member {
            user: user.to_owned(),
            role: role.into(),
            ..Member::default()
        }
    }

    #[test]
    fn what_is_not_there_is_removed_except_the_owner_and_those_who_are_only_not_active() {
        let members = [
            member("owner", Role::Owner),
            member("gone", Role::Student),
            member("gone-too", Role::CoTeacher),
            member("here", Role::Student),
            member("paused", Role::Student),
            member("deleted", Role::Student),
        ];
        let what = |member: &Member| match member.user.as_str() {
            "here" => Some(What::Enroll(FileRole::Student)),
            "paused" => Some(What::Keep),
            "deleted" => Some(What::Remove),
            _ => None,
        };
        let all = [("gone", false), ("gone-too", false), ("deleted", true)];
        assert_eq!(leaving(&members, what, true), all);
        assert_eq!(leaving(&members, what, false), [("deleted", true)]);
    }

    #[test]
    fn no_larger_share_is_removed_than_was_allowed() {
        assert!(is_within(0, 0, 0) && is_within(0, 10, 0));
        assert!(!is_within(1, 1_000, 0));
        assert!(is_within(10, 100, 10) && !is_within(11, 100, 10));
        assert!(is_within(3, 3, 100));
    }

    #[test]
    fn a_delta_and_files_with_unreadable_rows_do_not_tell_who_has_left() {
        let mut roster = Roster::default();
        assert!(
            check_complete(&roster)
                .unwrap_err()
                .to_string()
                .contains("delta")
        );
        roster.complete = true;
        assert!(check_complete(&roster).is_ok());
        roster.findings.count(Left::Unreadable);
        roster.findings.count(Left::Orphan);
        assert!(
            check_complete(&roster)
                .unwrap_err()
                .to_string()
                .starts_with("2 rows")
        );
    }
}
