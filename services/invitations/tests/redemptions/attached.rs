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
async fn r2_who_was_let_in_is_a_member_already_also_before_the_redemption_is_settled() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    // Given a person whom membership has let in, and an answer that got lost: it stays reserved.
    world.membership.set(Mode::LosesAnswers);
    world.redeem("ann", CLASS_CODE, "").await.unwrap_err();
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    // When the person tries again, what they are told does not hang on who settles it first.
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::milliseconds(1));
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyMember);
    assert_eq!(
        world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap(),
        again
    );
    world.quiet().await;
    assert_eq!(
        world.states().await,
        [RedemptionState::Committed, RedemptionState::Released]
    );
    assert_eq!(world.uses(code).await.used, 1);
}

#[tokio::test]
async fn p2_what_a_met_one_was_told_before_is_no_answer_to_who_asks_now() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    // Given a person who was a member already, whose answer got lost, and who was removed since.
    let ann = (
        "organizations/hamilton/classes/bio-101".to_owned(),
        "ann".to_owned(),
    );
    world.membership.state().members.insert(ann.clone());
    world.membership.set(Mode::LosesAnswers);
    world.redeem("ann", CLASS_CODE, "").await.unwrap_err();
    world.membership.set(Mode::Up);
    world.membership.state().members.remove(&ann);
    world.advance(TimeDelta::milliseconds(1));
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::Admitted);
    assert!(world.membership.state().members.contains(&ann));
}

/// One request id sent eight times at once by someone whose redemption is under way.
async fn a_request_id_that_attaches_at_once_has_one_answer(world: &World, mode: Mode) {
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.membership.set(mode);
    world.redeem("ann", CLASS_CODE, "").await.unwrap_err();
    world.membership.set(Mode::Up);
    let sent = (0..8).map(|_| {
        let attempt = world.attempt("ann", CLASS_CODE, REQUEST);
        world.app.redemptions.redeem(attempt)
    });
    let answers = futures::future::join_all(sent).await;
    world.quiet().await;
    let first = answers[0].as_ref().unwrap();
    for answer in &answers {
        let answer = answer.as_ref().unwrap();
        assert_eq!(
            (answer.redemption.clone(), answer.outcome),
            (first.redemption.clone(), first.outcome)
        );
    }
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(
        (again.redemption, again.outcome),
        (first.redemption.clone(), first.outcome)
    );
}

#[tokio::test]
async fn p9_a_request_id_that_attaches_eight_times_at_once_has_one_answer_on_sqlite() {
    for mode in [Mode::Away, Mode::LosesAnswers] {
        let world = World::new().await;
        a_request_id_that_attaches_at_once_has_one_answer(&world, mode).await;
    }
}

#[tokio::test]
async fn p9_a_request_id_that_attaches_eight_times_at_once_has_one_answer_on_postgres() {
    for mode in [Mode::Away, Mode::LosesAnswers] {
        let world = World::on_postgres().await;
        a_request_id_that_attaches_at_once_has_one_answer(&world, mode).await;
        world.drop_it().await;
    }
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
