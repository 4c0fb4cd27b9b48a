//! Outcomes that membership leaves open: replies that lack a row, lost replies that are asked for in other batches, and
//! an epoch that stays stale.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::{
    invitation::Epoch,
    redemption::{Outcome, RedemptionState},
};

use crate::{
    fake_membership::{FakeState, Mode},
    world::{CODE, REQUEST, World, assert_outcome, set_secret, uses},
};

#[tokio::test]
async fn p11_a_row_that_a_reply_lacks_is_unknown_and_never_refused() {
    let world = World::new().await;
    let code = world.code(Some(3)).await;
    world.membership.set(Mode::ForgetsTheLast);
    let attempts = ["ann", "bob", "cid"].map(|name| world.attempt(name, CODE, ""));
    let mut answers = world.redeem_all(attempts).await;
    // The outcome of the last is unknown, and it keeps its use; the others have their answers.
    let unknown = answers.pop().unwrap().unwrap_err();
    assert_eq!(unknown.reason(), ErrorReason::MembershipUnavailable);
    assert!(unknown.retry_delay().is_some());
    for answer in answers {
        assert_eq!(answer.unwrap().outcome, Outcome::Admitted);
    }
    assert_eq!(world.uses(code).await, uses(2, 1, 0));
    // Recovery asks again, and learns that the person was admitted.
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::seconds(5));
    assert_eq!(world.recover().await.settled, 1);
    assert_eq!(world.states().await, [RedemptionState::Committed; 3]);
    assert_eq!(world.uses(code).await, uses(3, 0, 0));
    assert_eq!(world.membership.state().members.len(), 3);
}

#[tokio::test]
async fn p11_recovery_asks_in_other_batches_and_admits_nobody_twice() {
    let world = World::new().await;
    let code = world.code(None).await;
    world.membership.set(Mode::LosesAnswers);
    let attempts = ["ann", "bob", "cid"].map(|name| world.attempt(name, CODE, ""));
    for answer in world.redeem_all(attempts).await {
        answer.unwrap_err();
    }
    world.redeem("dan", CODE, "").await.unwrap_err();
    assert_eq!(world.membership.state().largest_call, 3);
    // All four are asked about in one call.
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.recover().await.settled, 4);
    let asked = |state: &FakeState| (state.largest_call, state.heard.len(), state.members.len());
    assert_eq!(asked(&world.membership.state()), (4, 8, 4));
    assert_eq!(world.states().await, [RedemptionState::Committed; 4]);
    assert_eq!(world.uses(code).await, uses(4, 0, 0));
}

#[tokio::test]
async fn p7_an_epoch_that_stays_stale_ends_after_three_rounds_as_not_known() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    let name = world.stored(code).await.invitation.name().to_string();
    // Given a fence far above the invitation's epoch, as after a restored backup
    let fence = 9;
    world.membership.state().fences.insert(name, fence);
    let ended = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    // Then the caller is told to come again, and no use is held or left open.
    assert_eq!(ended.reason(), ErrorReason::MembershipUnavailable);
    assert!(ended.retry_delay().is_some());
    assert_eq!(world.membership.state().heard.len(), 3);
    assert_eq!(world.states().await, [RedemptionState::Released; 3]);
    let open = world.redemptions().await;
    assert!(open.iter().all(|one| one.outcome.is_none()));
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    // And once staff have reset it as often, the same request id is answered.
    let keys = world.app.keys.clone();
    world
        .change(code, |row| {
            row.invitation.epoch = Epoch::new(fence);
            set_secret(row, CODE, &keys);
        })
        .await;
    world.advance(TimeDelta::milliseconds(1));
    assert_outcome(&world, "ann", CODE, REQUEST, Outcome::Admitted).await;
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p13_membership_has_two_seconds_to_admit() {
    let world = World::new().await;
    world.code(None).await;
    let two_seconds = Duration::from_secs(2);
    let asked_between = async |world: &World, from: Instant| {
        let deadline = world.membership.state().admit_deadlines.pop().flatten();
        let deadline = deadline.expect("a deadline is given");
        assert!(deadline >= from + two_seconds);
        assert!(deadline <= Instant::now() + two_seconds);
    };
    world.membership.set(Mode::LosesAnswers);
    let from = Instant::now();
    world.redeem("ann", CODE, "").await.unwrap_err();
    asked_between(&world, from).await;
    // Recovery allows no more time.
    world.advance(TimeDelta::seconds(5));
    let from = Instant::now();
    world.recover().await;
    asked_between(&world, from).await;
}
