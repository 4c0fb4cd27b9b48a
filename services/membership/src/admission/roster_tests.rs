//! The decision on an import, over facts that are written down.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};

use super::*;
use crate::{
    domain::{access::ClassStanding, member::SetByHand},
    store::{Effects, Known, OrganizationKnown},
};

const HAMILTON: &str = "organizations/hamilton";
const ART: &str = "organizations/hamilton/classes/art";
const BIO: &str = "organizations/hamilton/classes/bio";

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn person((place, id): (&str, &str)) -> PersonAt {
    (Place::parse(place).unwrap(), user(id))
}

/// Returns the facts of a school with so many seats, where these people are members.
fn school(limit: i64, members: &[(&str, &str, Role)]) -> Known {
    let mut known = Known::default();
    let mut seats = Seats {
        limit,
        ..Seats::default()
    };
    for (place, id, role) in members {
        let (at, who) = person((place, id));
        if at.class().is_none() && *role == Role::Student {
            seats.used += 1;
        }
        let member = Member {
            place: at.clone(),
            user: who.clone(),
            particulars: Particulars::default(),
            told_time: DateTime::UNIX_EPOCH,
            set_by_hand: SetByHand::default(),
            role: *role,
            join_time: DateTime::UNIX_EPOCH,
            provenance: Provenance::added(&user("ada")),
            revision: 1,
        };
        known.members.insert((at, who), member);
    }
    let organization = OrganizationKnown {
        display_name: "Hamilton".to_owned(),
        seats,
    };
    let id = OrganizationId::parse("hamilton").unwrap();
    known.organizations.insert(id, organization);
    for name in [ART, BIO] {
        let class = ClassStanding {
            display_name: name.to_owned(),
            state: ClassState::Active,
        };
        let name = ClassName::parse(name).unwrap();
        known.classes.insert(name, class);
    }
    known
}

fn is(at: (&str, &str), role: impl Into<Option<Role>>) -> RosterRow {
    let (place, user) = person(at);
    RosterRow {
        place,
        user,
        stated: Stated::Member(role.into(), Particulars::default()),
    }
}

fn is_not(at: (&str, &str)) -> RosterRow {
    let (place, user) = person(at);
    RosterRow {
        place,
        user,
        stated: Stated::Absent,
    }
}

/// Returns what became of each row, the seats used afterwards, and the changes to write.
fn decided(known: Known, rows: Vec<RosterRow>) -> (Vec<String>, i64, Effects) {
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let mut plan = Plan::new(known, now);
    let rows = rows.into_iter().map(Ok).collect();
    let outcomes = decide(&mut plan, rows, &user("ada"));
    let told = outcomes.iter().map(|outcome| match outcome {
        Ok(outcome) => outcome.change.as_str().to_owned(),
        Err(error) => error.reason().as_str_name().to_owned(),
    });
    let organizations = plan.known().organizations.values();
    let used = organizations.map(|known| known.seats.used).sum();
    (told.collect(), used, plan.finish(&BTreeMap::new()).0)
}

#[test]
fn s4_b14_rows_take_and_free_seats_in_their_order() {
    let members = [
        (HAMILTON, "ann", Role::Student),
        (BIO, "ann", Role::Student),
    ];
    let rows = || {
        vec![
            is((BIO, "ben"), Role::Student),
            is((ART, "ann"), Role::CoTeacher),
            is((BIO, "cal"), Role::Student),
            is((HAMILTON, "dan"), Role::Student),
        ]
    };
    let (told, used, effects) = decided(school(1, &members), rows());
    assert_eq!(told, ["NO_SEATS", "ADDED", "ADDED", "NO_SEATS"]);
    let moved: i64 = effects.seats.values().map(|change| change.used).sum();
    assert_eq!((used, moved), (1, 0));
    assert!(effects.updated.contains_key(&person((HAMILTON, "ann"))));
    let (told, used, _) = decided(school(0, &members), rows());
    assert_eq!((told, used), (vec!["ADDED".to_owned(); 4], 3));
}

#[test]
fn s4_u10_who_becomes_a_student_teaches_no_class_and_who_owns_one_stays() {
    let members = [
        (HAMILTON, "tom", Role::Teacher),
        (ART, "tom", Role::CoTeacher),
        (BIO, "tom", Role::Student),
        (HAMILTON, "tess", Role::Teacher),
        (BIO, "tess", Role::Owner),
    ];
    let rows = vec![
        is((HAMILTON, "tom"), Role::Student),
        is((HAMILTON, "tess"), Role::Student),
        is_not((HAMILTON, "tess")),
        is_not((BIO, "tess")),
    ];
    let (told, used, effects) = decided(school(0, &members), rows);
    assert_eq!(told, ["UPDATED", "LAST_OWNER", "DUPLICATE", "LAST_OWNER"]);
    assert_eq!(used, 1);
    let roles: Vec<_> = effects.roles.iter().map(|(at, m)| (at, m.role)).collect();
    assert_eq!(roles, [(&person((ART, "tom")), Role::Student)]);
    assert!(effects.ended.is_empty());
}

#[test]
fn s3_a_row_without_a_role_changes_no_role() {
    let members = [
        (HAMILTON, "ada", Role::Admin),
        (HAMILTON, "tom", Role::Teacher),
        (ART, "tom", Role::CoTeacher),
        (HAMILTON, "tess", Role::Teacher),
        (BIO, "tess", Role::Owner),
    ];
    let rows = vec![
        is((HAMILTON, "ada"), None),
        is((HAMILTON, "tom"), None),
        is((HAMILTON, "tess"), None),
        is((ART, "tom"), None),
        is((BIO, "tess"), None),
    ];
    let (told, used, effects) = decided(school(0, &members), rows);
    assert_eq!(told, ["UNCHANGED"; 5]);
    assert_eq!(used, 0);
    assert!(effects.updated.is_empty() && effects.roles.is_empty());
    // Whoever is new to a place is a Student of it.
    let rows = vec![
        is((BIO, "tom"), None),
        is((HAMILTON, "ben"), None),
        is((BIO, "cal"), None),
    ];
    let (told, used, effects) = decided(school(0, &members), rows);
    assert_eq!((told, used), (vec!["ADDED".to_owned(); 3], 2));
    assert!(effects.updated.is_empty());
    let added: Vec<Role> = effects.members.iter().map(|member| member.role).collect();
    assert_eq!(added, [Role::Student; 4]);
}

#[test]
fn s4_r8_who_is_added_and_removed_in_one_request_is_written_as_they_end_up() {
    // Added to a class, then removed from the organization: as if they had never come.
    let rows = vec![is((BIO, "ben"), Role::CoTeacher), is_not((HAMILTON, "ben"))];
    let (told, used, effects) = decided(school(0, &[]), rows);
    assert_eq!(told, ["ADDED", "REMOVED"]);
    assert_eq!(
        (used, effects.members.len(), effects.ended.len()),
        (0, 0, 0)
    );
    assert!(effects.removed.contains_key(&person((HAMILTON, "ben"))));
    // Removed from the organization, then added to a class: the removal is lifted.
    let members = [
        (HAMILTON, "ann", Role::Student),
        (ART, "ann", Role::Student),
        (BIO, "ann", Role::Student),
    ];
    let rows = vec![is_not((HAMILTON, "ann")), is((BIO, "ann"), Role::Student)];
    let (told, used, effects) = decided(school(1, &members), rows);
    assert_eq!(told, ["REMOVED", "ADDED"]);
    assert_eq!(
        (used, effects.members.len(), effects.ended.len()),
        (1, 2, 3)
    );
    assert!(effects.removed.is_empty());
    assert_eq!(effects.lifted, [person((HAMILTON, "ann"))]);
}

#[test]
fn s2_only_what_a_row_replaces_makes_another_plan() {
    let replaced = |members: &[(&str, &str, Role)], row| {
        let mut plan = Plan::new(school(0, members), DateTime::UNIX_EPOCH);
        decide(&mut plan, vec![Ok(row)], &user("ada"))
            .remove(0)
            .unwrap()
    };
    let student = (HAMILTON, "ann", Role::Student);
    let added = || is((BIO, "ann"), Role::Student);
    // Whether the person is in the organization already makes no difference to the class.
    assert_eq!(replaced(&[], added()), replaced(&[student], added()));
    // Whose seat is freed does.
    let teaches = || is((BIO, "ann"), Role::CoTeacher);
    assert_ne!(replaced(&[], teaches()), replaced(&[student], teaches()));
    let in_class = |role| [student, (BIO, "ann", role)];
    let gone = || is_not((BIO, "ann"));
    assert_ne!(
        replaced(&in_class(Role::Student), gone()),
        replaced(&in_class(Role::CoTeacher), gone())
    );
}
