//! Preview (R4).

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::{
    domain::{
        invitation::{InvitationKind, Uses},
        redemption::Outcome,
    },
    limiter::Budgets,
};

use crate::{
    fake_membership::Mode,
    world::{CODE, World},
};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

#[tokio::test]
async fn r4_it_says_what_would_happen_and_changes_nothing() {
    let world = World::new().await;
    let code = world.code(Some(1)).await;
    let preview = world.preview("ann", CODE).await.unwrap();
    assert_eq!(preview.outcome, Outcome::Admitted);
    assert_eq!(preview.organization_display_name, "Hamilton");
    assert_eq!(preview.class_display_name, "Biology");
    assert!(preview.failures.is_empty());
    assert!(world.membership.state().members.is_empty());
    assert!(world.membership.state().admissions.is_empty());
    assert!(world.redemptions().await.is_empty());
    assert_eq!(world.uses(code).await, Uses::default());
    world.redeem("ann", CODE, "").await.unwrap();
    let again = world.preview("ann", CODE).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyMember);
}

#[tokio::test]
async fn r4_who_waits_already_would_wait_on() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |row| {
            row.invitation.max_uses = Some(1);
        })
        .await;
    world.advance(TimeDelta::days(14));
    let before = world.preview("ann", CLASS_CODE).await.unwrap();
    assert_eq!(before.outcome, Outcome::PendingApproval);
    world.redeem("ann", CLASS_CODE, "").await.unwrap();
    let after = world.preview("ann", CLASS_CODE).await.unwrap();
    assert_eq!(after.outcome, Outcome::PendingApproval);
}

#[tokio::test]
async fn r4_a_refusal_is_redeems_own_for_anyone_and_every_rule_for_staff() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.max_uses = Some(0);
            row.invitation.valid_from = Some(crate::world::start() + TimeDelta::hours(1));
        })
        .await;
    world.membership.state().seats = Some(0);
    let previewed = world.preview("ann", CODE).await.unwrap_err();
    let redeemed = world.redeem("ann", CODE, "").await.unwrap_err();
    assert_eq!(
        tonic::Status::from(previewed).details(),
        tonic::Status::from(redeemed).details()
    );
    let preview = world.preview("tess", CODE).await.unwrap();
    let not_yet = Outcome::Refused(ErrorReason::NotYetValid);
    assert_eq!(preview.outcome, not_yet);
    assert_eq!(
        preview.failures,
        [
            ErrorReason::NotYetValid,
            ErrorReason::UsedUp,
            ErrorReason::NoSeats
        ]
    );
    let nothing = world.preview("tess", "HAMILTON-NOTHING").await.unwrap_err();
    assert_eq!(nothing.reason(), ErrorReason::CodeNotUsable);
}

#[tokio::test]
async fn r4_a_guess_by_preview_costs_what_a_guess_by_redeem_costs() {
    let world = World::with_budgets(Budgets {
        user_burst: 2,
        ..Budgets::default()
    })
    .await;
    world.code(None).await;
    for _ in 0..5 {
        world.preview("ann", CODE).await.unwrap();
    }
    for guess in ["HAMILTON-GUESS", "HAMILTON-GUESS2"] {
        world.preview("ann", guess).await.unwrap_err();
    }
    let spent = world.preview("ann", CODE).await.unwrap_err();
    assert_eq!(spent.reason(), ErrorReason::TooManyAttempts);
}

#[tokio::test]
async fn r4_membership_away_is_said_so() {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    let away = world.preview("ann", CODE).await.unwrap_err();
    assert_eq!(away.reason(), ErrorReason::MembershipUnavailable);
}

#[tokio::test]
async fn p12_what_a_preview_was_charged_is_settled_though_its_client_has_gone() {
    let world = World::new().await;
    world.code(None).await;
    let caller = crate::world::caller("ann");
    let attempt = world.attempt("ann", CODE, "");
    {
        let mut preview = std::pin::pin!(world.app.redemptions.preview(&caller, attempt));
        let answered = futures::poll!(&mut preview);
        assert!(answered.is_pending());
    }
    world.quiet().await;
    assert_eq!(world.membership.state().heard.len(), 1);
}
