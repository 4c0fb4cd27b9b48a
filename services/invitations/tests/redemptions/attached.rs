//! Attempts that meet a living redemption of the same person (P2).

use chrono::TimeDelta;
use homeroom_api::membership::v1::join_request::State;
use homeroom_invitations::domain::{
    invitation::InvitationKind,
    redemption::{Outcome, RedemptionState},
};

use crate::{
    fake_membership::Mode,
    world::{REQUEST, World},
};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

async fn a_request_id_that_met_one_that_is_over_names_the_new_one(world: &World) {
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let first = world.redeem("ann", CLASS_CODE, "").await.unwrap();
    // The feed is late: the redemption still stands as queued.
    world.membership.end_request("ann", State::Denied);
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_ne!(first.redemption, second.redemption);
    assert_eq!(second.outcome, Outcome::PendingApproval);
    assert_eq!(world.membership.state().waiting(), ["ann"]);
    assert_eq!(
        world.states().await,
        [RedemptionState::Released, RedemptionState::Queued]
    );
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed.redemption, second.redemption);
    assert_eq!(world.redemptions().await.len(), 2);
}

#[tokio::test]
async fn p2_p9_a_request_id_that_met_one_that_is_over_names_the_new_one_on_sqlite() {
    let world = World::new().await;
    a_request_id_that_met_one_that_is_over_names_the_new_one(&world).await;
}

#[tokio::test]
async fn p2_p9_a_request_id_that_met_one_that_is_over_names_the_new_one_on_postgres() {
    let world = World::on_postgres().await;
    a_request_id_that_met_one_that_is_over_names_the_new_one(&world).await;
    world.drop_it().await;
}

#[tokio::test]
async fn p2_who_was_approved_meanwhile_is_a_member_already() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    world.redeem("ann", CLASS_CODE, "").await.unwrap();
    world.membership.end_request("ann", State::Approved);
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(second.outcome, Outcome::AlreadyMember);
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed, second);
}

#[tokio::test]
async fn p2_who_meets_a_redemption_that_was_refused_is_decided_again() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    // Given a full organization, and a refusal that got lost on its way: the redemption stays reserved.
    world.membership.state().seats = Some(0);
    world.membership.set(Mode::LosesAnswers);
    world.redeem("ann", CLASS_CODE, "").await.unwrap_err();
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    // When a seat comes free and the person tries again, the old refusal is no answer.
    world.membership.set(Mode::Up);
    world.membership.state().seats = Some(1);
    world.advance(TimeDelta::milliseconds(1));
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::Admitted);
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed.redemption, again.redemption);
}
