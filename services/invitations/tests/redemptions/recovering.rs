//! Recovery: redemptions that membership has not answered are driven forward, and never back.

use std::time::Duration;

use chrono::TimeDelta;
use homeroom_invitations::{
    app::workers::{Pauses, start},
    domain::redemption::RedemptionState,
    redemption::drive::{Recovered, STUCK_AFTER_TRIES, is_stuck},
};
use homeroom_kit::shutdown::Shutdown;
use tokio::time::timeout;

use crate::{
    fake_membership::Mode,
    world::{CODE, REQUEST, World, redeem_in_vain, uses},
};

#[tokio::test]
async fn p13_unreachable_then_recovery_settles_with_the_same_key() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    redeem_in_vain(&world, Mode::Away, "ann", CODE, REQUEST).await;
    // During the lease the redemption is left to the caller.
    world.advance(TimeDelta::seconds(5) - TimeDelta::microseconds(1));
    assert_eq!(world.recover().await, Recovered::default());
    world.advance(TimeDelta::microseconds(1));
    let recovered = world.recover().await;
    assert_eq!((recovered.taken, recovered.settled), (1, 1));
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    let redeemed = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(redeemed.redemption, world.redemptions().await[0].name());
    assert_eq!(world.membership.state().heard.len(), 1);
}

#[tokio::test]
async fn p13_after_10_tries_it_shows_as_stuck_and_is_never_dropped() {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    let ledger = &world.app.redemptions.ledger;
    let stuck = async || ledger.count_tried(STUCK_AFTER_TRIES).await.unwrap();
    for tries in 1..=STUCK_AFTER_TRIES {
        assert_eq!(stuck().await, 0);
        world.advance(TimeDelta::seconds(60));
        assert_eq!(world.recover().await.taken, 1);
        assert_eq!(world.redemptions().await[0].tries, tries);
    }
    assert_eq!(stuck().await, 1);
    assert!(is_stuck(&world.redemptions().await[0]));
    world.membership.set(Mode::Up);
    assert_eq!(world.app.redemptions.ledger.retry_now().await.unwrap(), 1);
    assert_eq!(world.recover().await.settled, 1);
    assert!(!is_stuck(&world.redemptions().await[0]));
    assert_eq!(stuck().await, 0);
}

#[tokio::test]
async fn p13_workers_settle_by_themselves_and_stop_when_told() {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.advance(TimeDelta::seconds(5));
    let shutdown = Shutdown::new();
    let pauses = Pauses {
        recovery: Duration::from_millis(2),
        follower: Duration::from_millis(2),
        ..Pauses::default()
    };
    let mut workers = start(&world.app, pauses, &shutdown);
    let settled = async {
        while world.membership.state().heard.is_empty() {
            world.membership.set(Mode::Up);
            world.advance(TimeDelta::seconds(1));
            tokio::task::yield_now().await;
        }
        while world.states().await != [RedemptionState::Committed] {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(20);
    timeout(patience, settled).await.unwrap();
    shutdown.begin();
    timeout(patience, workers.ended()).await.unwrap();
}
