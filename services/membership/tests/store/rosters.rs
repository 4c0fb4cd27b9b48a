//! What an import reads and writes, for any number of persons in one statement.

use std::collections::{BTreeMap, BTreeSet};

use homeroom_api::ids::UserId;
use homeroom_membership::{
    domain::member::{Member, Role},
    store::{Effects, PersonAt, Wanted},
};

use crate::{
    samples::{BIO, HAMILTON, member, now, organization_id, place, user, write_to_hamilton},
    support::{Database, on_both_engines},
};

on_both_engines!(
    an_import_reads_the_classes_and_the_counts_of_many,
    an_import_ends_changes_and_removes_many_at_once,
);

fn at(name: &str, who: &str) -> PersonAt {
    (place(name), user(who))
}

async fn an_import_reads_the_classes_and_the_counts_of_many(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let members = ["sam", "sue"].map(|who| member(HAMILTON, who, Role::Student));
    session.insert_members(&members).await.unwrap();
    let sam = member(BIO, "sam", Role::CoTeacher);
    session.insert_members(&[sam]).await.unwrap();
    let hamilton = organization_id("hamilton");
    let users: BTreeSet<UserId> = ["sam", "sue", "tess", "nobody"].map(user).into();
    let found = session.class_memberships(&hamilton, &users).await.unwrap();
    let found: Vec<(String, Role)> = found
        .into_iter()
        .map(|member| (member.user.to_string(), member.role))
        .collect();
    let expected = [("sam", Role::CoTeacher), ("tess", Role::Owner)];
    assert_eq!(found, expected.map(|(who, role)| (who.to_owned(), role)));
    let requests = session.open_requests_of(&hamilton, &users).await.unwrap();
    assert_eq!(requests, []);
    let physics = "organizations/hamilton/classes/physics";
    let places = [HAMILTON, BIO, physics].map(place);
    let expected: BTreeMap<_, _> = places.into_iter().zip([4, 2, 0]).collect();
    let places = expected.keys().cloned().collect();
    let counts = session.member_counts(&hamilton, &places).await.unwrap();
    assert_eq!(counts, expected);
}

async fn an_import_ends_changes_and_removes_many_at_once(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let people = ["sam", "sue", "sid"];
    for name in [HAMILTON, BIO] {
        let members = people.map(|who| member(name, who, Role::Student));
        session.insert_members(&members).await.unwrap();
    }
    let promoted = Member {
        role: Role::CoTeacher,
        ..member(BIO, "sid", Role::Student)
    };
    let effects = Effects {
        ended: [at(BIO, "sam"), at(HAMILTON, "sue"), at(BIO, "sue")].into(),
        roles: [(at(BIO, "sid"), promoted)].into(),
        removed: [(at(BIO, "sam"), now()), (at(HAMILTON, "sue"), now())].into(),
        ..Effects::default()
    };
    // Once more changes nothing but the revision of the role.
    for _ in 0..2 {
        session.save(&effects).await.unwrap();
    }
    for (name, who, role) in [
        (BIO, "sam", None),
        (HAMILTON, "sam", Some(Role::Student)),
        (HAMILTON, "sue", None),
        (BIO, "sue", None),
        (BIO, "sid", Some(Role::CoTeacher)),
        (HAMILTON, "sid", Some(Role::Student)),
    ] {
        let found = session.member(&place(name), &user(who)).await.unwrap();
        assert_eq!(found.map(|member| member.role), role, "{who} in {name}");
    }
    let wanted = ["sam", "sue"].map(|who| Wanted::person(at(BIO, who)));
    let known = session.facts(&wanted).await.unwrap();
    assert_eq!(known.removals, effects.removed);
}
