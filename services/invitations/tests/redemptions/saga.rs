//! The course of a redemption, from the request to its end.

use chrono::TimeDelta;
use futures::future::join_all;
use homeroom_api::common::v1::ErrorReason;
use homeroom_api::invitations::v1::{BatchRedeemRequest, RedeemRequest};
use homeroom_api::membership::v1::join_request::State;
use homeroom_invitations::domain::invitation::{InvitationKind, Uses};
use homeroom_invitations::domain::join_key;
use homeroom_invitations::domain::redemption::{Outcome, RedemptionState};
use homeroom_invitations::limiter::Budgets;
use homeroom_invitations::redemption::request::Attempt;
use homeroom_kit::random::SystemRandomness;

use crate::fake_membership::Mode;
use crate::world::{CODE, REQUEST, World, person, platform, public_url};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

fn uses(used: u32, reserved: u32, queued: u32) -> Uses {
    Uses {
        used,
        reserved,
        queued,
    }
}

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
async fn c5_c10_a_locked_code_files_a_request_and_holds_the_use() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let redeemed = world.redeem("ann", "abcd efgh jkmn.", "").await.unwrap();
    assert_eq!(redeemed.outcome, Outcome::PendingApproval);
    assert_eq!(redeemed.join_request.unwrap().user, "ann");
    assert!(redeemed.member.is_none());
    assert_eq!(world.uses(code).await, uses(0, 0, 1));
    assert_eq!(world.event_types().await, ["redemption.queued"]);
}

#[tokio::test]
async fn r2_a_member_spends_nothing_also_on_what_is_used_up_or_expired() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.redeem("ann", CODE, "").await.unwrap();
    let again = world.redeem("ann", CODE, "").await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyMember);
    assert_eq!(
        world.redeem("bob", CODE, "").await.unwrap_err().reason(),
        ErrorReason::UsedUp
    );
    world
        .change(code, |row| {
            row.invitation.valid_till = Some(crate::world::start());
        })
        .await;
    let expired = world.redeem("ann", CODE, "").await.unwrap();
    assert_eq!(expired.outcome, Outcome::AlreadyMember);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
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
async fn b4_a_bare_code_is_found_where_the_organization_is_named() {
    let world = World::new().await;
    world.code(None).await;
    assert!(world.redeem("ann", "BIO101", "").await.is_err());
    let mut named = world.attempt("ann", "bio 101", "");
    named.organization = Some(crate::world::organization());
    assert_eq!(
        world.app.redemptions.redeem(named).await.unwrap().outcome,
        Outcome::Admitted
    );
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
        world.app.redemptions.recover_once().await.unwrap();
    }
    assert_eq!(world.states().await, [RedemptionState::Reserved]);
    assert_eq!(world.uses(code).await, uses(0, 1, 0));
}

#[tokio::test]
async fn p2_a_second_attempt_attaches_to_the_living_one_with_its_request_id() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.membership.set(Mode::Up);
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
async fn p2_who_meets_a_queued_one_that_is_over_begins_anew() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let first = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    world.membership.end_request("ann", State::Denied);
    world.advance(TimeDelta::milliseconds(1));
    let second = world.redeem("ann", CLASS_CODE, "").await.unwrap();
    assert_ne!(first.redemption, second.redemption);
    assert_eq!(second.outcome, Outcome::PendingApproval);
    assert_eq!(world.uses(code).await, uses(0, 0, 1));
    assert_eq!(
        world.states().await,
        [RedemptionState::Released, RedemptionState::Queued]
    );
    let replayed = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(replayed.redemption, first.redemption);
    assert_eq!(replayed.outcome, Outcome::PendingApproval);
}

#[tokio::test]
async fn p3_uses_short_only_by_redemptions_under_way_are_worth_a_retry() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.membership.set(Mode::Up);
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
    let again = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(again.reason(), ErrorReason::UsedUp);
    assert_eq!(world.event_types().await, ["redemption.refused"]);
}

#[tokio::test]
async fn p4_a_hundred_at_once_on_one_use_admit_exactly_one() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    let attempts = (0..100).map(|number| {
        let attempt = world.attempt(&format!("user-{number}"), CODE, "");
        let app = world.app.clone();
        tokio::spawn(async move { app.redemptions.redeem(attempt).await })
    });
    let results = join_all(attempts).await;
    world.quiet().await;
    let admitted = results
        .iter()
        .filter(|result| result.as_ref().unwrap().is_ok())
        .count();
    assert_eq!(admitted, 1);
    assert_eq!(world.membership.state().members.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p4_a_batch_takes_as_many_uses_as_there_are() {
    let world = World::new().await;
    let code = world.code(Some(3)).await;
    let attempts = (0..10)
        .map(|number| world.attempt(&format!("user-{number}"), CODE, ""))
        .collect();
    let results = world.app.redemptions.redeem_many(attempts).await;
    world.quiet().await;
    let admitted: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(admitted, [vec![true; 3], vec![false; 7]].concat());
    assert!(
        results[3..]
            .iter()
            .all(|result| { result.as_ref().unwrap_err().reason() == ErrorReason::UseInProgress })
    );
    assert_eq!(world.uses(code).await, uses(3, 0, 0));
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
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    world.membership.set(Mode::Up);
    world.reset(code, "HAMILTON-BIO102").await;
    world.app.raise_pending_fences().await.unwrap();
    let after = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(after.reason(), ErrorReason::CodeNotUsable);
    assert!(world.membership.state().members.is_empty());
    assert_eq!(world.states().await, [RedemptionState::Released]);
    let other = world.redeem("ann", "HAMILTON-BIO102", "").await.unwrap();
    assert_eq!(other.outcome, Outcome::Admitted);
}

#[tokio::test]
async fn p7_recovery_releases_what_is_stale_and_a_retry_decides_afresh() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    world.membership.set(Mode::Up);
    world
        .change(code, |row| {
            row.invitation.epoch = row.invitation.epoch.next();
        })
        .await;
    world.app.raise_pending_fences().await.unwrap();
    world.advance(TimeDelta::seconds(5));
    assert_eq!(
        world.app.redemptions.recover_once().await.unwrap().settled,
        1
    );
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    assert_eq!(
        world.redeem("ann", CODE, REQUEST).await.unwrap().outcome,
        Outcome::Admitted
    );
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p9_r3_a_retry_gives_the_same_answer_whatever_has_changed_since() {
    let world = World::new().await;
    let code = world.code(None).await;
    let first = world.redeem("ann", CODE, REQUEST).await.unwrap();
    world.change(code, |row| row.enabled = false).await;
    world.membership.state().seats = Some(0);
    assert_eq!(world.redeem("ann", CODE, REQUEST).await.unwrap(), first);
    assert_eq!(world.redemptions().await.len(), 1);
    assert_eq!(world.membership.state().heard.len(), 1);
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
async fn p9_another_body_under_a_request_id_is_a_conflict() {
    let world = World::new().await;
    world.code(None).await;
    world.redeem("ann", CODE, REQUEST).await.unwrap();
    let other = world
        .redeem("ann", "HAMILTON-NOTHING", REQUEST)
        .await
        .unwrap_err();
    assert_eq!(other.reason(), ErrorReason::RequestIdConflict);
    // Another user's request id is a different one.
    assert!(world.redeem("bob", CODE, REQUEST).await.is_ok());
}

#[tokio::test]
async fn p9_request_ids_are_forgotten_after_24_hours() {
    let world = World::new().await;
    world.code(None).await;
    let first = world.redeem("ann", CODE, REQUEST).await.unwrap();
    world.advance(TimeDelta::hours(24));
    assert_eq!(world.redeem("ann", CODE, REQUEST).await.unwrap(), first);
    world.advance(TimeDelta::microseconds(1));
    assert_eq!(world.app.prune_request_ids_once().await.unwrap(), 1);
    let later = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(later.outcome, Outcome::AlreadyMember);
}

#[tokio::test]
async fn p9_refusals_of_t1_leave_no_row_and_are_decided_afresh() {
    let world = World::new().await;
    let code = world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(crate::world::start() + TimeDelta::hours(1));
        })
        .await;
    let early = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(early.reason(), ErrorReason::NotYetValid);
    assert!(world.redemptions().await.is_empty());
    world.advance(TimeDelta::hours(1));
    assert!(world.redeem("ann", CODE, REQUEST).await.is_ok());
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

#[tokio::test]
async fn p9_concurrent_retries_of_one_request_are_one_redemption() {
    let world = World::new().await;
    let code = world.code(Some(5)).await;
    let retries = (0..20).map(|_| {
        let attempt = world.attempt("ann", CODE, REQUEST);
        let app = world.app.clone();
        tokio::spawn(async move { app.redemptions.redeem(attempt).await })
    });
    let answers = join_all(retries).await;
    world.quiet().await;
    let first = answers[0].as_ref().unwrap().as_ref().unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().as_ref().unwrap() == first)
    );
    assert_eq!(world.redemptions().await.len(), 1);
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
    world.membership.end_request("ann", State::Approved);
    let again = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::PendingApproval);
    assert_eq!(again.join_request.unwrap().state(), State::Approved);
    world.membership.set(Mode::Away);
    let unknown = world.redeem("ann", CLASS_CODE, REQUEST).await.unwrap_err();
    assert_eq!(unknown.reason(), ErrorReason::MembershipUnavailable);
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
async fn r5_r10_a_guess_stays_charged_and_an_eligible_persons_attempt_does_not() {
    let world = World::with_budgets(Budgets {
        user_burst: 2,
        ..Budgets::default()
    })
    .await;
    world.code(None).await;
    for _ in 0..10 {
        world.redeem("ann", CODE, "").await.unwrap();
    }
    let reasons: Vec<ErrorReason> = {
        let mut reasons = Vec::new();
        for guess in 0..3 {
            reasons.push(
                world
                    .redeem("bob", &format!("HAMILTON-GUESS{guess}"), "")
                    .await
                    .unwrap_err()
                    .reason(),
            );
        }
        reasons
    };
    assert_eq!(
        reasons,
        [
            ErrorReason::CodeNotUsable,
            ErrorReason::CodeNotUsable,
            ErrorReason::TooManyAttempts
        ]
    );
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
        let error = world.redeem("ann", CODE, &request).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::MembershipUnavailable);
    }
}

#[tokio::test]
async fn b15_no_seats_gives_the_use_back_and_stays_the_answer() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    world.membership.state().seats = Some(0);
    let full = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
    assert_eq!(full.reason(), ErrorReason::NoSeats);
    assert_eq!(world.uses(code).await, uses(0, 0, 0));
    world.membership.state().seats = None;
    assert_eq!(
        world
            .redeem("ann", CODE, REQUEST)
            .await
            .unwrap_err()
            .reason(),
        ErrorReason::NoSeats
    );
    assert!(world.redeem("ann", CODE, "").await.is_ok());
}

#[tokio::test]
async fn a_batch_answers_each_request_by_itself() {
    let world = World::new().await;
    world.code(Some(1)).await;
    let request = |name: &str, credential: &str| RedeemRequest {
        credential: credential.to_owned(),
        user: Some(person(name)),
        ..RedeemRequest::default()
    };
    let batch = BatchRedeemRequest {
        requests: vec![
            request("ann", CODE),
            request("bob", "\u{202e}"),
            request("not a user", CODE),
            request("cid", "HAMILTON-NOTHING"),
        ],
    };
    let attempts = Attempt::of_batch(&platform(), &batch, &public_url(), &world.app.keys);
    let results = world.app.redemptions.redeem_batch(attempts.unwrap()).await;
    let reasons: Vec<Option<ErrorReason>> = results
        .iter()
        .map(|result| result.as_ref().err().map(homeroom_kit::Error::reason))
        .collect();
    assert_eq!(
        reasons,
        [
            None,
            Some(ErrorReason::CodeMalformed),
            Some(ErrorReason::InvalidRequest),
            Some(ErrorReason::CodeNotUsable)
        ]
    );
    let ann = crate::world::caller("ann");
    let alone = Attempt::of_batch(&ann, &batch, &public_url(), &world.app.keys)
        .err()
        .unwrap();
    assert_eq!(alone.reason(), ErrorReason::ScopeMissing);
}
