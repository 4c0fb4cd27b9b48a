//! The behavior of T1 when it conflicts with another transaction; shown on PostgreSQL, because SQLite has one writer.

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, membership::v1::admit_request};
use homeroom_invitations::{
    domain::{
        domain_rule::DomainRule,
        invitation::{InvitationKind, Standing, Uses},
        redemption::{Outcome, RedemptionState},
    },
    redemption::ledger::Redemption,
    store::InvitationRow,
};
use homeroom_kit::Result;
use sqlx::{Connection as _, PgConnection};

use crate::{
    waiting::until_a_session_waits,
    world::{CODE, REQUEST, World, start},
};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

/// Redeems during a change of the invitation that the look-up did not see.
async fn redeem_while_it_changes(
    world: &World,
    kind: InvitationKind,
    change: impl FnOnce(&mut InvitationRow),
) -> Result<Outcome> {
    let code = match kind {
        InvitationKind::ClassCode => CLASS_CODE,
        _ => CODE,
    };
    let id = world.invitation(kind, code, |_| {}).await;
    let mut changing = world.app.store.write().await.unwrap();
    let mut row = changing.lock_invitations(&[id]).await.unwrap().remove(0);
    let attempt = world.attempt("ann", code, REQUEST);
    let app = world.app.clone();
    let redeeming = tokio::spawn(async move { app.redemptions.redeem(attempt).await });
    // The redemption has looked the code up, and waits for the row.
    until_a_session_waits(&world.database).await;
    change(&mut row);
    row.revision += 1;
    assert!(changing.update_invitation(&row).await.unwrap());
    changing.commit("test").await.unwrap();
    let redeemed = redeeming.await.unwrap();
    world.quiet().await;
    redeemed.map(|redeemed| redeemed.outcome)
}

fn refusal(result: Result<Outcome>) -> ErrorReason {
    result.unwrap_err().reason()
}

#[tokio::test]
async fn p7_a_date_that_changed_after_the_look_up_is_judged_as_it_is() {
    let world = World::on_postgres().await;
    let over = redeem_while_it_changes(&world, InvitationKind::EnrollmentCode, |row| {
        row.invitation.valid_till = Some(start());
    })
    .await;
    assert_eq!(refusal(over), ErrorReason::NoLongerValid);
    let redemption = world.redemptions().await.remove(0);
    assert!(!redemption.holds_use);
    assert_eq!(redemption.state, RedemptionState::Refused);
    world.drop_it().await;

    let world = World::on_postgres().await;
    let early = redeem_while_it_changes(&world, InvitationKind::EnrollmentCode, |row| {
        row.invitation.valid_from = Some(start() + TimeDelta::days(1));
    })
    .await;
    assert_eq!(refusal(early), ErrorReason::NotYetValid);
    assert!(world.redemptions().await.is_empty());
    world.drop_it().await;
}

#[tokio::test]
async fn p7_a_domain_rule_that_came_after_the_look_up_is_judged() {
    let world = World::on_postgres().await;
    let stranger = redeem_while_it_changes(&world, InvitationKind::EnrollmentCode, |row| {
        row.invitation.email_domains = vec![DomainRule::parse("hamilton.example").unwrap()];
    })
    .await;
    assert_eq!(refusal(stranger), ErrorReason::EmailUnverified);
    assert!(world.redemptions().await.is_empty());
    world.drop_it().await;
}

#[tokio::test]
async fn p7_uses_that_were_cut_and_a_switch_that_was_thrown_after_the_look_up_are_judged() {
    let world = World::on_postgres().await;
    let used_up = redeem_while_it_changes(&world, InvitationKind::EnrollmentCode, |row| {
        row.invitation.max_uses = Some(0);
    })
    .await;
    assert_eq!(refusal(used_up), ErrorReason::UsedUp);
    world.drop_it().await;

    let world = World::on_postgres().await;
    let off = redeem_while_it_changes(&world, InvitationKind::EnrollmentCode, |row| {
        row.enabled = false;
        row.invitation.standing = Standing::Off;
    })
    .await;
    assert_eq!(refusal(off), ErrorReason::CodeNotUsable);
    assert!(world.redemptions().await.is_empty());
    world.drop_it().await;
}

#[tokio::test]
async fn p7_a_lock_that_closed_after_the_look_up_leads_to_the_queue() {
    let world = World::on_postgres().await;
    let locked = redeem_while_it_changes(&world, InvitationKind::ClassCode, |row| {
        let lock = row.invitation.lock.unwrap();
        row.invitation.lock = Some(lock.locked(start()));
    })
    .await;
    assert_eq!(locked.unwrap(), Outcome::PendingApproval);
    assert_eq!(
        world.membership.state().heard[0].route(),
        admit_request::Route::Queue
    );
    world.drop_it().await;
}

#[tokio::test]
async fn p4_a_batch_that_inserts_only_a_part_is_undone_and_begun_again() {
    let world = World::on_postgres().await;
    let code = world.code(Some(2)).await;
    // Given a database that skips bob's row the first time, counted in a sequence that no rollback undoes
    let url = world.database.postgres_url();
    let mut connection = PgConnection::connect(url).await.unwrap();
    let passes_over_bob_once = "CREATE SEQUENCE passed; \
        CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.user_id = 'bob' AND nextval('passed') = 1 THEN RETURN NULL; END IF; \
        RETURN NEW; END $$; \
        CREATE TRIGGER passes BEFORE INSERT ON redemptions FOR EACH ROW EXECUTE FUNCTION pass()";
    let made = sqlx::raw_sql(passes_over_bob_once).execute(&mut connection);
    made.await.unwrap();
    // When two redeem together
    let attempts = vec![
        world.attempt("ann", CODE, ""),
        world.attempt("bob", CODE, REQUEST),
    ];
    let mut redeemed = Vec::new();
    for answer in world.app.redemptions.redeem_many(attempts).await {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome, Outcome::Admitted);
        redeemed.push(answer.redemption);
    }
    world.quiet().await;
    // Then both are admitted by the stored redemptions, and the first try left nothing.
    let stored: Vec<_> = world.redemptions().await;
    let stored: Vec<_> = stored.iter().map(Redemption::name).collect();
    assert_eq!(stored.len(), 2);
    assert!(redeemed.iter().all(|name| stored.contains(name)));
    assert_eq!(world.membership.state().heard.len(), 2);
    let both = Uses {
        used: 2,
        reserved: 0,
        queued: 0,
    };
    assert_eq!(world.uses(code).await, both);
    let passed: i64 = sqlx::query_scalar("SELECT last_value FROM passed")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(passed, 2, "it was begun twice");
    drop(connection);
    world.drop_it().await;
}
