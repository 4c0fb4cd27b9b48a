//! A person is erased here and in membership, whatever fails in between (R13).

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, ids::UserId};
use homeroom_invitations::{
    domain::{audit_entry::AuditFilter, invitation::Uses, redemption::RedemptionState},
    store::Erasure,
};
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    database::Url,
    erasure::Replacement,
    request_ids::{BodyMac, Claimed, RequestKey},
};
use uuid::Uuid;

use crate::{
    databases::Database,
    fake_membership::Mode,
    world::{CLASS_CODE, CODE, REQUEST, World, caller, redeem_in_vain, user},
};

fn eraser() -> Caller {
    caller("platform").with_scopes([Scope::Platform])
}

fn once(world: &World) -> (RequestKey, BodyMac) {
    let id = Uuid::try_parse(REQUEST).unwrap();
    let body = BodyMac::of_bytes(&world.app.keys, b"erase ann");
    (RequestKey::new(&eraser(), id), body)
}

async fn erase(world: &World, request: Option<Claimed>) -> Result<()> {
    world
        .app
        .replace_user(&eraser(), (user("ann"), None), request)
        .await
}

/// Returns a world in which ann has come in by a code.
async fn with_ann() -> World {
    let world = World::new().await;
    world.code(None).await;
    world.redeem("ann", CODE, "").await.unwrap();
    world
}

/// Makes an erasure that membership does and whose answer is lost.
async fn lose_the_answer(world: &World, request: Option<Claimed>) {
    world.membership.set(Mode::LosesAnswers);
    let refused = erase(world, request).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::MembershipUnavailable);
    world.membership.set(Mode::Up);
}

async fn users(world: &World) -> Vec<UserId> {
    let all = world.redemptions().await;
    all.into_iter().map(|one| one.person.user).collect()
}

async fn assert_erased(world: &World) {
    let users = users(world).await;
    let pseudonyms = world.membership.state().erasures.clone();
    let is_known = |user: &UserId| pseudonyms.contains(&user.to_string());
    assert!(users.iter().all(is_known), "{users:?} {pseudonyms:?}");
}

#[tokio::test]
async fn r13_a_redemption_under_way_ends_before_its_person_is_erased() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CODE, REQUEST).await;
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    erase(&world, None).await.unwrap();
    // Its use is spent: membership had let her in (P1).
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.uses(code).await.used, 1);
    assert_erased(&world).await;
}

#[tokio::test]
async fn r13_who_waits_is_erased_and_the_use_is_free_at_once() {
    let world = World::new().await;
    let code = world.locked_class_code().await;
    world.redeem("ann", CLASS_CODE, "").await.unwrap();
    erase(&world, None).await.unwrap();
    assert_eq!(world.states().await, [RedemptionState::Released]);
    assert_eq!(world.uses(code).await, Uses::default());
    assert_erased(&world).await;
    // She may wait again, as a new person.
    world.redeem("ann", CLASS_CODE, "").await.unwrap();
    assert_eq!(world.uses(code).await.queued, 1);
}

#[tokio::test]
async fn r13_of_two_erasures_of_one_person_at_once_one_begins() {
    let world = World::new().await;
    let erasure = |pseudonym: &str| Erasure {
        id: user(pseudonym),
        replacement: Replacement {
            user: user("ann"),
            by: user(pseudonym),
        },
        known: Vec::new(),
        actor: "platform".to_owned(),
        create_time: world.app.clock.now(),
    };
    let mut session = world.app.store.write().await.unwrap();
    assert!(session.insert_erasure(&erasure("erased-1")).await.unwrap());
    assert!(!session.insert_erasure(&erasure("erased-2")).await.unwrap());
    let begun = session.find_erasure_of(&user("ann")).await.unwrap();
    assert_eq!(begun, Some(erasure("erased-1")));
}

#[tokio::test]
async fn r13_an_erasure_without_membership_begins_not_at_all() {
    let world = with_ann().await;
    world.membership.set(Mode::Away);
    let refused = erase(&world, None).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::MembershipUnavailable);
    assert!(refused.retry_delay().is_some());
    assert_eq!(users(&world).await, [user("ann")]);
}

#[tokio::test]
async fn r13_an_erasure_whose_answer_was_lost_is_finished_under_the_same_pseudonym() {
    let world = with_ann().await;
    lose_the_answer(&world, Some(once(&world))).await;
    assert_eq!(users(&world).await, [user("ann")]);
    // The worker leaves it to its caller for some seconds, and then finishes it.
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 0);
    world.advance(TimeDelta::seconds(6));
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 1);
    assert_eq!(world.membership.state().erasures.len(), 1);
    assert_erased(&world).await;

    // A person who comes under that id meanwhile is not erased by the retry, which is answered nevertheless.
    world.redeem("ann", CODE, "").await.unwrap();
    erase(&world, Some(once(&world))).await.unwrap();
    assert_eq!(world.membership.state().erasures.len(), 1);
    let named = users(&world).await;
    assert_eq!(named.iter().filter(|one| **one == user("ann")).count(), 1);
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 0);
}

#[tokio::test]
async fn r13_the_retry_itself_finishes_what_was_begun() {
    let world = with_ann().await;
    lose_the_answer(&world, Some(once(&world))).await;
    erase(&world, Some(once(&world))).await.unwrap();
    assert_eq!(world.membership.state().erasures.len(), 1);
    assert_erased(&world).await;
}

#[tokio::test]
async fn r13_who_redeems_between_the_two_services_stays_as_somebody_who_has_come_since() {
    let world = with_ann().await;
    lose_the_answer(&world, None).await;
    // Membership has erased, this service has not, and she is back.
    world.advance(TimeDelta::seconds(6));
    world.redeem("ann", CODE, "").await.unwrap();
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 1);
    let named = users(&world).await;
    assert!(named[0].is_pseudonym());
    assert_eq!(named[1], user("ann"));
}

#[tokio::test]
async fn r13_whom_classes_need_is_not_erased_also_if_it_shows_late() {
    let world = with_ann().await;
    world.membership.state().owners.insert("ann".to_owned());
    let refused = erase(&world, Some(once(&world))).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::LastOwner);
    world.advance(TimeDelta::seconds(6));
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 0);
    assert_eq!(users(&world).await, [user("ann")]);
    // Then she can be erased, and the same request id works.
    world.membership.state().owners.clear();
    erase(&world, Some(once(&world))).await.unwrap();
    assert_erased(&world).await;
}

/// Returns the tables that a session which waits for another one has touched, once there is one.
async fn tables_of_who_waits(database: &Database) -> Vec<String> {
    database.until_a_session_waits().await;
    let held = "SELECT DISTINCT class.relname::text FROM pg_locks lock \
        JOIN pg_class class ON class.oid = lock.relation \
        JOIN pg_stat_activity session ON session.pid = lock.pid \
        WHERE session.datname = current_database() AND session.wait_event_type = 'Lock' \
        AND class.relkind = 'r' ORDER BY 1";
    database.select(held).await
}

/// Runs the last step of one erasure in two processes at once. Returns the tables that the second one has touched while
/// it waits; none on SQLite, which has one writer.
async fn loser_of_an_erasure(world: &World) -> Vec<String> {
    world.code(None).await;
    world.redeem("ann", CODE, "").await.unwrap();
    world.follow().await;
    lose_the_answer(world, None).await;
    world.advance(TimeDelta::seconds(6));
    let now = world.app.clock.now();
    // Given a process that has begun the step
    let mut winner = world.app.store.write().await.unwrap();
    let erasure = winner.list_erasures_under_way(now, 1).await.unwrap();
    let pseudonym = &erasure[0].id;
    assert!(winner.end_erasure(pseudonym, now).await.unwrap());
    // and another that has come to it too,
    let asked = world.membership.state().reads.len();
    let app = world.app.clone();
    let losing = tokio::spawn(async move { app.finish_erasures_once().await });
    while world.membership.state().reads.len() == asked {
        tokio::task::yield_now().await;
    }
    let read = match world.database.url {
        Url::Postgres(_) => tables_of_who_waits(&world.database).await,
        Url::Sqlite(_) => Vec::new(),
    };
    // when the first has finished, and she has come since,
    winner.commit("test").await.unwrap();
    assert_eq!(losing.await.unwrap().unwrap(), 1, "it is done");
    // then the second has changed nothing.
    assert_eq!(users(world).await, [user("ann")]);
    assert_eq!(world.app.finish_erasures_once().await.unwrap(), 0);
    read
}

#[tokio::test]
async fn r13_of_two_steps_of_an_erasure_the_loser_waits_for_one_row_and_changes_nothing() {
    loser_of_an_erasure(&World::new().await).await;
    let world = World::on_postgres().await;
    assert_eq!(loser_of_an_erasure(&world).await, ["erasures"]);
}

#[tokio::test]
async fn r13_ten_erasures_of_a_person_at_once_are_all_answered_and_leave_nothing() {
    let world = with_ann().await;
    let erasures = (0..10).map(|_| erase(&world, None));
    for erased in futures::future::join_all(erasures).await {
        erased.unwrap();
    }
    assert!(users(&world).await.iter().all(UserId::is_pseudonym));
}

#[tokio::test]
async fn r13_without_membership_no_half_of_the_records_is_listed() {
    let world = with_ann().await;
    let page = world.app.paging.parse(10, "", "list").unwrap();
    let entries = async || {
        let mut repository = world.app.store.read().await.unwrap();
        let every = AuditFilter::default();
        let all = repository.list_audit_entries(&every, None, 100);
        all.await.unwrap().len()
    };
    let before = entries().await;
    world.membership.set(Mode::Away);
    let listed = world.app.user_records(&eraser(), user("ann"), &page).await;
    let refused = listed.map(drop).unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::MembershipUnavailable);
    assert_eq!(entries().await, before);
    world.membership.set(Mode::Up);
    let listed = world.app.user_records(&eraser(), user("ann"), &page).await;
    assert!(!listed.unwrap().items.is_empty());
    assert_eq!(entries().await, before + 1);
}
