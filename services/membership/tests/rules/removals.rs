//! Removals by staff (R8).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    membership::v1::{
        RemoveClassMemberRequest, RemoveOrganizationMemberRequest, admission::Outcome,
        admit_request::Route,
    },
};

use crate::{
    support::{Database, on_both_engines},
    world::{BIO, Caller, HAMILTON, World, add, answer},
};

on_both_engines!(
    r8_whom_staff_removed_goes_to_the_queue,
    r8_who_left_comes_back_at_once,
    r8_being_added_by_staff_lifts_the_removal,
);

async fn leave_class(caller: &mut Caller, user: &str) {
    let request = RemoveClassMemberRequest {
        name: format!("{BIO}/members/{user}"),
        ..RemoveClassMemberRequest::default()
    };
    answer(caller.members.remove_class_member(request).await).unwrap();
}

async fn leave_organization(caller: &mut Caller, user: &str) {
    let request = RemoveOrganizationMemberRequest {
        name: format!("{HAMILTON}/members/{user}"),
        ..RemoveOrganizationMemberRequest::default()
    };
    answer(caller.members.remove_organization_member(request).await).unwrap();
}

async fn r8_whom_staff_removed_goes_to_the_queue(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let (mut ada, mut tess) = (world.user("ada"), world.user("tess"));
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    leave_class(&mut tess, "sam").await;
    // The seat stays: sam is still in the organization (R7).
    assert_eq!(world.seats().await.seats_used, 1);
    let queued = world.admit(BIO, "sam", Route::AdmitAtOnce, 1).await;
    assert_eq!(queued.outcome(), Outcome::Queued);

    add(&mut ada, BIO, "sue", Role::Student).await.unwrap();
    leave_organization(&mut ada, "sue").await;
    let queued = world.admit(BIO, "sue", Route::AdmitAtOnce, 2).await;
    assert_eq!(queued.outcome(), Outcome::Queued);
    world
        .clock
        .advance(TimeDelta::hours(1) + TimeDelta::microseconds(1));
    // The invitation is newer than the removal now.
    let admitted = world.admit(BIO, "sue", Route::AdmitAtOnce, 3).await;
    assert_eq!(admitted.outcome(), Outcome::Admitted);
    let seats = world.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting), (2, 1));
    world.end().await;
}

async fn r8_who_left_comes_back_at_once(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let (mut ada, mut sam) = (world.user("ada"), world.user("sam"));
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    leave_class(&mut sam, "sam").await;
    let admitted = world.admit(BIO, "sam", Route::AdmitAtOnce, 1).await;
    assert_eq!(admitted.outcome(), Outcome::Admitted);
    leave_organization(&mut sam, "sam").await;
    assert_eq!(world.seats().await.seats_used, 0);
    let admitted = world.admit(BIO, "sam", Route::AdmitAtOnce, 2).await;
    assert_eq!(admitted.outcome(), Outcome::Admitted);
    assert_eq!(world.seats().await.seats_used, 1);
    world.end().await;
}

async fn r8_being_added_by_staff_lifts_the_removal(database: &Database) {
    let world = World::start(database).await;
    world.hamilton(0).await;
    let (mut ada, mut sam) = (world.user("ada"), world.user("sam"));
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    leave_class(&mut ada, "sam").await;
    leave_organization(&mut ada, "sam").await;
    add(&mut ada, BIO, "sam", Role::Student).await.unwrap();
    leave_organization(&mut sam, "sam").await;
    let admitted = world.admit(BIO, "sam", Route::AdmitAtOnce, 1).await;
    assert_eq!(admitted.outcome(), Outcome::Admitted);
    world.end().await;
}
