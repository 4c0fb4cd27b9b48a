//! The client's end of TLS.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use tonic::transport::{Channel, Endpoint, Error};
use tower::{ServiceExt as _, service_fn};

use super::{
    HTTP2, agreed_on_http2,
    files::{Contents, Files, IdentityFiles, Names, TlsFileErrors},
    provider,
    reload::{Reload, Reloading},
};

/// TLS of a client: the authorities whose servers it trusts, and its certificate if it has one.
#[derive(Debug, Clone)]
pub struct ClientTls {
    reloading: Arc<Reloading<ClientConfig>>,
    /// The name that the server's certificate must have; `None` means the host in the address.
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Loads a client that trusts servers whose certificates one of `server_authorities` has
    /// signed, and that presents `identity` to those that ask. `names` are the settings or the
    /// flags of the files, for errors.
    pub fn load(
        names: Names,
        server_authorities: PathBuf,
        identity: Option<IdentityFiles>,
    ) -> Result<Self, TlsFileErrors> {
        let files = Files {
            names,
            identity,
            authorities: Some(server_authorities),
        };
        Ok(Self {
            reloading: Reloading::load(files, build)?,
            server_name: None,
        })
    }

    /// Expects the certificate of `server_name`, a DNS name or an address, whatever the address.
    /// Fails if it is neither.
    pub fn with_server_name(mut self, server_name: &str) -> Result<Self, String> {
        let name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| format!("{server_name} is neither a DNS name nor an IP address"))?;
        self.server_name = Some(name);
        Ok(self)
    }

    /// Checks the files now.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reloading.reload()
    }

    /// Checks the files at this interval for as long as `self` or a clone exists. Must be called
    /// within a runtime.
    pub fn watch(&self, pause: Duration) {
        self.reloading.watch(pause);
    }

    /// Returns a channel to an `https://` endpoint that connects on first use. Each new connection
    /// uses the current certificates; an open one stays. Must be called within a runtime.
    #[must_use]
    pub fn channel(&self, endpoint: &Endpoint) -> Channel {
        let tls = self.clone();
        endpoint.connect_with_connector_lazy(service_fn(move |uri| tls.clone().open(uri)))
    }

    /// Connects to an `https://` endpoint and returns the channel.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        let tls = self.clone();
        endpoint
            .connect_with_connector(service_fn(move |uri| tls.clone().open(uri)))
            .await
    }

    async fn open(self, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let name = match self.server_name {
            Some(name) => name,
            None => host_of(&uri)?,
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let stream = connector.oneshot(uri).await.map_err(io::Error::other)?;
        let stream = TlsConnector::from(self.reloading.current())
            .connect(name, stream.into_inner())
            .await?;
        if !agreed_on_http2(stream.get_ref().1.alpn_protocol()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server speaks TLS and does not offer HTTP/2 over it",
            ));
        }
        Ok(TokioIo::new(stream))
    }
}

fn host_of(uri: &Uri) -> io::Result<ServerName<'static>> {
    let host = uri.host().unwrap_or_default();
    // The URL has an IPv6 address in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn build(files: &Files, contents: Contents) -> Result<ClientConfig, TlsFileErrors> {
    let authorities = contents.authorities.unwrap_or_else(RootCertStore::empty);
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| files.refused_authorities(error))?
        .with_root_certificates(authorities);
    let mut config = match contents.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| files.refused_identity(&error))?,
    };
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}
