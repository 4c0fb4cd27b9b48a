//! One suite that checks every form of the limiter against its rule (R10), and tests of Redis alone.
//!
//! It needs a Redis at `HOMEROOM_TEST_REDIS_URL`, and the program `redis-server`, from which a cluster is made. Without
//! them these tests fail; nothing is skipped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: what they panic on is their failure"
)]

#[path = "../../../tests/harness/addresses.rs"]
#[expect(unreachable_pub, reason = "it is public in the tests' harness")]
mod addresses;
#[path = "limiter/budgets.rs"]
mod budgets;
#[path = "limiter/cluster.rs"]
mod cluster;
#[path = "limiter/guards.rs"]
mod guards;
#[path = "limiter/lost.rs"]
mod lost;
#[path = "../../../tests/harness/redis_servers.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "it is public in the tests' harness, which does more with it"
)]
mod redis_servers;
#[path = "limiter/repeats.rs"]
mod repeats;
#[path = "limiter/retry.rs"]
mod retry;
#[path = "limiter/school.rs"]
mod school;
#[path = "limiter/shared.rs"]
mod shared;
#[path = "limiter/support.rs"]
mod support;

use addresses::free_address;
