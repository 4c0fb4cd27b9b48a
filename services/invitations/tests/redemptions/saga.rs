//! The course of a redemption, from the request to its end.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason, ids::OrganizationId, membership::v1::join_request::State,
};
use homeroom_invitations::{
    domain::{
        invitation::InvitationKind,
        redemption::{Outcome, RedemptionState},
        ways::join_key,
    },
    redemption::request::Attempt,
    store::InvitationRow,
};
use homeroom_kit::random::SystemRandomness;

use crate::{
    fake_membership::Mode,
    world::{
        CLASS_CODE, CODE, REQUEST, World, assert_outcome, assert_refused, class, public_url,
        redeem_in_vain, start, told, uses,
    },
};

/// Switches an invitation off and on again.
fn end_epoch(row: &mut InvitationRow) {
    row.invitation.epoch = row.invitation.epoch.next();
}

#[tokio::test]
async fn c2_a_person_is_admitted_and_the_use_is_spent() {
    let world = World::new().await;
    let code = world.code(Some(2)).await;
    let redeemed = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(redeemed.outcome, Outcome::Admitted);
    assert_eq!(redeemed.place, class());
    assert_eq!(redeemed.member.unwrap().user, "ann");
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    assert_eq!(world.event_types().await, ["redemption.committed"]);
}

#[tokio::test]
async fn r5_unknown_revoked_off_and_foreign_are_one_answer() {
    let world = World::new().await;
    let code = world.code(None).await;
    let attempt = || world.attempt("ann", CODE, "");
    let refused = async |attempt: Attempt| {
        let refused = world.redeem_by(attempt).await.unwrap_err();
        tonic::Status::from(refused).details().to_vec()
    };
    let unknown = refused(world.attempt("ann", "HAMILTON-NOTHING", "")).await;
    let elsewhere = Attempt {
        organization: OrganizationId::parse("other").ok(),
        ..attempt()
    };
    let bound = Attempt {
        bound_to: Some(vec![]),
        ..attempt()
    };
    for attempt in [elsewhere, bound] {
        assert_eq!(refused(attempt).await, unknown);
    }
    world.change(code, |row| row.enabled = false).await;
    assert_eq!(refused(attempt()).await, unknown);
    let revoke = |row: &mut InvitationRow| row.revoke_time = Some(start());
    world.change(code, revoke).await;
    assert_eq!(refused(attempt()).await, unknown);
    assert!(world.membership.state().heard.is_empty());
    assert!(world.redemptions().await.is_empty());
}

#[tokio::test]
async fn p1_membership_is_told_the_same_under_the_same_key_on_every_try() {
    let world = World::new().await;
    world.code(None).await;
    redeem_in_vain(&world, Mode::LosesAnswers, "ann", CODE, REQUEST).await;
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
    redeem_in_vain(&world, Mode::Away, "ann", CODE, "").await;
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
async fn p2_already_pending_gives_the_seconds_use_back() {
    let world = World::new().await;
    let code = world.locked_class_code().await;
    let url = public_url().at("j", &join_key::generate(&SystemRandomness));
    let url = url.expose();
    let join_url = world.invitation(InvitationKind::JoinUrl, url, |_| {}).await;
    let first = world.redeem("ann", CLASS_CODE, "").await.unwrap();
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", url, REQUEST).await.unwrap();
    assert_eq!(second.outcome, Outcome::PendingApproval);
    assert_eq!(second.join_request, first.join_request);
    assert_eq!(world.uses(code).await, uses(0, 0, 1));
    assert_eq!(world.uses(join_url).await, uses(0, 0, 0));
    assert_eq!(
        world.states().await,
        [RedemptionState::Queued, RedemptionState::Released]
    );
    assert_eq!(world.redeem("ann", url, REQUEST).await.unwrap(), second);
}

#[tokio::test]
async fn p3_no_use_left_is_refused_by_membership_without_holding_one() {
    let world = World::new().await;
    let code = world.code(Some(0)).await;
    assert_refused(&world, "ann", CODE, REQUEST, ErrorReason::UsedUp).await;
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    let redemption = world.redemptions().await.remove(0);
    assert!(!redemption.holds_use && redemption.state == RedemptionState::Refused);
    let asked = world.membership.state().heard[0].refuse_reason();
    assert_eq!(asked, ErrorReason::UsedUp);
    assert_refused(&world, "ann", CODE, REQUEST, ErrorReason::UsedUp).await;
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
    world.change(code, end_epoch).await;
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
    redeem_in_vain(&world, Mode::Away, "ann", CODE, REQUEST).await;
    world.reset(code, "HAMILTON-BIO102").await;
    world.app.raise_pending_fences().await.unwrap();
    assert_refused(&world, "ann", CODE, REQUEST, ErrorReason::CodeNotUsable).await;
    assert!(world.membership.state().members.is_empty());
    assert_eq!(world.states().await, [RedemptionState::Released]);
    assert_outcome(&world, "ann", "HAMILTON-BIO102", "", Outcome::Admitted).await;
}

#[tokio::test]
async fn p7_recovery_releases_what_is_stale_and_a_retry_decides_afresh() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    redeem_in_vain(&world, Mode::Away, "ann", CODE, REQUEST).await;
    world.change(code, end_epoch).await;
    world.app.raise_pending_fences().await.unwrap();
    world.advance(TimeDelta::seconds(5));
    assert_eq!(world.recover().await.settled, 1);
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    assert_outcome(&world, "ann", CODE, REQUEST, Outcome::Admitted).await;
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p9_a_request_id_is_resolved_before_the_limiter() {
    let world = World::limited(|budgets| budgets.user_burst = 1).await;
    world.code(None).await;
    world.redeem("ann", CODE, REQUEST).await.unwrap();
    for _ in 0..3 {
        let _ = world.redeem("ann", "HAMILTON-NOTHING", "").await;
    }
    assert_refused(&world, "ann", CODE, "", ErrorReason::TooManyAttempts).await;
    assert!(world.redeem("ann", CODE, REQUEST).await.is_ok());
}

#[tokio::test]
async fn p9_refusals_of_t1_leave_no_row_and_are_decided_afresh() {
    let world = World::new().await;
    let code = world.code(None).await;
    let opens = start() + TimeDelta::hours(1);
    world
        .change(code, |row| row.invitation.valid_from = Some(opens))
        .await;
    assert_refused(&world, "ann", CODE, REQUEST, ErrorReason::NotYetValid).await;
    assert!(world.redemptions().await.is_empty());
    world.advance(TimeDelta::hours(1));
    assert!(world.redeem("ann", CODE, REQUEST).await.is_ok());
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p10_a_settled_answer_reads_its_resources_again_and_never_guesses() {
    let world = World::new().await;
    world.locked_class_code().await;
    world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(world.event_types().await, ["redemption.queued"]);
    world.membership.end_request("ann", State::Approved);
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::PendingApproval);
    assert_eq!(again.join_request.unwrap().state(), State::Approved);
    world.membership.set(Mode::Away);
    assert_refused(
        &world,
        "ann",
        CLASS_CODE,
        REQUEST,
        ErrorReason::MembershipUnavailable,
    )
    .await;
}

#[tokio::test]
async fn p2_p11_one_call_never_names_a_person_of_a_class_twice() {
    let world = World::new().await;
    let code = world.code(None).await;
    world.class_code().await;
    // The second of ann's attempts by one code attaches to the first.
    let attempts = [
        ("ann", CODE),
        ("ann", CODE),
        ("ann", CLASS_CODE),
        ("bob", CODE),
    ];
    let attempts = attempts.map(|(name, code)| world.attempt(name, code, ""));
    let answers = world.redeem_all(attempts).await.into_iter().map(told);
    let [admitted, member] = [Outcome::Admitted, Outcome::AlreadyMember].map(Ok);
    let expected = [admitted, admitted, member, admitted];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
    assert_eq!(world.redemptions().await.len(), 3);
    assert_eq!(world.uses(code).await, uses(2, 0, 0));
    assert_eq!(world.membership.state().largest_call, 2);
}

#[tokio::test]
async fn p12_a_redemption_finishes_though_its_client_has_gone() {
    let world = World::new().await;
    let code = world.code(None).await;
    let attempts = vec![world.attempt("ann", CODE, "")];
    let mut call = Box::pin(world.app.redemptions.redeem_many(attempts));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    world.quiet().await;
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    assert_eq!(world.states().await, [RedemptionState::Committed]);
}

#[tokio::test]
async fn r10_membership_away_costs_the_person_nothing() {
    let world = World::limited(|budgets| budgets.user_burst = 1).await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    for number in 0..5 {
        let request = format!("01900000-0000-7000-8000-{number:012}");
        assert_refused(
            &world,
            "ann",
            CODE,
            &request,
            ErrorReason::MembershipUnavailable,
        )
        .await;
    }
}
