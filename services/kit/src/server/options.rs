//! The options of a server.

use std::{io, sync::Arc, time::Duration};

use super::{DRAIN_SECONDS_MAX, HANDSHAKE_SECONDS_MAX, TrustedProxies};
use crate::{
    auth::Verifier,
    clock::{SharedClock, SystemClock},
    config::Reader,
    random::{SharedRandomness, SystemRandomness},
    shutdown::STOP_SECONDS_MAX,
    tls::{RELOAD_SECONDS, ServerTls},
};

/// The reason why a server did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket failed.
    #[error("the server's socket failed: {0}")]
    Io(#[from] io::Error),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Calls were still under way when the time to finish them was over.
    #[error("calls were still under way {0:?} after the shutdown was ordered")]
    NotDrained(Duration),
    /// Other work had not ended when the time to stop was over.
    #[error("{0} had not finished {STOP_SECONDS_MAX} s after the shutdown was ordered")]
    Unfinished(&'static str),
}

/// The name of the setting of [`ServerOptions::connections_max`].
pub const CONNECTIONS_SETTING: &str = "CONNECTIONS_MAX";
/// The most calls under way in a process; further ones get `OVERLOADED`. This many fill the batches
/// of redemptions, and are answered well within a second.
pub const CALLS_MAX: usize = 512;
/// The default of the most open connections. An idle one takes about 17 KiB, or 24 KiB over TLS,
/// and a process without connections about 20 MiB: this many idle ones stay below 256 MB, and
/// 10,000 over TLS would not.
pub const CONNECTIONS_DEFAULT: usize = 8_000;
/// The lowest allowed setting: a few connections for the other service and for health, and some for
/// callers.
pub const CONNECTIONS_MIN: usize = 16;
/// The highest allowed setting.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// Reads `CONNECTIONS_MAX`: the most connections that a process may have open.
pub fn read_connections_max(reader: &mut Reader) -> usize {
    reader.or_default(CONNECTIONS_SETTING, CONNECTIONS_DEFAULT, |text| {
        let number = text.trim().parse().ok();
        number
            .filter(|number| (CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(number))
            .ok_or_else(|| {
                format!("must be a whole number from {CONNECTIONS_MIN} to {CONNECTIONS_MAX}")
            })
    })
}

/// The options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The verifier of access tokens.
    pub verifier: Arc<Verifier>,
    /// The proxies whose word for the address of a caller is taken.
    pub trusted_proxies: TrustedProxies,
    /// The TLS configuration; `None` means plaintext.
    pub tls: Option<ServerTls>,
    /// The interval at which the TLS files are checked for a change.
    pub tls_reload: Duration,
    /// True to serve reflection v1 and v1alpha.
    pub reflection: bool,
    /// The most calls under way; further ones get `OVERLOADED`.
    pub calls_max: usize,
    /// The most open connections; further ones wait.
    pub connections_max: usize,
    /// The time within which a connection must begin HTTP/2, with or without TLS; otherwise it is
    /// dropped.
    pub handshake: Duration,
    /// The age at which a connection is asked to close.
    pub connection_age: Duration,
    /// The time that calls have to finish after the order to shut down.
    pub drain: Duration,
    /// The clock for request ids.
    pub clock: SharedClock,
    /// The randomness for request ids.
    pub random: SharedRandomness,
}

impl ServerOptions {
    /// Returns the defaults: reflection, 512 calls, 8,000 connections, 5 seconds to begin, 30
    /// minutes of age, 20 seconds to finish.
    #[must_use]
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self {
            verifier,
            trusted_proxies: TrustedProxies::default(),
            tls: None,
            tls_reload: Duration::from_secs(RELOAD_SECONDS),
            reflection: true,
            calls_max: CALLS_MAX,
            connections_max: CONNECTIONS_DEFAULT,
            handshake: Duration::from_secs(HANDSHAKE_SECONDS_MAX),
            connection_age: Duration::from_mins(30),
            drain: Duration::from_secs(DRAIN_SECONDS_MAX),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandomness),
        }
    }
}
