//! Admissions, fences and the approval queue on either engine: one suite, each test in a database of its own.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

mod admit;
mod busy;
mod decisions;
mod erasures;
mod expiry;
mod fences;
mod goes_on;
mod harness;
mod locks;
mod lookups;
mod outlive;
mod plans;
mod queue;
mod races;
mod retention;
#[path = "../support/mod.rs"]
mod support;
mod told;
