//! A database that refuses a part of the writes: the rest is rolled back, or is finished later.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::redemption::{Outcome, RedemptionState};

use crate::world::{CODE, REQUEST, World, uses};

#[tokio::test]
async fn p4_a_batch_of_which_only_a_part_is_inserted_leaves_nothing() {
    let world = World::new().await;
    let code = world.code(Some(3)).await;
    // Given a database that skips bob's rows
    let passes_over_bob = "CREATE TRIGGER passes_over_bob BEFORE INSERT ON redemptions \
        WHEN NEW.user_id = 'bob' BEGIN SELECT RAISE(IGNORE); END";
    world.tamper(passes_over_bob).await;
    let attempts = || {
        let requests = [("ann", REQUEST), ("bob", ""), ("cid", "")];
        requests.map(|(name, request_id)| world.attempt(name, CODE, request_id))
    };
    // When three redeem together
    for answer in world.redeem_all(attempts()).await {
        let refused = answer.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::DatabaseUnavailable);
        assert!(refused.retry_delay().is_some());
    }
    // Then nothing of any of them is left: no row, no use, no request to membership.
    assert!(world.redemptions().await.is_empty());
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    assert!(world.membership.state().heard.is_empty());
    // And a retry begins anew.
    world.tamper("DROP TRIGGER passes_over_bob").await;
    for answer in world.redeem_all(attempts()).await {
        assert_eq!(answer.unwrap().outcome, Outcome::Admitted);
    }
    assert_eq!(world.uses(code).await, uses(3, 0, 0));
}

#[tokio::test]
async fn p12_the_answer_is_given_though_t3_fails() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    // Given a database in which no redemption can be settled
    let settles_nothing = "CREATE TRIGGER settles_nothing BEFORE UPDATE OF state ON redemptions \
        BEGIN SELECT RAISE(ABORT, 'not now'); END";
    world.tamper(settles_nothing).await;
    // When membership admits
    let redeemed = world.redeem("ann", CODE, REQUEST).await.unwrap();
    // Then the person is told, while the redemption stays reserved.
    assert_eq!(redeemed.outcome, Outcome::Admitted);
    assert_eq!(redeemed.member.as_ref().unwrap().user, "ann");
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    assert_eq!(world.uses(code).await, uses(0, 1, 0));
    let again = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(again, redeemed);
    // And recovery settles it when it can.
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.recover().await.settled, 0);
    world.tamper("DROP TRIGGER settles_nothing").await;
    world.advance(TimeDelta::seconds(60));
    assert_eq!(world.recover().await.settled, 1);
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.membership.state().members.len(), 1);
}
