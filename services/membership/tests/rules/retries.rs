//! Request ids (R3) and the feed (R11).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::{ErrorReason, ListEventsRequest},
    membership::v1::{AddOrganizationMemberRequest, Member},
};

use crate::{
    support::{Database, on_both_engines},
    world::{BIO, Caller, HAMILTON, World, answer},
};

on_both_engines!(
    r3_a_retry_answers_the_same_for_24_hours,
    r11_the_feed_is_read_by_staff_of_its_parent,
);

async fn add(caller: &mut Caller, user: &str, id: u128) -> Result<Member, ErrorReason> {
    let request = AddOrganizationMemberRequest {
        parent: HAMILTON.to_owned(),
        member: Some(Member {
            user: user.to_owned(),
            ..Member::default()
        }),
        request_id: uuid::Uuid::from_u128(id).to_string(),
    };
    answer(caller.members.add_organization_member(request).await)
}

async fn r3_a_retry_answers_the_same_for_24_hours(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(1).await;
    let mut ada = world.user("ada");
    let added = add(&mut ada, "sam", 1).await.unwrap();
    world.clock.advance(TimeDelta::hours(24));
    assert_eq!(add(&mut ada, "sam", 1).await.unwrap(), added);
    assert_eq!(world.seats().await.seats_used, 1);
    let conflict = add(&mut ada, "sue", 1).await;
    assert_eq!(conflict, Err(ErrorReason::RequestIdConflict));
    // The ids of another caller are different ids.
    let other = add(&mut world.user("tess"), "sam", 1).await;
    assert_eq!(other, Err(ErrorReason::RoleRequired));
    // A refusal is not stored: a repetition is decided anew.
    assert_eq!(add(&mut ada, "sue", 2).await, Err(ErrorReason::NoSeats));
    assert_eq!(add(&mut ada, "sue", 2).await, Err(ErrorReason::NoSeats));
    world.clock.advance(TimeDelta::microseconds(1));
    let app = world.service.app();
    assert_eq!(app.prune_request_ids().await.unwrap(), 1);
    assert_eq!(
        add(&mut ada, "sam", 1).await,
        Err(ErrorReason::MemberExists)
    );
    world.end().await;
}

async fn r11_the_feed_is_read_by_staff_of_its_parent(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    add(&mut world.user("ada"), "sam", 1).await.unwrap();
    for (user, parent, expected) in [
        ("ada", HAMILTON, Ok(6)),
        ("ada", BIO, Ok(2)),
        ("tess", BIO, Ok(2)),
        ("tess", HAMILTON, Err(ErrorReason::RoleRequired)),
        ("sam", HAMILTON, Err(ErrorReason::RoleRequired)),
        ("sam", BIO, Err(ErrorReason::ClassNotFound)),
        ("ada", "organizations/-", Err(ErrorReason::ScopeMissing)),
    ] {
        let request = ListEventsRequest {
            parent: parent.to_owned(),
            ..ListEventsRequest::default()
        };
        let listed = answer(world.user(user).events.list_events(request).await);
        let count = listed.map(|listed| listed.events.len());
        assert_eq!(count, expected, "{user} in {parent}");
    }
    let types = world.event_types("organizations/-").await;
    let expected = [
        "organization.created",
        "member.joined",
        "member.joined",
        "class.created",
        "member.joined",
        "member.joined",
    ];
    assert_eq!(types, expected);
    world.end().await;
}
