//! The behavior of T1 when it conflicts with another transaction; shown on PostgreSQL, because SQLite has one writer.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::{
    domain::{
        domain_rule::DomainRule,
        invitation::{InvitationKind, Standing},
        redemption::{Outcome, RedemptionState},
    },
    redemption::ledger::Redemption,
    store::InvitationRow,
};
use sqlx::{Connection as _, PgConnection};

use crate::{
    waiting::until_a_session_waits,
    world::{CODE, REQUEST, World, start, uses},
};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";

/// Redeems during a change of the invitation that the look-up did not see.
async fn redeem_while_it_changes(
    world: &World,
    kind: InvitationKind,
    change: impl FnOnce(&mut InvitationRow),
) -> homeroom_kit::Result<Outcome> {
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

/// A kind of invitation, its change, the answer, and the redemptions that are left.
type Case = (
    InvitationKind,
    fn(&mut InvitationRow),
    Result<Outcome, ErrorReason>,
    &'static [RedemptionState],
);

#[tokio::test]
async fn p7_what_changed_after_the_look_up_is_judged_as_it_is() {
    let code = InvitationKind::EnrollmentCode;
    let cases: [Case; 6] = [
        (
            code,
            |row| row.invitation.valid_till = Some(start()),
            Err(ErrorReason::NoLongerValid),
            &[RedemptionState::Refused],
        ),
        (
            code,
            |row| row.invitation.valid_from = Some(start() + TimeDelta::days(1)),
            Err(ErrorReason::NotYetValid),
            &[],
        ),
        (
            code,
            |row| {
                row.invitation
                    .email_domains
                    .extend(DomainRule::parse("hamilton.example"));
            },
            Err(ErrorReason::EmailUnverified),
            &[],
        ),
        (
            code,
            |row| row.invitation.max_uses = Some(0),
            Err(ErrorReason::UsedUp),
            &[RedemptionState::Refused],
        ),
        (
            code,
            |row| {
                row.enabled = false;
                row.invitation.standing = Standing::Off;
            },
            Err(ErrorReason::CodeNotUsable),
            &[],
        ),
        (
            InvitationKind::ClassCode,
            |row| row.invitation.lock = row.invitation.lock.map(|lock| lock.locked(start())),
            Ok(Outcome::PendingApproval),
            &[RedemptionState::Queued],
        ),
    ];
    for (kind, change, expected, states) in cases {
        let world = World::on_postgres().await;
        let answer = redeem_while_it_changes(&world, kind, change).await;
        assert_eq!(answer.map_err(|error| error.reason()), expected);
        assert_eq!(world.states().await, states, "{expected:?}");
        let redemptions = world.redemptions().await;
        assert!(
            redemptions
                .iter()
                .all(|one| one.holds_use == expected.is_ok())
        );
        world.drop_it().await;
    }
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
    let both = uses(2, 0, 0);
    assert_eq!(world.uses(code).await, both);
    let passed: i64 = sqlx::query_scalar("SELECT last_value FROM passed")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(passed, 2, "it was begun twice");
    drop(connection);
    world.drop_it().await;
}
