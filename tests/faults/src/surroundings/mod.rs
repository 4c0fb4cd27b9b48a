//! Networks, databases and disks that can be made to fail.
//!
//! Everything here panics with a reason if it cannot go on, waits on conditions for at most
//! [`START_SECONDS`], and stops what it started when it is dropped.

mod disk;
mod postgres;
mod postgres_pair;
mod process;
mod redis;
mod redis_pair;
mod rpc_fault;
mod rpc_message;
mod rpc_proxy;
mod rpc_upstream;
mod tcp_proxy;

pub use disk::SmallDisk;
pub use postgres::{Postgres, PostgresOptions};
pub use postgres_pair::PostgresPair;
pub use redis::Redis;
pub use redis_pair::RedisPair;
pub use rpc_fault::{Answer, Loss, Repetition, RpcCounts, RpcFault};
pub use rpc_proxy::RpcProxy;
pub use tcp_proxy::{Direction, TcpCounts, TcpProxy};

pub use homeroom_tests::free_address;

use std::time::{Duration, Instant};

/// The time within which a program must start or catch up, even on a busy machine.
pub const START_SECONDS: u64 = 60;
/// The interval between two checks of a condition.
const LOOK_AGAIN_MILLISECONDS: u64 = 10;

/// A wait for one condition, in a loop that checks it and pauses: at most [`START_SECONDS`].
#[derive(Debug)]
pub struct Patience {
    what: &'static str,
    until: Instant,
}

impl Patience {
    /// Begins to wait for `what`, which the panic names if it does not come.
    #[must_use]
    pub fn until(what: &'static str) -> Self {
        let until = Instant::now() + Duration::from_secs(START_SECONDS);
        Self { what, until }
    }

    /// Pauses between two checks. Panics if the wait has been too long.
    pub async fn pause(&self) {
        let Self { what, until } = self;
        assert!(
            Instant::now() < *until,
            "{what}: not within {START_SECONDS} seconds"
        );
        tokio::time::sleep(Duration::from_millis(LOOK_AGAIN_MILLISECONDS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Postgres, PostgresOptions, PostgresPair, RedisPair};

    /// This only has to compile: a campaign may run each of these in its own task.
    #[test]
    fn what_waits_may_wait_in_a_task_of_its_own() {
        fn sends<T: Send>(_: impl Fn() -> T) {}
        sends(|| Postgres::start(PostgresOptions::default()));
        sends(|| PostgresPair::start(PostgresOptions::default()));
        sends(RedisPair::start);
    }
}
