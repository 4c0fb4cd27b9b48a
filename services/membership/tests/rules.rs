//! The rules of membership, through gRPC, on either engine.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "rules/classes.rs"]
mod classes;
#[path = "rules/members.rs"]
mod members;
#[path = "rules/metrics.rs"]
mod metrics;
#[path = "rules/organizations.rs"]
mod organizations;
#[path = "rules/removals.rs"]
mod removals;
#[path = "rules/retries.rs"]
mod retries;
mod support;
#[path = "rules/world.rs"]
mod world;
