//! What a redemption costs: its statements, its transactions, and what it leaves behind.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::TimeDelta;
use homeroom_invitations::domain::{
    invitation::InvitationKind,
    redemption::{Outcome, RedemptionState},
};
use sqlx::{Connection as _, PgConnection};
use tracing::{Metadata, Subscriber, span};

use crate::world::{CODE, REQUEST, World, organization, start};

const CLASS_CODE: &str = "ABCD-EFGH-JKMN";
/// Statements before the answer: request id, profiles, look-up, and three of T1, which begins and commits too.
const STATEMENTS_BEFORE_THE_ANSWER_MAX: usize = 6;
/// Statements after the answer: three of T3, which begins and commits too.
const STATEMENTS_AFTER_THE_ANSWER_MAX: usize = 3;

/// Counts the statements that the driver reports. Transactions begin and end without a report.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl Statements {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_redemption_takes_few_statements() {
    let world = World::on_postgres().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    let statements = Statements::default();
    let counting = tracing::subscriber::set_default(statements.clone());
    let attempt = world.attempt("ann", CLASS_CODE, REQUEST);
    world.app.redemptions.redeem(attempt).await.unwrap();
    let before = statements.take();
    world.quiet().await;
    let after = statements.take();
    drop(counting);
    assert!(before > 0, "nothing was counted");
    assert!(before <= STATEMENTS_BEFORE_THE_ANSWER_MAX, "{before}");
    assert!(after <= STATEMENTS_AFTER_THE_ANSWER_MAX, "{after}");
    assert_eq!(world.states().await, [RedemptionState::Committed]);
    world.drop_it().await;
}

#[tokio::test]
async fn settlements_of_many_batches_share_transactions() {
    // Given somebody holds the organization, so that settlements wait
    let world = World::on_postgres().await;
    world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    let mut holding = world.app.store.write().await.unwrap();
    holding
        .lock_organizations(&[organization()], start())
        .await
        .unwrap();
    // When many redeem, one batch after the other
    for number in 0..8 {
        let attempt = world.attempt(&format!("person-{number}"), CLASS_CODE, "");
        world.app.redemptions.redeem(attempt).await.unwrap();
    }
    // Then those that waited are settled together
    holding.commit("test").await.unwrap();
    world.quiet().await;
    let url = world.database().postgres_url();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let transactions: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT xmin::text) FROM redemptions WHERE state = 'COMMITTED'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    assert!(transactions <= 3, "{transactions} transactions");
    assert_eq!(world.states().await, [RedemptionState::Committed; 8]);
    world.drop_it().await;
}

#[tokio::test]
async fn r2_r3_who_is_a_member_already_leaves_a_redemption_for_a_day() {
    let world = World::new().await;
    world.code(None).await;
    world.redeem("ann", CODE, "").await.unwrap();
    // When a member presses the link again
    let again = world.redeem("ann", CODE, REQUEST).await.unwrap();
    assert_eq!(again.outcome, Outcome::AlreadyMember);
    // Then the same request id has the same answer for a day
    world.advance(TimeDelta::hours(24));
    world.app.prune_request_ids_once().await.unwrap();
    assert_eq!(world.redeem("ann", CODE, REQUEST).await.unwrap(), again);
    // And then only the redemption that let the person in is left
    world.advance(TimeDelta::hours(1) + TimeDelta::microseconds(1));
    world.app.prune_request_ids_once().await.unwrap();
    assert_eq!(world.states().await, [RedemptionState::Committed]);
}
