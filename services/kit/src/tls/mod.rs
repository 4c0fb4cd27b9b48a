//! TLS at both ends: a server that shows a certificate and may ask for one, and a client that trusts named
//! authorities and may show a certificate. Certificates are read anew without a restart.
//!
//! TLS 1.2 and 1.3 by rustls, with the cryptography of aws-lc-rs; HTTP/2 alone is spoken over it.

mod client;
mod files;
mod reload;
mod server;
mod settings;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::ClientTls;
pub use files::{IdentityFiles, Names, SERVER_NAMES, TlsFileError, TlsFileErrors};
pub use reload::Reload;
pub use server::ServerTls;
pub use settings::{read_client, read_server};

/// How often certificate files are looked at for a change, in seconds.
pub const RELOAD_SECONDS: u64 = 10;

/// HTTP/2 in the list of protocols that the ends agree on (ALPN).
const HTTP2: &[u8] = b"h2";

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether the ends have agreed on HTTP/2.
pub(crate) fn agreed_on_http2(protocol: Option<&[u8]>) -> bool {
    protocol == Some(HTTP2)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
