//! What attackers do, each bounded in count and in time.

pub mod control;
pub mod headers;
pub mod messages;
pub mod readers;
pub mod silence;
pub mod strangers;
pub mod streams;

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;

/// How long a busy server may take to notice the last of an attack.
const NOTICE: Duration = Duration::from_secs(5);

/// How long after the end of an attack its last connection is watched, which may not have done enough to be cut.
const LAST_CUT: Duration = Duration::from_secs(1);

/// The service that is attacked, and what the attacker may do there.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// An access token that is good.
    pub token: String,
    /// The path of a method that answers much, and a request for it.
    pub path: &'static str,
    /// The request, as a gRPC message with its prefix.
    pub request: Vec<u8>,
}

/// What came of an attack.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Connections that were made.
    pub connections: u64,
    /// Of these, those that the server ended.
    pub cut: u64,
    /// What was sent, in units of the attack: streams, frames or messages.
    pub sent: u64,
    /// Streams that the server answered.
    pub answers: u64,
    /// Streams that the server reset.
    pub resets: u64,
}

impl Report {
    /// Notes how one connection ended.
    fn note(&mut self, wire: &crate::wire::Wire, sent: u64) {
        let seen = wire.seen();
        self.connections += 1;
        self.cut += u64::from(seen.is_cut());
        self.sent += sent;
        self.answers += seen.answers;
        self.resets += seen.resets.values().sum::<u64>();
    }

    /// Both together.
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

/// The ids that a client gives to its streams, in order.
fn stream_ids(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// Whether there is time left.
fn in_time(until: Instant) -> bool {
    Instant::now() < until
}
