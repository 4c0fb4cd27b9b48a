//! The log of refused attempts: its entries, what they reveal, and what they must never cost.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    ids::OrganizationId,
    invitations::v1::{GetRedemptionRequest, redemption_service_server::RedemptionService as _},
    names::{OrganizationName, Place},
};
use homeroom_invitations::{
    app::retention::{REFUSED_ATTEMPTS_DAYS_DEFAULT, Retention},
    domain::refused_attempt::{LimiterDecision, RefusedAttempt},
    domain::{invitation::InvitationKind, redemption::Outcome},
    grpc::redemption_service::RedemptionHandlers,
    store::InvitationRow,
};

use crate::{
    fake_membership::Mode,
    world::{CODE, World, assert_refused, by, caller, organization, start},
};

fn of_hamilton() -> Place {
    Place::Organization(organization())
}

async fn refused(world: &World, name: &str, code: &str) -> ErrorReason {
    world.advance(TimeDelta::milliseconds(2));
    world.refusal(name, code, "").await
}

#[tokio::test]
async fn r5_of_what_opens_nothing_every_row_is_the_same() {
    let world = World::new().await;
    let kind = InvitationKind::EnrollmentCode;
    let off = |row: &mut InvitationRow| row.enabled = false;
    let revoked = |row: &mut InvitationRow| row.revoke_time = Some(start());
    let deleted = |row: &mut InvitationRow| {
        row.delete_time = Some(start());
        row.secret = None;
    };
    let reset = world.invitation(kind, "HAMILTON-RESET1", |_| {}).await;
    world.reset(reset, "HAMILTON-OTHER1").await;
    world.invitation(kind, "HAMILTON-OFF001", off).await;
    world.invitation(kind, "HAMILTON-REVOK1", revoked).await;
    world.invitation(kind, "HAMILTON-DELET1", deleted).await;
    for code in ["UNKNO1", "RESET1", "OFF001", "REVOK1", "DELET1"] {
        // One repeat a minute is logged.
        world.advance(TimeDelta::minutes(1));
        let code = format!("HAMILTON-{code}");
        let redeemed = refused(&world, "ann", &code).await;
        let previewed = world.preview("ann", &code).await.unwrap_err();
        assert_eq!(
            [redeemed, previewed.reason()],
            [ErrorReason::CodeNotUsable; 2]
        );
    }
    let rows = world.refused_attempts().await;
    assert_eq!(rows.len(), 10);
    for row in rows {
        let alike = RefusedAttempt {
            id: row.id,
            place: Some(of_hamilton()),
            invitation: String::new(),
            user: crate::world::user("ann"),
            calling_service: "ann".to_owned(),
            preview: row.preview,
            reason: ErrorReason::CodeNotUsable,
            limiter_decision: LimiterDecision::Allowed,
            create_time: row.create_time,
        };
        assert_eq!(row, alike);
    }
    let left = world.redemptions().await;
    assert_eq!(left, [], "P9: it leaves no other");
}

#[tokio::test]
async fn what_is_in_the_redemptions_or_is_no_decision_is_not_in_the_log() {
    let world = World::new().await;
    world.code(Some(1)).await;
    world.membership.state().seats = Some(0);
    assert_refused(&world, "ann", CODE, "", ErrorReason::NoSeats).await;
    world.membership.set(Mode::Away);
    world.redeem("bob", CODE, "").await.unwrap_err();
    assert!(world.refused_attempts().await.is_empty());
    // A preview leaves no redemption, so its refusals by membership are logged here too.
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::minutes(1));
    world.recover().await;
    world.preview("cid", CODE).await.unwrap_err();
    let rows = world.refused_attempts().await;
    assert!(rows[0].preview && !rows[0].invitation.is_empty());
    assert_eq!(rows[0].reason, ErrorReason::NoSeats);
}

#[tokio::test]
async fn i8_a_bound_token_leaves_no_trace_in_an_organization_that_it_may_not_reach() {
    let world = World::new().await;
    let mut bound = caller("ann");
    bound.organizations = Some(vec![OrganizationId::parse("jefferson").unwrap()]);
    let attempt = world.attempt_of(&bound, CODE, "");
    world.redeem_by(attempt).await.unwrap_err();
    let rows = world.refused_attempts().await;
    assert_eq!((rows.len(), &rows[0].place), (1, &None));
}

#[tokio::test]
async fn an_organization_that_nobody_knows_here_is_not_named() {
    let world = World::new().await;
    let mut attempt = world.attempt("ann", "WRONG1", "");
    attempt.organization = Some(OrganizationName::parse("organizations/nowhere").unwrap().0);
    world.redeem_by(attempt.clone()).await.unwrap_err();
    attempt.organization = Some(organization());
    world.advance(TimeDelta::milliseconds(2));
    world.redeem_by(attempt).await.unwrap_err();
    let rows = world.refused_attempts().await;
    assert_eq!(rows[0].place, Some(of_hamilton()));
    assert_eq!(rows[1].place, None);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_no_answer() {
    let world = World::new().await;
    world.tamper("DROP TABLE refused_attempts").await;
    for _ in 0..2 {
        let refusal = refused(&world, "ann", CODE).await;
        assert_eq!(refusal, ErrorReason::CodeNotUsable);
    }
}

#[tokio::test]
async fn it_is_kept_for_90_days() {
    let world = World::new().await;
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.advance(TimeDelta::days(REFUSED_ATTEMPTS_DAYS_DEFAULT.into()));
    assert_eq!(
        world
            .app
            .prune_logs_once(&Retention::default())
            .await
            .unwrap(),
        0
    );
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(
        world
            .app
            .prune_logs_once(&Retention::default())
            .await
            .unwrap(),
        1
    );
    assert!(world.refused_attempts().await.is_empty());
}

#[tokio::test]
async fn r10_what_the_guard_does_is_told_of_redemptions_and_of_refusals() {
    let world = World::limited(|budgets| budgets.organization_daily_min = 1).await;
    world.code(None).await;
    for user in ["ann", "bob", "cid"] {
        refused(&world, user, "HAMILTON-WRONG1").await;
    }
    let waiting = world.redeem("dan", CODE, "").await.unwrap();
    assert_eq!(waiting.outcome, Outcome::PendingApproval);
    let handlers = RedemptionHandlers::new(world.app.clone());
    let name = waiting.redemption.to_string();
    let request = by("dan", GetRedemptionRequest { name });
    let read = handlers.get_redemption(request).await.unwrap();
    assert!(read.into_inner().guess_guarded);
    let last = world.refused_attempts().await.remove(0);
    assert_eq!(last.limiter_decision, LimiterDecision::Guarded);
}
