//! A row that cannot be read or written fails alone, and does not hold up the others.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::{
    domain::{invitation::InvitationKind, redemption::RedemptionState},
    limiter::Budgets,
    redemption::drive::Recovered,
};

use crate::{
    fake_membership::Mode,
    world::{CODE, World},
};

const OTHER_CODE: &str = "HAMILTON-CHEM202";
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
    let bob = world.redemptions().await[1].id;
    world
        .tamper("UPDATE redemptions SET kind = 'unheard_of' WHERE user_id = 'ann'")
        .await;
    let recovered = world.recover().await;
    assert_eq!((recovered.taken, recovered.settled), (1, 1));
    let mut repository = world.app.store.read().await.unwrap();
    let settled = repository.get_redemptions(&[bob]).await.unwrap();
    drop(repository);
    assert_eq!(settled[0].state, RedemptionState::Committed);
    world
        .tamper("UPDATE redemptions SET kind = 'enrollment_code' WHERE user_id = 'ann'")
        .await;
    let all = world.redemptions().await;
    assert_eq!((all[0].state, all[0].tries), (RedemptionState::Reserved, 1));
    let now = homeroom_kit::Clock::now(world.clock.as_ref());
    assert_eq!(all[0].next_try_time, now + TimeDelta::seconds(5));
}

#[tokio::test]
async fn p13_what_cannot_be_settled_holds_up_no_other() {
    let world = two_reserved().await;
    world.tamper(REFUSE_ANNS_SETTLEMENTS).await;
    assert_eq!(
        world.recover().await,
        Recovered {
            taken: 2,
            settled: 1
        }
    );
    assert_eq!(
        world.states().await,
        [RedemptionState::Reserved, RedemptionState::Committed]
    );
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
    let results = world.app.redemptions.redeem_many(attempts.into()).await;
    let reasons = results
        .iter()
        .map(|result| result.as_ref().map_err(homeroom_kit::Error::reason).err())
        .collect::<Vec<_>>();
    assert_eq!(reasons, [Some(ErrorReason::Unspecified), None, None]);
    world.quiet().await;
    assert_eq!(world.states().await, [RedemptionState::Committed; 2]);
}

#[tokio::test]
async fn p11_an_invitation_that_cannot_be_read_fails_only_who_uses_it() {
    let world = World::new().await;
    world.code(None).await;
    world
        .invitation(InvitationKind::EnrollmentCode, OTHER_CODE, |row| {
            row.display_name = "poisoned".to_owned();
        })
        .await;
    world
        .tamper("UPDATE invitations SET email_domains = '?' WHERE display_name = 'poisoned'")
        .await;
    let attempts = vec![
        world.attempt("ann", OTHER_CODE, ""),
        world.attempt("bob", CODE, ""),
    ];
    let results = world.app.redemptions.redeem_many(attempts).await;
    let error = results[0].as_ref().unwrap_err();
    assert_eq!(error.reason(), ErrorReason::Unspecified);
    assert!(results[1].is_ok());
}

#[tokio::test]
async fn b6_a_rule_that_the_lists_call_too_broad_since_it_was_set_stays_as_it_stands() {
    let world = World::new().await;
    world.code(None).await;
    world
        .tamper(r#"UPDATE invitations SET email_domains = '["gmail.com", "co.uk"]'"#)
        .await;
    let error = world.redeem("ann", CODE, "").await.unwrap_err();
    // It still asks for an address of its domains.
    assert_eq!(error.reason(), ErrorReason::EmailUnverified);
}

#[tokio::test]
async fn r10_our_own_defect_is_no_guess_of_the_persons() {
    let world = World::with_budgets(Budgets {
        user_burst: 2,
        ..Budgets::default()
    })
    .await;
    world.code(None).await;
    world.tamper(REFUSE_ANNS_RESERVATIONS).await;
    for _ in 0..5 {
        assert_eq!(
            world.refusal("ann", CODE, "").await,
            ErrorReason::Unspecified
        );
    }
}
