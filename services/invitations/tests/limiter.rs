//! One suite that holds every form of the limiter to its rule (R10, 03), and what is Redis's alone.
//!
//! Needs a Redis: `HOMEROOM_TEST_REDIS_URL`. Without it these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "limiter/budgets.rs"]
mod budgets;
#[path = "limiter/guards.rs"]
mod guards;
#[path = "limiter/redis.rs"]
mod redis;
#[path = "limiter/school.rs"]
mod school;
#[path = "limiter/support.rs"]
mod support;
