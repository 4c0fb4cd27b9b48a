//! Mechanics that the Homeroom services share, without business concepts: clock, randomness, errors, paging, keys,
//! databases, the outbox, authentication and the server itself.

pub mod auth;
pub mod batching;
pub mod clock;
pub mod config;
pub mod database;
pub mod email;
pub mod erasure;
pub mod events;
pub mod failpoints;
pub mod filter;
pub mod http_client;
pub mod key_files;
pub mod keys;
pub mod metrics;
mod names;
pub mod outbox;
pub mod paging;
pub mod person;
pub mod random;
pub mod request_ids;
pub mod retention;
pub mod rpc;
pub mod secret;
pub mod sections;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod status;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod validation;

#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use serde;

pub use clock::{Clock, SharedClock};
pub use random::{Randomness, SharedRandomness};
pub use status::{Error, Result};

/// Returns every statement on the tables that both services have, for the test that prepares each.
pub fn statements() -> impl Iterator<Item = &'static &'static store::Statement> {
    let all = [
        outbox::STATEMENTS,
        outbox::PRUNING_STATEMENTS,
        events::STATEMENTS,
        request_ids::STATEMENTS,
    ];
    all.into_iter().flatten()
}
