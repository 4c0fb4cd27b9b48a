//! The attacks, each bounded in count and in time.

pub mod headers;
pub mod messages;
pub mod silence;
pub mod streams;

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;

/// The time within which a busy server must notice the last connection of an attack.
const NOTICE: Duration = Duration::from_secs(5);

/// The time for which the last connection is watched after the attack; it may not have done enough
/// to be closed.
const LAST_CUT: Duration = Duration::from_secs(1);

/// The attacked service, and the attacker's means.
#[derive(Debug, Clone)]
pub struct Target {
    /// The service's address.
    pub address: SocketAddr,
    /// A valid access token.
    pub token: String,
    /// The path of a method with a large answer.
    pub path: &'static str,
    /// The request for it, as a gRPC message with its prefix.
    pub request: Vec<u8>,
}

/// The result of an attack.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The number of connections that were made.
    pub connections: u64,
    /// The number of those that the server closed.
    pub cut: u64,
    /// The number of units that were sent: streams, frames or messages.
    pub sent: u64,
    /// The number of streams that the server answered.
    pub answers: u64,
    /// The number of streams that the server reset.
    pub resets: u64,
}

impl Report {
    /// Adds the result of one connection.
    fn note(&mut self, wire: &crate::wire::Wire, sent: u64) {
        let seen = wire.seen();
        self.connections += 1;
        self.cut += u64::from(seen.is_cut());
        self.sent += sent;
        self.answers += seen.answers;
        self.resets += seen.resets;
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            cut: self.cut + other.cut,
            sent: self.sent + other.sent,
            answers: self.answers + other.answers,
            resets: self.resets + other.resets,
        }
    }
}

/// Returns the ids that a client gives to its streams, in order.
fn stream_ids(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// Returns true if there is time left.
fn in_time(until: Instant) -> bool {
    Instant::now() < until
}
