//! A user who presses the same button again reveals nothing new to a guesser, and is not locked out when it opens
//! (R10).

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, invitations::v1::RedeemRequest};
use homeroom_invitations::{
    domain::{
        domain_rule::DomainRule,
        invitation::{Invitation, InvitationKind},
        redemption::Outcome,
    },
    limiter::Budgets,
    redemption::request::Attempt,
    store::InvitationRow,
};
use homeroom_kit::auth::Caller;

use crate::world::{
    CODE, World, assert_outcome, assert_refused, caller, organization, public_url, start,
};

/// A code that does not open, whoever asks, unless the test says so.
const WRONG: &str = "HAMILTON-WRONG1";
const PHRASE: &str = "zebra ability";
/// The number of presses of an impatient student.
const PRESSES: usize = 12;
/// More students than an organization's guard lets guess in a day.
const PUPILS: usize = 60;

async fn world() -> World {
    World::with_budgets(Budgets::default()).await
}

/// Returns an attempt of ann with the claims of her token.
fn claiming(world: &World, code: &str, email: &str, verified: bool) -> Attempt {
    let mut claims: Caller = caller("ann");
    claims.email = Some(email.to_owned());
    claims.email_verified = verified;
    world.attempt_of(&claims, code, "")
}

/// Spends the rest of ann's five failures, after `failures` of them.
async fn spend(world: &World, failures: usize) {
    for guess in failures..5 {
        let guess = format!("HAMILTON-GUESS{guess}");
        assert_refused(world, "ann", &guess, "", ErrorReason::CodeNotUsable).await;
    }
    let refused = world.redeem("ann", "HAMILTON-ONEMORE", "").await;
    assert_eq!(refused.unwrap_err().reason(), ErrorReason::TooManyAttempts);
}

#[tokio::test]
async fn u3_whatever_it_is_refused_for_the_same_button_is_one_guess() {
    for (reason, credential) in [
        (ErrorReason::NoLongerValid, "HAMILTON-PAST7"),
        (ErrorReason::UsedUp, "HAMILTON-USED7"),
        (ErrorReason::EmailUnverified, "HAMILTON-MAIL7"),
        (ErrorReason::TokenAssignedToAnother, PHRASE),
        (ErrorReason::CodeNotUsable, WRONG),
        (ErrorReason::CodeNotUsable, "7K3M-9PQ2-XW4T"),
        (ErrorReason::CodeNotUsable, "abacus zebra"),
        (
            ErrorReason::CodeNotUsable,
            "https://join.example/c/7K3M9PQ2XW4T",
        ),
    ] {
        let world = world().await;
        let with = async |code: &str, change: fn(&mut Invitation)| {
            let kind = match code {
                PHRASE => InvitationKind::ClassToken,
                _ => InvitationKind::EnrollmentCode,
            };
            let change = |row: &mut InvitationRow| change(&mut row.invitation);
            world.invitation(kind, code, change).await
        };
        with("HAMILTON-PAST7", |code| code.valid_till = Some(start())).await;
        with("HAMILTON-USED7", |code| code.max_uses = Some(0)).await;
        with("HAMILTON-MAIL7", |code| {
            code.email_domains = vec![DomainRule::parse("school.example").unwrap()];
        })
        .await;
        with(PHRASE, |token| token.external_id = Some("s-1".to_owned())).await;
        for press in 0..PRESSES {
            let refused = world.redeem("ann", credential, "").await.unwrap_err();
            assert_eq!(refused.reason(), reason, "press {press} of {credential}");
        }
        spend(&world, 1).await;
        // The button may still be pressed.
        let refused = world.redeem("ann", credential, "").await.unwrap_err();
        assert_eq!(refused.reason(), reason, "{credential}");
    }
}

#[tokio::test]
async fn u3_what_reads_alike_is_one_guess_and_what_is_claimed_or_named_another() {
    let world = world().await;
    for alike in [
        "HAMILTON-BIO101",
        "hamilton bio 101",
        "HAMILT0N-BI0101",
        "HAMlLTON-BIOlOl",
        "«HAMILTON–BIO101»",
        "HAMILTON-BIO١٠١",
        "Your code is HAMILTON-BIO101.",
    ] {
        let refused = world.redeem("ann", alike, "").await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::CodeNotUsable, "{alike}");
    }
    let naming = |attempt: Attempt| Attempt {
        organization: Some(organization()),
        ..attempt
    };
    for attempt in [
        naming(world.attempt("ann", CODE, "")),
        claiming(&world, CODE, "ann@school.example", false),
        claiming(&world, CODE, "ann@school.example", true),
        claiming(&world, CODE, "amy@school.example", true),
    ] {
        let refused = world.redeem_by(attempt).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::CodeNotUsable);
    }
    let request = RedeemRequest {
        credential: CODE.to_owned(),
        sign_up: true,
        ..RedeemRequest::default()
    };
    let sixth = Attempt::of_redeem(&caller("ann"), &request, "", &public_url(), &world.app.keys);
    let refused = world.redeem_by(sixth.unwrap()).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::TooManyAttempts);
    // Another user's guess is not a repeat, even if the first user has tried it.
    assert_refused(&world, "bob", CODE, "", ErrorReason::CodeNotUsable).await;
}

#[tokio::test]
async fn u3_a_school_that_presses_does_not_close_its_own_guard() {
    let world = world().await;
    let opens = start() + TimeDelta::minutes(5);
    world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(opens);
        })
        .await;
    let pupils: Vec<String> = (0..PUPILS).map(|pupil| format!("pupil-{pupil}")).collect();
    for pupil in &pupils {
        for _ in 0..5 {
            world.redeem(pupil, CODE, "").await.unwrap_err();
        }
    }
    world.advance(TimeDelta::minutes(5));
    for pupil in &pupils {
        assert_outcome(&world, pupil, CODE, "", Outcome::Admitted).await;
    }
}
