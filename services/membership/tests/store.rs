//! One suite that checks the store on either engine against the promises of `store`.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "store/classes.rs"]
mod classes;
#[path = "store/connections.rs"]
mod connections;
#[path = "store/join_requests.rs"]
mod join_requests;
#[path = "store/members.rs"]
mod members;
#[path = "store/organizations.rs"]
mod organizations;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/samples.rs"]
mod samples;
#[path = "store/servers.rs"]
mod servers;
#[path = "store/statements.rs"]
mod statements;
mod support;
