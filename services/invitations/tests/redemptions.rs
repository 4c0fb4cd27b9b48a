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

#[path = "redemptions/again.rs"]
mod again;
#[path = "redemptions/alike.rs"]
mod alike;
#[path = "redemptions/attached.rs"]
mod attached;
#[path = "redemptions/attempts.rs"]
mod attempts;
#[path = "staff/audit_trail.rs"]
mod audit_trail;
#[path = "redemptions/contract.rs"]
mod contract;
#[path = "redemptions/costs.rs"]
mod costs;
#[path = "redemptions/crowds.rs"]
mod crowds;
#[path = "support/databases.rs"]
mod databases;
#[path = "staff/enrollment_codes.rs"]
mod enrollment_codes;
#[path = "redemptions/erasures.rs"]
mod erasures;
#[path = "support/fake_membership.rs"]
mod fake_membership;
#[path = "staff/fences.rs"]
mod fences;
#[path = "redemptions/following.rs"]
mod following;
#[path = "redemptions/guessed.rs"]
mod guessed;
#[path = "redemptions/half_done.rs"]
mod half_done;
#[path = "redemptions/meeting.rs"]
mod meeting;
#[path = "redemptions/plans.rs"]
mod plans;
#[path = "redemptions/poisoned.rs"]
mod poisoned;
#[path = "redemptions/previews.rs"]
mod previews;
#[path = "redemptions/reads.rs"]
mod reads;
#[path = "redemptions/recovering.rs"]
mod recovering;
#[path = "redemptions/refused_attempts.rs"]
mod refused_attempts;
#[path = "redemptions/repeats.rs"]
mod repeats;
#[path = "redemptions/saga.rs"]
mod saga;
#[path = "support/scrape.rs"]
mod scrape;
#[path = "staff/secrets.rs"]
mod secrets;
#[path = "redemptions/store_rules.rs"]
mod store_rules;
#[path = "redemptions/stuck.rs"]
mod stuck;
#[path = "redemptions/unknown.rs"]
mod unknown;
#[path = "support/waiting.rs"]
mod waiting;
#[path = "support/world.rs"]
mod world;
