//! What may be set about a server, and what it refuses to start with.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use super::{DRAIN_SECONDS_MAX, HANDSHAKE_SECONDS_MAX};
use crate::{
    auth::Verifier,
    clock::{SharedClock, SystemClock},
    config::Reader,
    random::{SharedRandomness, SystemRandomness},
    shutdown::STOP_SECONDS_MAX,
    tls::{RELOAD_SECONDS, ServerTls},
};

/// Why a server does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Nobody could be told apart.
    #[error(
        "no authentication is configured for {0}: give the keys of your access tokens (a JWKS file), their issuer and audience"
    )]
    NoAuthentication(SocketAddr),
    /// Tokens would travel in the clear.
    #[error(
        "{0} is reachable from other machines and TLS is not set up: give a certificate and its key, listen on 127.0.0.1 or [::1], or put a proxy that ends TLS before it and set insecure plaintext explicitly"
    )]
    Plaintext(SocketAddr),
    /// The socket failed.
    #[error("the server's socket failed: {0}")]
    Io(#[from] io::Error),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Calls were still under way when the time to finish them was over.
    #[error("calls were still under way {0:?} after the shutdown was ordered")]
    NotDrained(Duration),
    /// Something else had not ended when the time to stop was over.
    #[error("{STOP_SECONDS_MAX} s after the shutdown was ordered there was left unfinished: {0}")]
    Unfinished(String),
    /// The server did not end well, and something else did not end either.
    #[error("{0}; and {STOP_SECONDS_MAX} s after it there was left unfinished: {1}")]
    AlsoUnfinished(Box<Self>, String),
}

/// The name of the setting of [`ServerOptions::connections_max`].
pub const CONNECTIONS_SETTING: &str = "CONNECTIONS_MAX";
/// Calls under way in a process at most; further ones get `OVERLOADED`. So many fill the batches of
/// redemptions, and are answered well within a second.
pub const CALLS_MAX: usize = 512;
/// Connections open at most, unless set. An idle one takes about 17 KiB, over TLS 24 KiB, and a process some
/// 20 MiB without any: so many idle ones leave it below 256 MB, and 10,000 over TLS would not.
pub const CONNECTIONS_DEFAULT: usize = 8_000;
/// The fewest connections that may be set: a few for the other service and for health, and some for callers.
pub const CONNECTIONS_MIN: usize = 16;
/// The most connections that may be set.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// Reads `CONNECTIONS_MAX`: how many connections a process may have open.
pub fn read_connections_max(reader: &mut Reader<'_>) -> usize {
    reader.or_default(CONNECTIONS_SETTING, CONNECTIONS_DEFAULT, |text| {
        let number = text.trim().parse().ok();
        number
            .filter(|number| (CONNECTIONS_MIN..=CONNECTIONS_MAX).contains(number))
            .ok_or_else(|| {
                format!("must be a whole number from {CONNECTIONS_MIN} to {CONNECTIONS_MAX}")
            })
    })
}

/// What may be set about a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Checks access tokens. Without one the server refuses to start.
    pub verifier: Option<Arc<Verifier>>,
    /// TLS; None: plaintext.
    pub tls: Option<ServerTls>,
    /// How long between looks at the files of TLS for a change.
    pub tls_reload: Duration,
    /// Whether to listen beyond loopback without TLS.
    pub insecure_plaintext: bool,
    /// Whether to serve reflection v1 and v1alpha.
    pub reflection: bool,
    /// Calls under way at most; further ones get `OVERLOADED`.
    pub calls_max: usize,
    /// Connections open at most; further ones wait.
    pub connections_max: usize,
    /// How long a connection may take to begin to speak HTTP/2, over TLS or not, before it is dropped.
    pub handshake: Duration,
    /// How old a connection gets before it is asked to close.
    pub connection_age: Duration,
    /// How long calls may take to finish after the shutdown is ordered.
    pub drain: Duration,
    /// The clock, for request ids.
    pub clock: SharedClock,
    /// The randomness, for request ids.
    pub random: SharedRandomness,
}

impl ServerOptions {
    /// The defaults: reflection, 512 calls, 8,000 connections, 5 seconds to begin, 30 minutes of age, 20
    /// seconds to finish.
    #[must_use]
    pub fn new(verifier: Option<Arc<Verifier>>) -> Self {
        Self {
            verifier,
            tls: None,
            tls_reload: Duration::from_secs(RELOAD_SECONDS),
            insecure_plaintext: false,
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

    /// Whether a server may listen there: the verifier to use, or why not. Call it before binding.
    pub fn check(&self, address: SocketAddr) -> Result<Arc<Verifier>, ServeError> {
        let verifier = self
            .verifier
            .clone()
            .ok_or(ServeError::NoAuthentication(address))?;
        let private = address.ip().to_canonical().is_loopback();
        if private || self.tls.is_some() || self.insecure_plaintext {
            Ok(verifier)
        } else {
            Err(ServeError::Plaintext(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_connections_may_be_set_and_no_fewer_or_more() {
        let read = |text: &str| {
            let source = [(CONNECTIONS_SETTING, text)];
            let mut reader = Reader::new(&source);
            let read = read_connections_max(&mut reader);
            reader.finish().map(|()| read)
        };
        assert_eq!(read(""), Ok(CONNECTIONS_DEFAULT));
        for right in [CONNECTIONS_MIN, CONNECTIONS_MAX] {
            assert_eq!(read(&format!(" {right} ")), Ok(right));
        }
        let below = (CONNECTIONS_MIN - 1).to_string();
        let above = (CONNECTIONS_MAX + 1).to_string();
        for wrong in [&*below, &*above, "0", "-1", "8,000", "many"] {
            let errors = read(wrong).unwrap_err().0;
            assert_eq!(
                errors,
                ["CONNECTIONS_MAX must be a whole number from 16 to 1000000"],
                "{wrong}"
            );
        }
    }
}
