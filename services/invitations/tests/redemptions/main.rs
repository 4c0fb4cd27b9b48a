//! The redemption protocol (P1 to P13): the store's part on both engines, and the saga over a fake membership service
//! that can be unreachable, lose answers and repeat itself; and the changes that staff make while it is so.
//!
//! It needs a PostgreSQL at `HOMEROOM_TEST_DATABASE_URL`, with a role that may create databases. Without it these tests
//! fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

mod again;
mod alike;
mod attached;
mod attempts;
#[path = "../staff/audit_trail.rs"]
mod audit_trail;
mod contract;
mod costs;
mod crowds;
#[path = "../support/databases.rs"]
mod databases;
#[path = "../staff/enrollment_codes.rs"]
mod enrollment_codes;
mod erasures;
#[path = "../support/fake_membership.rs"]
mod fake_membership;
#[path = "../staff/fences.rs"]
mod fences;
mod following;
mod guessed;
mod half_done;
mod meeting;
mod plans;
mod poisoned;
mod previews;
mod reads;
mod recovering;
mod refused_attempts;
mod repeats;
mod retention;
mod saga;
#[path = "../support/scrape.rs"]
mod scrape;
#[path = "../staff/secrets.rs"]
mod secrets;
mod store_rules;
mod stuck;
mod unknown;
#[path = "../support/world.rs"]
mod world;
