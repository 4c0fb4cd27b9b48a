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

#[path = "../../../../tests/harness/addresses.rs"]
#[expect(unreachable_pub, reason = "it is public in the tests' harness")]
mod addresses;
mod budgets;
mod cluster;
mod guards;
mod lost;
#[path = "../../../../tests/harness/redis_servers.rs"]
#[expect(
    unreachable_pub,
    dead_code,
    reason = "it is public in the tests' harness, which does more with it"
)]
mod redis_servers;
mod repeats;
mod retry;
mod school;
mod shared;
mod support;

use addresses::free_address;
