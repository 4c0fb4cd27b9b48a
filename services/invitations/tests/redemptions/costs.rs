//! The cost of a redemption: its statements, its transactions, and the rows that it leaves behind.

use std::{cell::RefCell, fmt, sync::Once};

use chrono::TimeDelta;
use homeroom_invitations::domain::redemption::{Outcome, RedemptionState};
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use uuid::Uuid;

use crate::world::{CLASS_CODE, CODE, REQUEST, World, organization, start};

/// The maximum number of round trips of one redemption: request id, profiles and look-up; then T1 and T3, each of which
/// begins, locks, writes and commits.
const ROUND_TRIPS_MAX: usize = 3 + 4 + 4;

thread_local! {
    /// The reports of the driver in this thread: each test has a thread of its own.
    static REPORTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Counts the reports of the driver.
struct Statements;

impl Statements {
    fn are_counted() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
    }

    fn take() -> Vec<String> {
        REPORTED.take()
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Summary);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Records the beginning of a statement, as the driver reports it.
struct Summary;

impl Visit for Summary {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "summary" {
            REPORTED.with_borrow_mut(|reported| reported.push(format!("{value:?}")));
        }
    }
}

#[tokio::test]
async fn a_redemption_takes_few_round_trips() {
    let world = World::on_postgres().await;
    world.class_code().await;
    Statements::are_counted();
    // Given a session that has prepared its statements
    world.redeem("bob", CLASS_CODE, "").await.unwrap();
    Statements::take();
    // When somebody redeems, presses the link again, and comes back after having left
    for number in 1..=3_u128 {
        if number == 3 {
            world.membership.state().members.clear();
        }
        let request_id = Uuid::from_u128(number).to_string();
        world.redeem("ann", CLASS_CODE, &request_id).await.unwrap();
        // Then few statements are sent, besides those that a new connection runs
        let mut sent = Statements::take();
        sent.retain(|statement| !statement.contains("SHOW transaction_read_only"));
        assert!(!sent.is_empty(), "nothing was reported");
        assert!(sent.len() <= ROUND_TRIPS_MAX, "{sent:#?}");
    }
}

#[tokio::test]
async fn settlements_of_many_batches_share_transactions() {
    // Given somebody holds the organization, so that settlements wait
    let world = World::on_postgres().await;
    world.class_code().await;
    let mut holding = world.app.store.write().await.unwrap();
    holding
        .lock_organizations(&[organization()], start())
        .await
        .unwrap();
    // When many redeem, one batch after the other
    for number in 0..8 {
        let attempt = world.attempt(&format!("person-{number}"), CLASS_CODE, "");
        let redeemed = world.app.redemptions.redeem_many(vec![attempt]).await;
        assert!(redeemed[0].is_ok());
    }
    // Then the settlements that waited are made together
    holding.commit("test").await.unwrap();
    world.quiet().await;
    let settled = "SELECT DISTINCT xmin::text FROM redemptions WHERE state = 'COMMITTED'";
    let transactions = world.database.select::<String>(settled).await;
    assert!(transactions.len() <= 3, "{transactions:?}");
    assert_eq!(world.states().await, [RedemptionState::Committed; 8]);
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
