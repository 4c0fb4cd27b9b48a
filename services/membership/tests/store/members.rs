//! Members of organizations and classes, and removals by staff.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::database::Url;
use homeroom_membership::{
    domain::{
        access::{ClassStanding, Standing},
        class::ClassState,
        member::{Member, Particulars, Role, SetByHand},
    },
    store::{Effects, PersonAt, Repository, Wanted},
};

use crate::{
    samples::{
        BIO, HAMILTON, class_name, hamilton, member, now, open, organization, organization_id,
        place, user, write, write_to_hamilton,
    },
    support::{Database, on_both_engines},
};

/// A class that nobody is in.
const EMPTY: &str = "organizations/hamilton/classes/empty";

on_both_engines!(
    a_class_member_shows_what_the_organization_keeps,
    i2_a_class_member_is_an_organization_member_and_each_only_once,
    a_standing_tells_place_and_roles,
    memberships_are_listed_organization_first,
    c6_staff_are_the_owner_and_the_co_teachers_or_the_administrators,
    deleting_an_organization_ends_its_memberships,
    r8_a_removal_is_kept_until_it_is_lifted,
    u14_whatever_staff_may_have_set_before_the_upgrade_stays,
);

async fn a_class_member_shows_what_the_organization_keeps(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let sam = member(HAMILTON, "sam", Role::Student);
    let in_class = Member {
        particulars: Particulars::default(),
        ..member(BIO, "sam", Role::CoTeacher)
    };
    let both = [sam.clone(), in_class.clone()];
    session.insert_members(&both).await.unwrap();
    let found = session.member(&place(HAMILTON), &sam.user).await.unwrap();
    assert_eq!(found, Some(sam.clone()));
    let found = session.member(&place(BIO), &sam.user).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.particulars, sam.particulars);
    assert_eq!((found.role, found.revision), (Role::CoTeacher, 2));
    assert_eq!(found.provenance, in_class.provenance);

    let renamed = Member {
        particulars: Particulars {
            display_name: "Sam".to_owned(),
            email: String::new(),
            external_id: String::new(),
        },
        role: Role::Teacher,
        ..sam
    };
    session.save_member(&renamed).await.unwrap();
    let demoted = Member {
        role: Role::Student,
        ..in_class
    };
    session.save_member(&demoted).await.unwrap();
    let sam = user("sam");
    let found = session.member(&place(BIO), &sam).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.particulars, renamed.particulars);
    assert_eq!((found.role, found.revision), (Role::Student, 4));
    let hamilton = organization_id("hamilton");
    let classes = session.class_memberships(&hamilton, [&sam]);
    assert_eq!(classes.await.unwrap(), [found]);
    for name in [BIO, HAMILTON] {
        session
            .delete_members_of(&place(name), [&sam])
            .await
            .unwrap();
        let gone = session.member(&place(name), &sam).await.unwrap();
        assert_eq!(gone, None);
    }
}

async fn i2_a_class_member_is_an_organization_member_and_each_only_once(database: &Database) {
    let store = open(database).await;
    for (rows, refused) in [
        (vec![member(BIO, "eve", Role::Student)], true),
        (vec![member(HAMILTON, "ada", Role::Student)], true),
        (vec![member(BIO, "tess", Role::Student)], true),
        (vec![member(BIO, "ada", Role::Student)], false),
    ] {
        let mut session = store.write().await.unwrap();
        hamilton(&mut session).await;
        let inserted = session.insert_members(&rows).await;
        assert_eq!(inserted.is_err(), refused, "{rows:?}");
        session.rollback().await;
    }
}

async fn a_standing_tells_place_and_roles(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let organization = Standing {
        organization_display_name: "The hamilton school".to_owned(),
        code_prefix: "HAMILTON".to_owned(),
        seat_limit: 300,
        class: None,
        role_in_organization: Some(Role::Teacher),
        role_in_class: None,
    };
    let class = Standing {
        class: Some(ClassStanding {
            display_name: "Biology 101".to_owned(),
            state: ClassState::Active,
        }),
        role_in_class: Some(Role::Owner),
        ..organization.clone()
    };
    let stranger = Standing {
        role_in_organization: None,
        role_in_class: None,
        ..class.clone()
    };
    for (name, who, expected) in [
        (HAMILTON, "tess", Some(organization.clone())),
        (BIO, "tess", Some(class)),
        (BIO, "eve", Some(stranger)),
        (EMPTY, "tess", Some(organization)),
        ("organizations/nowhere", "tess", None),
        ("organizations/nowhere/classes/bio", "tess", None),
    ] {
        let found = session.standing(&place(name), &user(who)).await.unwrap();
        assert_eq!(found, expected, "{who} in {name}");
    }
    session.delete_members(&place(BIO)).await.unwrap();
    let bio = class_name(BIO);
    session.delete_class(&bio, now()).await.unwrap();
    let found = session.standing(&place(BIO), &user("tess")).await.unwrap();
    assert_eq!(found.unwrap().class, None);
}

async fn memberships_are_listed_organization_first(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let adams = organization("adams", "ADAMS");
    session.insert_organization(&adams).await.unwrap();
    let there = [member("organizations/adams", "tess", Role::Student)];
    session.insert_members(&there).await.unwrap();
    let (tess, mut after) = (user("tess"), None);
    for expected in ["organizations/adams", HAMILTON, BIO] {
        let next = session.list_memberships(&tess, after.as_ref(), 1);
        let [next] = next.await.unwrap().try_into().unwrap();
        assert_eq!(next.place, place(expected));
        after = Some(next.place);
    }
    let whole = session.list_memberships(&tess, None, 10).await;
    assert_eq!(whole.unwrap().len(), 3);
}

async fn c6_staff_are_the_owner_and_the_co_teachers_or_the_administrators(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    let members = [
        member(HAMILTON, "cora", Role::Teacher),
        member(BIO, "cora", Role::CoTeacher),
        member(HAMILTON, "sam", Role::Student),
        member(BIO, "sam", Role::Student),
    ];
    session.insert_members(&members).await.unwrap();
    let places = BTreeSet::from([BIO, HAMILTON, EMPTY].map(place));
    let staff = session.staff(&places).await.unwrap();
    let expected = BTreeMap::from([
        (place(BIO), vec![user("tess"), user("cora")]),
        (place(HAMILTON), vec![user("ada")]),
    ]);
    assert_eq!(staff, expected);
    let none = session.staff(&BTreeSet::new()).await.unwrap();
    assert!(none.is_empty());
}

async fn deleting_an_organization_ends_its_memberships(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    session.delete_members(&place(HAMILTON)).await.unwrap();
    let left = session.list_memberships(&user("tess"), None, 10).await;
    assert!(left.unwrap().is_empty());
}

async fn r8_a_removal_is_kept_until_it_is_lifted(database: &Database) {
    let (_store, mut session) = write(database).await;
    let later = now() + TimeDelta::microseconds(1);
    let sam = user("sam");
    for (name, at) in [(HAMILTON, now()), (BIO, now()), (BIO, later)] {
        let recorded = session.record_removals(&place(name), [&sam], at).await;
        recorded.unwrap();
    }
    let at = |name: &str| (place(name), user("sam"));
    let kept = removals(&mut session).await;
    let both = BTreeMap::from([(at(BIO), later), (at(HAMILTON), now())]);
    assert_eq!(kept, both, "the later removal counts");
    let lifted = Effects {
        lifted: vec![at(HAMILTON)],
        ..Effects::default()
    };
    session.save(&lifted).await.unwrap();
    let left = removals(&mut session).await;
    assert_eq!(left, BTreeMap::from([(at(BIO), later)]));
    session.forget_removals(&place(HAMILTON)).await.unwrap();
    let left = removals(&mut session).await;
    assert!(left.is_empty(), "those of its classes too");
}

/// Returns Sam's removals.
async fn removals(session: &mut Repository) -> BTreeMap<PersonAt, DateTime<Utc>> {
    let wanted = Wanted::person((place(BIO), user("sam")));
    session.facts(&[wanted]).await.unwrap().removals
}

async fn u14_whatever_staff_may_have_set_before_the_upgrade_stays(database: &Database) {
    let (store, session) = write_to_hamilton(database).await;
    session.commit("test").await.unwrap();
    // Given members as the previous version stores them: joined, joined and changed, and added,
    let legacy = "UPDATE organization_members SET set_by_hand = 0; \
        INSERT INTO organization_members (organization_id, user_id, display_name, email, external_id, role, \
        join_time, invitation, redemption, approved_by, method, revision, set_by_hand) VALUES \
        ('hamilton', 'eve', 'Eve', 'e@x.org', ' s-1 ', 'STUDENT', 0, '', '', '', 'CLASS_CODE', 1, 0), \
        ('hamilton', 'kim', 'Kim', '', 's 2', 'STUDENT', 0, '', '', '', 'CLASS_CODE', 2, 0), \
        ('hamilton', 'lee', '', 'l@x.org', '', 'STUDENT', 0, '', '', '', 'ADDED', 1, 0)";
    database.run(legacy).await;
    // when the schema is brought up to date,
    let migration = match database.url {
        Url::Postgres(_) => include_str!("../../migrations/postgres/0007_set_by_hand.sql"),
        Url::Sqlite(_) => include_str!("../../migrations/sqlite/0007_set_by_hand.sql"),
    };
    database.run(migration).await;
    // then what staff may have typed counts as theirs, and blanks around an id are gone.
    let mut session = store.read().await.unwrap();
    for (who, set_by_hand, external_id) in
        [("eve", 0, "s-1"), ("kim", 1 | 4, "s 2"), ("lee", 2, "")]
    {
        let found = session.member(&place(HAMILTON), &user(who)).await.unwrap();
        let found = found.unwrap();
        assert_eq!(found.set_by_hand, SetByHand(set_by_hand), "{who}");
        assert_eq!(found.particulars.external_id, external_id, "{who}");
    }
}
