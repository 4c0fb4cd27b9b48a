//! Both ends of TLS: a server that presents a certificate and may require one, and a client that
//! trusts given authorities and may present a certificate. Certificates are reloaded without a
//! restart.
//!
//! TLS is version 1.2 or 1.3 by rustls, with the cryptography of aws-lc-rs. Between the services and
//! their clients it carries only HTTP/2.

mod client;
mod files;
mod reload;
mod server;
mod settings;
mod strangers;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::ClientTls;
pub use files::{IdentityFiles, Names, SERVER_NAMES, TlsFileErrors};
pub use reload::Reload;
pub use server::ServerTls;
pub use settings::{read_client, read_server};
pub use strangers::{machine_authorities, trusting};

/// The interval at which certificate files are checked for a change, in seconds.
pub const RELOAD_SECONDS: u64 = 10;

/// The name of HTTP/2 in protocol negotiation (ALPN).
const HTTP2: &[u8] = b"h2";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Returns true if the ends have agreed on HTTP/2.
pub(crate) fn agreed_on_http2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(HTTP2)
}

#[cfg(test)]
mod tests;
