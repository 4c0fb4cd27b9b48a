//! One suite that holds every form of the limiter to its rule (R10, 03), and what is Redis's alone.
//!
//! Needs a Redis: `HOMEROOM_TEST_REDIS_URL`, and the program `redis-server`, of which a cluster is made.
//! Without them these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "limiter/budgets.rs"]
mod budgets;
#[path = "limiter/cluster.rs"]
mod cluster;
#[path = "limiter/guards.rs"]
mod guards;
#[path = "limiter/loops.rs"]
mod loops;
#[path = "limiter/masters.rs"]
mod masters;
#[path = "limiter/redis.rs"]
mod redis;
#[path = "limiter/retry.rs"]
mod retry;
#[path = "limiter/school.rs"]
mod school;
#[path = "limiter/support.rs"]
mod support;
