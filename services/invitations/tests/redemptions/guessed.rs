//! Guard tests: while somebody guesses, a credential that is found under one name queues under every other name (R10).

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId};
use homeroom_invitations::{
    domain::refused_attempt::LimiterDecision,
    domain::{invitation::InvitationKind, redemption::Outcome},
    limiter::GuessScope,
    redemption::request::Attempt,
};

use crate::world::{CLASS_CODE, CODE, World, assert_outcome, organization, start, told};

const PHRASE: &str = "zebra-ability";

/// Returns a world in which an organization, and all guesses that name none, have small guess budgets.
async fn world() -> World {
    let world = World::limited(|budgets| {
        budgets.organization_daily_min = 1;
        budgets.service_hourly = 1;
    })
    .await;
    world.code(None).await;
    world
        .invitation(InvitationKind::ClassToken, PHRASE, |_| {})
        .await;
    world
}

/// Spends the guard that the guesses count in.
async fn guess(world: &World, credential: &str) {
    for user in ["eve", "mallory", "oscar"] {
        world.redeem(user, credential, "").await.unwrap_err();
    }
}

/// Makes the request name the organization.
fn naming(attempt: Attempt) -> Attempt {
    Attempt {
        organization: Some(organization()),
        ..attempt
    }
}

async fn outcome(world: &World, attempt: Attempt) -> Outcome {
    world.redeem_by(attempt).await.unwrap().outcome
}

#[tokio::test]
async fn r10_what_is_found_under_one_name_queues_while_another_is_guessed() {
    for (guessed, credential, is_named) in [
        ("zebra-zebra", PHRASE, true),
        ("zebra-zebra", CODE, false),
        ("HAMILTON-WRONG1", PHRASE, false),
    ] {
        let world = world().await;
        let attempt = |user: &str| {
            let attempt = world.attempt(user, credential, "");
            if is_named { naming(attempt) } else { attempt }
        };
        assert_eq!(outcome(&world, attempt("ann")).await, Outcome::Admitted);
        guess(&world, guessed).await;
        let preview = world.preview("bob", credential).await.unwrap();
        assert_eq!(preview.outcome, Outcome::PendingApproval, "{credential}");
        let waits = outcome(&world, attempt("bob")).await;
        assert_eq!(waits, Outcome::PendingApproval, "{credential}");
    }
}

#[tokio::test]
async fn r10_a_preview_logs_the_guard_of_another_name_as_redeem_does() {
    let world = World::limited(|budgets| budgets.organization_daily_min = 1).await;
    let (kind, opens) = (InvitationKind::ClassToken, start() + TimeDelta::days(1));
    let early = world.invitation(kind, PHRASE, |row| row.invitation.valid_from = Some(opens));
    early.await;
    guess(&world, "HAMILTON-WRONG1").await;
    world.preview("ann", PHRASE).await.unwrap_err();
    world.redeem("bob", PHRASE, "").await.unwrap_err();
    let mut rows = world.refused_attempts().await;
    rows.retain(|row| row.reason == ErrorReason::NotYetValid);
    let decided: Vec<_> = rows.iter().map(|row| row.limiter_decision).collect();
    assert_eq!(decided, [LimiterDecision::Guarded; 2]);
}

#[tokio::test]
async fn r10_whoever_is_vouched_for_and_what_is_long_never_queue_for_it() {
    let world = world().await;
    guess(&world, "zebra-zebra").await;
    guess(&world, "HAMILTON-WRONG1").await;
    let mut vouched = world.attempt("ann", PHRASE, "");
    vouched.facts.vouched = true;
    assert_eq!(outcome(&world, vouched).await, Outcome::Admitted);
    world.class_code().await;
    assert_outcome(&world, "bob", CLASS_CODE, "", Outcome::Admitted).await;
}

/// Returns whether the guard of the organization is closed, and that of guesses that name none.
async fn guarded(world: &World) -> Vec<bool> {
    let scopes = [
        GuessScope::Organization(organization()),
        GuessScope::Service,
    ];
    world.app.redemptions.limiter.guarded(&scopes).await
}

#[tokio::test]
async fn r10_what_may_be_a_code_or_name_nobody_is_a_guess_of_both() {
    let world = world().await;
    guess(&world, "HAMILTON-WRONG1").await;
    assert_eq!(guarded(&world).await, [true, false]);
    // a text of a class code's form
    guess(&world, "HAMILTON7K3M").await;
    assert_eq!(guarded(&world).await, [true, true]);
}

#[tokio::test]
async fn r10_an_organization_that_nobody_knows_has_no_budget_of_its_own() {
    let world = world().await;
    for user in ["eve", "mallory", "oscar"] {
        let made_up = Attempt {
            organization: Some(OrganizationId::parse(&format!("of-{user}")).unwrap()),
            ..world.attempt(user, PHRASE, "")
        };
        world.redeem_by(made_up).await.unwrap_err();
    }
    assert_eq!(guarded(&world).await, [false, true]);
}

#[tokio::test]
async fn r10_of_a_batch_each_queues_for_itself() {
    let world = world().await;
    guess(&world, "HAMILTON-WRONG1").await;
    world.class_code().await;
    let batch = vec![
        world.attempt("ann", "zebra-zebra", ""),
        world.attempt("bob", CLASS_CODE, ""),
        world.attempt("cid", PHRASE, ""),
        world.attempt("dan", CLASS_CODE, ""),
    ];
    let answers = world.redeem_all(batch).await.into_iter().map(told);
    let [admitted, waiting] = [Outcome::Admitted, Outcome::PendingApproval].map(Ok);
    let refused = Err(ErrorReason::CodeNotUsable);
    let expected = [refused, admitted, waiting, admitted];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}
