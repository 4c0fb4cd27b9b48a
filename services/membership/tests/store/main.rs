//! One suite that checks the store on either engine against the promises of `store`.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

mod classes;
mod connections;
mod join_requests;
mod members;
mod organizations;
mod outbox;
mod rosters;
mod samples;
mod servers;
mod statements;
#[path = "../support/mod.rs"]
mod support;
