//! A row that cannot be read or written fails alone, and does not hold up the others.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::redemption::{Outcome, RedemptionState};

use crate::{
    fake_membership::Mode,
    world::{CLASS_CODE, CODE, World, assert_refused, told},
};

/// The trigger that prevents writing ann's reservations.
const REFUSE_ANNS_RESERVATIONS: &str = "CREATE TRIGGER poison BEFORE INSERT ON redemptions \
    WHEN NEW.user_id = 'ann' BEGIN SELECT RAISE(ABORT, 'poisoned'); END";
/// The trigger that prevents settling ann's reservations.
const REFUSE_ANNS_SETTLEMENTS: &str = "CREATE TRIGGER poison BEFORE UPDATE OF state ON redemptions \
    WHEN OLD.user_id = 'ann' BEGIN SELECT RAISE(ABORT, 'poisoned'); END";

/// Returns a world in which ann and bob have reserved, and membership was unreachable.
async fn two_reserved() -> World {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    for name in ["ann", "bob"] {
        world.redeem(name, CODE, "").await.unwrap_err();
        world.advance(TimeDelta::milliseconds(1));
    }
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::seconds(5));
    world
}

#[tokio::test]
async fn p13_what_cannot_be_read_is_leased_and_holds_up_no_other() {
    let world = two_reserved().await;
    let poison = "UPDATE redemptions SET kind = 'unheard_of' WHERE user_id = 'ann'";
    world.tamper(poison).await;
    let recovered = world.recover().await;
    assert_eq!((recovered.taken, recovered.settled), (1, 1));
    let cure = "UPDATE redemptions SET kind = 'enrollment_code' WHERE user_id = 'ann'";
    world.tamper(cure).await;
    let all = world.redemptions().await;
    assert_eq!(all[1].state, RedemptionState::Committed);
    assert_eq!((all[0].state, all[0].tries), (RedemptionState::Reserved, 1));
    let now = homeroom_kit::Clock::now(world.clock.as_ref());
    assert_eq!(all[0].next_try_time, now + TimeDelta::seconds(5));
}

#[tokio::test]
async fn p13_what_cannot_be_settled_holds_up_no_other() {
    let world = two_reserved().await;
    world.tamper(REFUSE_ANNS_SETTLEMENTS).await;
    let recovered = world.recover().await;
    assert_eq!((recovered.taken, recovered.settled), (2, 1));
    let states = [RedemptionState::Reserved, RedemptionState::Committed];
    assert_eq!(world.states().await, states);
    world.tamper("DROP TRIGGER poison").await;
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.recover().await.settled, 1);
}

#[tokio::test]
async fn p11_an_attempt_that_cannot_be_reserved_fails_alone() {
    let world = World::new().await;
    world.code(None).await;
    world.tamper(REFUSE_ANNS_RESERVATIONS).await;
    let attempts = ["ann", "bob", "cid"].map(|name| world.attempt(name, CODE, ""));
    let answers = world.redeem_all(attempts).await.into_iter().map(told);
    let (refused, admitted) = (Err(ErrorReason::Unspecified), Ok(Outcome::Admitted));
    let expected = [refused, admitted, admitted];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
    assert_eq!(world.states().await, [RedemptionState::Committed; 2]);
}

#[tokio::test]
async fn p11_an_invitation_that_cannot_be_read_fails_only_who_uses_it() {
    let world = World::new().await;
    world.code(None).await;
    world.class_code().await;
    let poison = "UPDATE invitations SET email_domains = '?' WHERE kind = 'class_code'";
    world.tamper(poison).await;
    let attempts = [("ann", CLASS_CODE), ("bob", CODE)];
    let attempts = attempts.map(|(name, code)| world.attempt(name, code, ""));
    let answers = world.redeem_all(attempts).await.into_iter().map(told);
    let expected = [Err(ErrorReason::Unspecified), Ok(Outcome::Admitted)];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn b6_a_rule_that_the_lists_call_too_broad_since_it_was_set_stays_as_it_stands() {
    let world = World::new().await;
    world.code(None).await;
    let broad = r#"UPDATE invitations SET email_domains = '["gmail.com", "co.uk"]'"#;
    world.tamper(broad).await;
    // It still asks for an address of its domains.
    assert_refused(&world, "ann", CODE, "", ErrorReason::EmailUnverified).await;
}

#[tokio::test]
async fn r10_our_own_defect_is_no_guess_of_the_persons() {
    let world = World::limited(|budgets| budgets.user_burst = 2).await;
    world.code(None).await;
    world.tamper(REFUSE_ANNS_RESERVATIONS).await;
    for _ in 0..5 {
        assert_refused(&world, "ann", CODE, "", ErrorReason::Unspecified).await;
    }
}
