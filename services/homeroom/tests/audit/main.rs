//! The auditor, run as the installed binary, on either engine.
//!
//! Needs a PostgreSQL: `HOMEROOM_TEST_DATABASE_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on stops where it stands"
)]

mod corruptions;
mod databases;
mod verdicts;
