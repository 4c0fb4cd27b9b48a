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

use crate::world::{CLASS_CODE, CODE, REQUEST, World, start, uses};

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
    let redeeming = world.spawn(attempt);
    // The redemption has looked the code up, and waits for the row.
    world.database.until_a_session_waits().await;
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
            |row| row.invitation.email_domains = vec![DomainRule::parse("a.example").unwrap()],
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
        for one in world.redemptions().await {
            assert_eq!(one.holds_use, expected.is_ok());
        }
    }
}

#[tokio::test]
async fn p4_a_batch_that_inserts_only_a_part_is_undone_and_begun_again() {
    let world = World::on_postgres().await;
    let code = world.code(Some(2)).await;
    // Given a database that skips bob's row the first time, counted in a sequence that no rollback undoes
    let passes_over_bob_once = "CREATE SEQUENCE passed; \
        CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.user_id = 'bob' AND nextval('passed') = 1 THEN RETURN NULL; END IF; \
        RETURN NEW; END $$; \
        CREATE TRIGGER passes BEFORE INSERT ON redemptions FOR EACH ROW EXECUTE FUNCTION pass()";
    world.tamper(passes_over_bob_once).await;
    // When two redeem together
    let attempts = [("ann", ""), ("bob", REQUEST)];
    let attempts = attempts.map(|(name, request_id)| world.attempt(name, CODE, request_id));
    let mut redeemed = Vec::new();
    for answer in world.redeem_all(attempts).await {
        let answer = answer.unwrap();
        assert_eq!(answer.outcome, Outcome::Admitted);
        redeemed.push(answer.redemption);
    }
    // Then both are admitted by the stored redemptions, and the first try left nothing.
    let stored = world.redemptions().await;
    let stored: Vec<_> = stored.iter().map(Redemption::name).collect();
    assert_eq!(stored.len(), 2);
    assert!(redeemed.iter().all(|name| stored.contains(name)));
    assert_eq!(world.membership.state().heard.len(), 2);
    assert_eq!(world.uses(code).await, uses(2, 0, 0));
    let passed = world
        .database
        .select::<i64>("SELECT last_value FROM passed");
    assert_eq!(passed.await, [2], "it was begun twice");
}
