//! The course of a redemption, from the request to its end.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_api::membership::v1::join_request::State;
use homeroom_invitations::domain::invitation::InvitationKind;
use homeroom_invitations::domain::join_key;
use homeroom_invitations::domain::redemption::{Outcome, RedemptionState};
use homeroom_invitations::limiter::Budgets;
use homeroom_kit::random::SystemRandomness;

use crate::fake_membership::Mode;
use crate::world::{CODE, REQUEST, World, public_url, uses};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

#[tokio::test]
async fn c2_a_person_is_admitted_and_the_use_is_spent() {
    let world = World::new().await;
    let code = world.code(Some(2)).await;
    let redeemed = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(redeemed.outcome, Outcome::Admitted);
    assert_eq!(redeemed.place, crate::world::class());
    assert_eq!(redeemed.member.unwrap().user, "ann");
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.event_types().await, ["redemption.committed"]);
}

#[tokio::test]
async fn r5_unknown_revoked_off_and_foreign_are_one_answer() {
    let world = World::new().await;
    let code = world.code(None).await;
    let mut answers = vec![
        world
            .redeem("ann", "HAMILTON-NOTHING", "")
            .await
            .unwrap_err(),
    ];
    let mut elsewhere = world.attempt("ann", CODE, "");
    elsewhere.organization = homeroom_api::ids::OrganizationId::parse("other").ok();
    answers.push(world.app.redemptions.redeem(elsewhere).await.unwrap_err());
    let mut bound = world.attempt("ann", CODE, "");
    bound.bound_to = Some(vec![]);
    answers.push(world.app.redemptions.redeem(bound).await.unwrap_err());
    world.change(code, |row| row.enabled = false).await;
    answers.push(world.redeem("ann", CODE, "").await.unwrap_err());
    world
        .change(code, |row| row.revoke_time = Some(crate::world::start()))
        .await;
    answers.push(world.redeem("ann", CODE, "").await.unwrap_err());
    let bytes: Vec<Vec<u8>> = answers
        .into_iter()
        .map(|error| tonic::Status::from(error).details().to_vec())
        .collect();
    assert!(bytes.iter().all(|other| *other == bytes[0]));
    assert!(world.membership.state().heard.is_empty());
    assert!(world.redemptions().await.is_empty());
}

#[tokio::test]
async fn p1_membership_is_told_the_same_under_the_same_key_on_every_try() {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::LosesAnswers);
    let lost = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(lost.reason(), ErrorReason::MembershipUnavailable);
    assert!(lost.retry_delay().is_some());
    world.membership.set(Mode::Up);
    world.redeem("ann", CODE, REQUEST).await.unwrap();
    let heard = world.membership.state().heard.clone();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1]);
}

#[tokio::test]
async fn p1_time_alone_gives_no_use_back() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    for _ in 0..20 {
        world.advance(TimeDelta::days(1));
        world.recover().await;
    }
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    assert_eq!(world.uses(code).await, uses(0, 1, 0));
}

#[tokio::test]
async fn p2_a_second_attempt_attaches_to_the_living_one_with_its_request_id() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.refusal_while(Mode::Away, "ann", CODE, "").await;
    let second = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(second.outcome, Outcome::Admitted);
    world.quiet().await;
    assert_eq!(world.redemptions().await.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    let heard = world.membership.state().heard.len();
    assert_eq!(world.redeem("ann", CODE, REQUEST).await.unwrap(), second);
    assert_eq!(world.membership.state().heard.len(), heard);
}

#[tokio::test]
async fn p2_the_second_of_a_batch_attaches_to_the_first() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    let attempts = vec![
        world.attempt("ann", CODE, ""),
        world.attempt("ann", CODE, ""),
    ];
    let results = world.app.redemptions.redeem_many(attempts).await;
    world.quiet().await;
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap().outcome == Outcome::Admitted)
    );
    assert_eq!(world.redemptions().await.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p2_already_pending_gives_the_seconds_use_back() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    let url = public_url().join_url(&join_key::generate(&SystemRandomness));
    let join_url = world
        .invitation(InvitationKind::JoinUrl, &url, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let first = world.redeem("ann", CLASS_CODE, "").await.unwrap();
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", &url, REQUEST).await.unwrap();
    assert_eq!(second.outcome, Outcome::PendingApproval);
    assert_eq!(second.join_request, first.join_request);
    assert_eq!(world.uses(code).await, uses(0, 0, 1));
    assert_eq!(world.uses(join_url).await, uses(0, 0, 0));
    assert_eq!(
        world.states().await,
        [RedemptionState::Queued, RedemptionState::Released]
    );
    assert_eq!(world.redeem("ann", &url, REQUEST).await.unwrap(), second);
}

#[tokio::test]
async fn p3_uses_short_only_by_redemptions_under_way_are_worth_a_retry() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.refusal_while(Mode::Away, "ann", CODE, "").await;
    let short = world.redeem("bob", CODE, "").await.unwrap_err();
    assert_eq!(short.reason(), ErrorReason::UseInProgress);
    assert!(short.retry_delay().is_some());
    assert_eq!(world.uses(code).await, uses(0, 1, 0));
}

#[tokio::test]
async fn p3_no_use_left_is_refused_by_membership_without_holding_one() {
    let world = World::new().await;
    let code = world.code(Some(0)).await;
    let refused = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::UsedUp);
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    let redemptions = world.redemptions().await;
    assert!(!redemptions[0].holds_use);
    assert_eq!(redemptions[0].state, RedemptionState::Refused);
    assert_eq!(
        world.membership.state().heard[0].refuse_reason(),
        ErrorReason::UsedUp
    );
    assert_eq!(
        world.refusal("ann", CODE, REQUEST).await,
        ErrorReason::UsedUp
    );
    assert_eq!(world.event_types().await, ["redemption.refused"]);
}

#[tokio::test]
async fn p7_a_stale_epoch_is_decided_again_and_the_request_id_re_pointed() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    let invitation = world.stored(code).await.invitation.name().to_string();
    // The invitation was switched off and on again while the redemption was under way: the epoch was raised.
    world.membership.state().fence_before_next = Some((invitation, 2));
    world.membership.set(Mode::LosesAnswers);
    world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    world
        .change(code, |row| {
            row.invitation.epoch = row.invitation.epoch.next();
        })
        .await;
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::milliseconds(1));
    let redeemed = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(redeemed.outcome, Outcome::Admitted);
    assert_eq!(
        world.states().await,
        [RedemptionState::Released, RedemptionState::Committed]
    );
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.redeem("ann", CODE, REQUEST).await.unwrap(), redeemed);
    assert_eq!(world.redemptions().await.len(), 2);
}

#[tokio::test]
async fn p7_c8_a_redemption_under_way_through_a_reset_is_not_admitted() {
    let world = World::new().await;
    let code = world.code(None).await;
    world.refusal_while(Mode::Away, "ann", CODE, REQUEST).await;
    world.reset(code, "HAMILTON-BIO102").await;
    world.app.raise_pending_fences().await.unwrap();
    assert_eq!(
        world.refusal("ann", CODE, REQUEST).await,
        ErrorReason::CodeNotUsable
    );
    assert!(world.membership.state().members.is_empty());
    assert_eq!(world.states().await, [RedemptionState::Released]);
    assert_eq!(
        world.outcome("ann", "HAMILTON-BIO102", "").await,
        Outcome::Admitted
    );
}

#[tokio::test]
async fn p7_recovery_releases_what_is_stale_and_a_retry_decides_afresh() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.refusal_while(Mode::Away, "ann", CODE, REQUEST).await;
    world
        .change(code, |row| {
            row.invitation.epoch = row.invitation.epoch.next();
        })
        .await;
    world.app.raise_pending_fences().await.unwrap();
    world.advance(TimeDelta::seconds(5));
    assert_eq!(world.recover().await.settled, 1);
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    assert_eq!(world.outcome("ann", CODE, REQUEST).await, Outcome::Admitted);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p9_a_request_id_is_resolved_before_the_limiter() {
    let world = World::with_budgets(Budgets {
        user_burst: 1,
        ..Budgets::default()
    })
    .await;
    world.code(None).await;
    world.redeem("ann", CODE, REQUEST).await.unwrap();
    for _ in 0..3 {
        let _ = world.redeem("ann", "HAMILTON-NOTHING", "").await;
    }
    let spent = world.redeem("ann", CODE, "").await.unwrap_err();
    assert_eq!(spent.reason(), ErrorReason::TooManyAttempts);
    assert!(spent.retry_delay().is_some());
    assert!(world.redeem("ann", CODE, REQUEST).await.is_ok());
}

#[tokio::test]
async fn p9_refusals_of_t1_leave_no_row_and_are_decided_afresh() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(crate::world::start() + TimeDelta::hours(1));
        })
        .await;
    assert_eq!(
        world.refusal("ann", CODE, REQUEST).await,
        ErrorReason::NotYetValid
    );
    assert!(world.redemptions().await.is_empty());
    world.advance(TimeDelta::hours(1));
    assert!(world.redeem("ann", CODE, REQUEST).await.is_ok());
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p10_a_settled_answer_reads_its_resources_again_and_never_guesses() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(world.event_types().await, ["redemption.queued"]);
    world.membership.end_request("ann", State::Approved);
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::PendingApproval);
    assert_eq!(again.join_request.unwrap().state(), State::Approved);
    world.membership.set(Mode::Away);
    assert_eq!(
        world.refusal("ann", CLASS_CODE, REQUEST).await,
        ErrorReason::MembershipUnavailable
    );
}

#[tokio::test]
async fn p11_one_call_never_names_a_person_of_a_class_twice() {
    let world = World::new().await;
    world.code(None).await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    let attempts = vec![
        world.attempt("ann", CODE, ""),
        world.attempt("ann", CLASS_CODE, ""),
        world.attempt("bob", CODE, ""),
    ];
    let results = world.app.redemptions.redeem_many(attempts).await;
    let outcomes: Vec<Outcome> = results
        .into_iter()
        .map(|result| result.unwrap().outcome)
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Admitted, Outcome::AlreadyMember, Outcome::Admitted]
    );
    assert_eq!(world.membership.state().largest_call, 2);
}

#[tokio::test]
async fn p12_a_redemption_finishes_though_its_client_has_gone() {
    let world = World::new().await;
    let code = world.code(None).await;
    let mut call = Box::pin(world.app.redemptions.redeem(world.attempt("ann", CODE, "")));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    world.quiet().await;
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.states().await, [RedemptionState::Committed]);
}

#[tokio::test]
async fn r10_membership_away_costs_the_person_nothing() {
    let world = World::with_budgets(Budgets {
        user_burst: 1,
        ..Budgets::default()
    })
    .await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    for number in 0..5 {
        let request = format!("01900000-0000-7000-8000-{number:012}");
        assert_eq!(
            world.refusal("ann", CODE, &request).await,
            ErrorReason::MembershipUnavailable
        );
    }
}
