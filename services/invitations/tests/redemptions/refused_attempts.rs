//! The log of refused attempts: its entries, what they reveal, and what they must never cost.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    ids::OrganizationId,
    invitations::v1::{GetRedemptionRequest, redemption_service_server::RedemptionService as _},
    names::{OrganizationName, Place},
};
use homeroom_invitations::{
    app::retention::REFUSED_ATTEMPT_DAYS,
    domain::{invitation::InvitationKind, redemption::Outcome},
    grpc::redemption_service::RedemptionHandlers,
    limiter::Budgets,
    store::{InvitationRow, LimiterDecision, RefusedAttempt},
};
use homeroom_kit::auth::Scope;

use crate::{
    fake_membership::Mode,
    world::{CODE, REQUEST, World, caller, class, list_refused_attempts, organization, start},
};

fn of_hamilton() -> Place {
    Place::Organization(organization())
}

/// Returns all entries, newest first.
async fn logged(world: &World) -> Vec<RefusedAttempt> {
    world.quiet().await;
    let platform = caller("operator").with_scopes([Scope::Platform]);
    let list = list_refused_attempts(&world.app, &platform, None, (1_000, "", ""));
    list.await.unwrap().items
}

async fn refused(world: &World, name: &str, code: &str) -> ErrorReason {
    world.advance(TimeDelta::milliseconds(2));
    world.redeem(name, code, "").await.unwrap_err().reason()
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
        assert_eq!(
            refused(&world, "ann", &code).await,
            ErrorReason::CodeNotUsable
        );
        let previewed = world.preview("ann", &code).await.unwrap_err();
        assert_eq!(previewed.reason(), ErrorReason::CodeNotUsable);
    }
    let rows = logged(&world).await;
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
    assert!(
        world.redemptions().await.is_empty(),
        "P9: it leaves no other"
    );
}

#[tokio::test]
async fn a_living_credential_names_its_invitation_and_one_that_nobody_knows_names_nothing() {
    let world = World::new().await;
    let id = world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(start() + TimeDelta::days(1));
        })
        .await;
    assert_eq!(refused(&world, "ann", CODE).await, ErrorReason::NotYetValid);
    assert_eq!(
        refused(&world, "ann", "QQQQ-WWWW-EEEE").await,
        ErrorReason::CodeNotUsable
    );
    let rows = logged(&world).await;
    assert_eq!((&rows[0].place, rows[0].invitation.as_str()), (&None, ""));
    assert_eq!(rows[1].place, Some(class()));
    assert_eq!(
        rows[1].invitation,
        format!("{}/enrollmentCodes/{id}", class())
    );
    assert_eq!(rows[1].reason, ErrorReason::NotYetValid);
}

#[tokio::test]
async fn what_is_in_the_redemptions_or_is_no_decision_is_not_in_the_log() {
    let world = World::new().await;
    world.code(Some(1)).await;
    world.membership.state().seats = Some(0);
    let full = world.redeem("ann", CODE, "").await.unwrap_err();
    assert_eq!(full.reason(), ErrorReason::NoSeats);
    world.membership.set(Mode::Away);
    world.redeem("bob", CODE, "").await.unwrap_err();
    assert!(logged(&world).await.is_empty());
    // A preview leaves no redemption, so its refusals by membership are logged here too.
    world.membership.set(Mode::Up);
    world.advance(TimeDelta::minutes(1));
    world.app.redemptions.recover_once().await.unwrap();
    world.preview("cid", CODE).await.unwrap_err();
    let rows = logged(&world).await;
    assert_eq!(
        (rows[0].preview, rows[0].reason),
        (true, ErrorReason::NoSeats)
    );
    assert!(!rows[0].invitation.is_empty());
}

#[tokio::test]
async fn p9_a_refusal_is_decided_afresh_and_each_decision_is_logged() {
    let world = World::new().await;
    for _ in 0..2 {
        let refusal = world.redeem("ann", CODE, REQUEST).await.unwrap_err();
        assert_eq!(refusal.reason(), ErrorReason::CodeNotUsable);
    }
    world.code(None).await;
    world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(logged(&world).await.len(), 2);
}

#[tokio::test]
async fn r10_what_the_limiter_refuses_is_logged_once_a_minute() {
    let budgets = Budgets {
        user_burst: 2,
        user_hourly: 2,
        user_daily: 2,
        ..Budgets::default()
    };
    let world = World::with_budgets(budgets).await;
    for guess in ["HAMILTON-WRONG1", "HAMILTON-WRONG2"] {
        refused(&world, "ann", guess).await;
    }
    for _ in 0..5 {
        assert_eq!(
            refused(&world, "ann", CODE).await,
            ErrorReason::TooManyAttempts
        );
    }
    world.advance(TimeDelta::minutes(1));
    refused(&world, "ann", CODE).await;
    let decisions: Vec<LimiterDecision> = logged(&world)
        .await
        .iter()
        .map(|row| row.limiter_decision)
        .collect();
    let (allowed, refused) = (LimiterDecision::Allowed, LimiterDecision::RefusedUser);
    assert_eq!(decisions, [refused, refused, allowed, allowed]);
}

#[tokio::test]
async fn i8_a_bound_token_leaves_no_trace_in_an_organization_that_it_may_not_reach() {
    let world = World::new().await;
    let mut bound = caller("ann");
    bound.organizations = Some(vec![OrganizationId::parse("jefferson").unwrap()]);
    let attempt = world.attempt_of(&bound, CODE, "");
    world.app.redemptions.redeem(attempt).await.unwrap_err();
    let rows = logged(&world).await;
    assert_eq!((rows.len(), &rows[0].place), (1, &None));
}

#[tokio::test]
async fn an_organization_that_nobody_knows_here_is_not_named() {
    let world = World::new().await;
    let mut attempt = world.attempt("ann", "WRONG1", "");
    attempt.organization = Some(OrganizationName::parse("organizations/nowhere").unwrap().0);
    world
        .app
        .redemptions
        .redeem(attempt.clone())
        .await
        .unwrap_err();
    attempt.organization = Some(organization());
    world.advance(TimeDelta::milliseconds(2));
    world.app.redemptions.redeem(attempt).await.unwrap_err();
    let rows = logged(&world).await;
    assert_eq!(rows[0].place, Some(of_hamilton()));
    assert_eq!(rows[1].place, None);
}

#[tokio::test]
async fn i8_what_may_be_meant_for_another_is_not_filed_under_the_prefix_that_it_begins_with() {
    let world = World::new().await;
    for code in [
        // A class code, one with a character too many, and a phrase with an error in its second word.
        "HAMILTON-ABCD",
        "HAMILTONABCDE",
        "hamiltonzebro",
    ] {
        let reason = refused(&world, "ann", code).await;
        assert_eq!(reason, ErrorReason::CodeNotUsable);
    }
    refused(&world, "ann", "hamilton wrong 1").await;
    let places: Vec<Option<Place>> = logged(&world)
        .await
        .into_iter()
        .map(|row| row.place)
        .collect();
    assert_eq!(places, [Some(of_hamilton()), None, None, None]);
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
async fn it_is_listed_newest_first_in_pages_for_administrators_and_operators() {
    let world = World::new().await;
    for name in ["ann", "bob", "cid"] {
        refused(&world, name, CODE).await;
    }
    refused(&world, "dan", "QQQQ-WWWW-EEEE").await;
    world.quiet().await;
    let list = async |user: &str, scopes: &[Scope], parent: Option<Place>, size, token: &str| {
        let caller = caller(user).with_scopes(scopes.iter().copied());
        let listed = list_refused_attempts(&world.app, &caller, parent.as_ref(), (size, token, ""));
        listed.await.map(|page| {
            let users = page.items.iter().map(|row| row.user.to_string()).collect();
            (users, page.next_page_token)
        })
    };
    let hamilton = || Some(of_hamilton());
    let stranger = list("ann", &[], hamilton(), 0, "").await.unwrap_err();
    assert_eq!(stranger.reason(), ErrorReason::OrganizationNotFound);
    let (users, next): (Vec<String>, String) = list("tess", &[], hamilton(), 2, "").await.unwrap();
    assert_eq!(users, ["cid", "bob"]);
    let (users, end) = list("tess", &[], hamilton(), 2, &next).await.unwrap();
    assert_eq!((users, end.as_str()), (vec!["ann".to_owned()], ""));
    let other = list("operator", &[Scope::Platform], None, 2, &next).await;
    assert_eq!(other.unwrap_err().reason(), ErrorReason::InvalidPageToken);
    let (users, _) = list("operator", &[Scope::Platform], None, 0, "")
        .await
        .unwrap();
    assert_eq!(users, ["dan", "cid", "bob", "ann"], "those without one too");
    for scopes in [&[][..], &[Scope::Admit, Scope::ActAs]] {
        let refused = list("tess", scopes, None, 0, "").await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::ScopeMissing);
    }
    let mut bound = caller("operator").with_scopes([Scope::Platform]);
    bound.organizations = Some(vec![organization()]);
    let refused = list_refused_attempts(&world.app, &bound, None, (0, "", ""));
    assert_eq!(
        refused.await.unwrap_err().reason(),
        ErrorReason::ScopeMissing
    );
}

#[tokio::test]
async fn it_is_filtered_by_user_reason_and_time() {
    let world = World::new().await;
    world
        .invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.valid_from = Some(start() + TimeDelta::days(1));
        })
        .await;
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.advance(TimeDelta::seconds(1));
    world
        .redeem("bob", "HAMILTON-WRONG1", "")
        .await
        .unwrap_err();
    world.quiet().await;
    let (tess, parent) = (caller("tess"), of_hamilton());
    for (filter, count) in [
        ("user = ann", 1),
        ("user = ann AND reason = NOT_YET_VALID", 1),
        ("user = ann AND user = bob", 0),
        ("reason = CODE_NOT_USABLE", 1),
        ("reason = NO_SEATS", 0),
        ("reason = NOTHING", 0),
        ("create_time > \"2027-01-15T08:00:00Z\"", 1),
        ("create_time >= \"2027-01-15T08:00:00Z\"", 2),
        ("create_time <= \"2027-01-15T08:00:00Z\"", 1),
        ("create_time < \"2027-01-15T08:00:00Z\"", 0),
    ] {
        let list = list_refused_attempts(&world.app, &tess, Some(&parent), (0, "", filter));
        assert_eq!(list.await.unwrap().items.len(), count, "{filter}");
    }
    for filter in [
        "user != ann",
        "class = a",
        "create_time = \"2027-01-15T08:00:00Z\"",
    ] {
        let list = list_refused_attempts(&world.app, &tess, Some(&parent), (0, "", filter));
        assert_eq!(
            list.await.unwrap_err().reason(),
            ErrorReason::InvalidFilter,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn it_is_kept_for_90_days() {
    let world = World::new().await;
    world.redeem("ann", CODE, "").await.unwrap_err();
    world.advance(TimeDelta::days(REFUSED_ATTEMPT_DAYS));
    assert_eq!(world.app.prune_logs_once().await.unwrap(), 0);
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(world.app.prune_logs_once().await.unwrap(), 1);
    assert!(logged(&world).await.is_empty());
}

#[tokio::test]
async fn r10_what_the_guard_does_is_told_of_redemptions_and_of_refusals() {
    let budgets = Budgets {
        organization_daily_min: 1,
        ..Budgets::default()
    };
    let world = World::with_budgets(budgets).await;
    world.code(None).await;
    for user in ["ann", "bob", "cid"] {
        refused(&world, user, "HAMILTON-WRONG1").await;
    }
    let waiting = world.redeem("dan", CODE, "").await.unwrap();
    assert_eq!(waiting.outcome, Outcome::PendingApproval);
    let handlers = RedemptionHandlers::new(world.app.clone());
    let mut request = tonic::Request::new(GetRedemptionRequest {
        name: waiting.redemption.to_string(),
    });
    request.extensions_mut().insert(caller("dan"));
    let read = handlers.get_redemption(request).await.unwrap();
    assert!(read.into_inner().guess_guarded);
    let last = logged(&world).await.remove(0);
    assert_eq!(last.limiter_decision, LimiterDecision::Guarded);
}
