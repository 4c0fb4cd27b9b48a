//! The server's end of TLS.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, server::WebPkiClientVerifier},
};

use super::{
    HTTP2,
    files::{Contents, Files, IdentityFiles, SERVER_NAMES, TlsFileErrors},
    provider,
    reload::{Reload, Reloading},
};

/// TLS of a server: its certificate, and the authorities of its clients' certificates if it
/// requires them.
///
/// A session is never resumed across a change of the files, so a removed authority admits nobody.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<Reloading<ServerConfig>>);

impl ServerTls {
    /// Loads a server that presents the certificate of `identity`. With `client_authorities` every
    /// client must present a certificate that one of them has signed.
    pub fn load(
        identity: IdentityFiles,
        client_authorities: Option<PathBuf>,
    ) -> Result<Self, TlsFileErrors> {
        let files = Files {
            names: SERVER_NAMES,
            identity: Some(identity),
            authorities: client_authorities,
        };
        Ok(Self(Reloading::load(files, build)?))
    }

    /// Checks the files now.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.0.reload()
    }

    /// Checks the files at this interval for as long as `self` or a clone exists. Must be called
    /// within a runtime.
    pub fn watch(&self, pause: Duration) {
        self.0.watch(pause);
    }

    /// Returns an acceptor that uses the current certificates.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current())
    }
}

fn build(files: &Files, contents: Contents) -> Result<ServerConfig, TlsFileErrors> {
    let (Some((chain, key)), provider) = (contents.identity, provider()) else {
        return Err(TlsFileErrors(Vec::new()));
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| files.refused_identity(&error))?;
    let builder = match contents.authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build()
                    .map_err(|error| files.refused_authorities(error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| files.refused_identity(&error))?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}
