//! A JWK set at a URL: fetched by one GET over a connection of its own, within bounds of time and size.
//! Redirects are not followed, proxies not used.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::key_sources::KEY_SET_BYTES_MAX;
use crate::tls::provider;

/// How long one fetch may take, in seconds.
pub const FETCH_SECONDS_MAX: u64 = 10;
/// How long one of the host's addresses may take to be connected to, in seconds.
const CONNECT_SECONDS_MAX: u64 = 3;
/// Bytes in which the answer's head must end; hyper reads up to as many again before it gives up.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it did not answer within {FETCH_SECONDS_MAX} seconds")]
    TooSlow(#[from] Elapsed),
    #[error("it cannot be connected to: {0}")]
    Connection(#[from] io::Error),
    #[error("its host has no address on loopback, and plaintext goes nowhere else")]
    NotLoopback,
    #[error("it does not speak HTTP as it should: {0}")]
    Http(#[from] hyper::Error),
    #[error("it answered {0} and not 200; redirects are not followed")]
    Status(StatusCode),
    #[error("it answered more than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge,
    #[error("its answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("its answer is not UTF-8")]
    NotText,
    #[error("its URL cannot be asked for: {0}")]
    Request(#[from] http::Error),
}

/// The address of a JWK set.
#[derive(Clone)]
pub(super) struct JwksUrl {
    url: Url,
    /// None: plaintext, on loopback.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Without the query, which may hold a secret.
impl fmt::Display for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(None);
        shown.fmt(formatter)
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JwksUrl({self})")
    }
}

impl JwksUrl {
    /// Reads an address: `https://`, or `http://` on loopback. The error completes the sentence "NAME …".
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, system_authorities)
    }

    /// As `parse`, with other authorities of servers' certificates than the system's.
    pub(super) fn parse_with(
        text: &str,
        authorities: impl FnOnce() -> Result<RootCertStore, String>,
    ) -> Result<Self, String> {
        const EXPECTED: &str = "must be https://host/path, or http:// on this machine's loopback, without user or fragment";
        let url = Url::parse(text.trim()).map_err(|_| EXPECTED)?;
        let plain =
            !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        let (Some(host), false) = (url.host(), plain) else {
            return Err(EXPECTED.to_owned());
        };
        let tls = match url.scheme() {
            "https" => {
                let name = match host {
                    Host::Domain(domain) => {
                        ServerName::try_from(domain.to_owned()).map_err(|_| EXPECTED)?
                    }
                    Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(address)),
                    Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(address)),
                };
                Some((tls_of(authorities()?)?, name))
            }
            "http" if may_be_loopback(&host) => None,
            _ => return Err(EXPECTED.to_owned()),
        };
        Ok(Self { url, tls })
    }

    /// Fetches the set's text.
    pub(super) async fn fetch(&self) -> Result<String, FetchError> {
        timeout(
            Duration::from_secs(FETCH_SECONDS_MAX),
            self.fetch_at_leisure(),
        )
        .await?
    }

    async fn fetch_at_leisure(&self) -> Result<String, FetchError> {
        let stream = self.connect().await?;
        match &self.tls {
            None => self.ask(stream).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                self.ask(connector.connect(name.clone(), stream).await?)
                    .await
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, FetchError> {
        let mut last = FetchError::NotLoopback;
        for address in self.addresses().await? {
            if self.tls.is_none() && !address.ip().to_canonical().is_loopback() {
                continue;
            }
            let connecting = TcpStream::connect(address);
            match timeout(Duration::from_secs(CONNECT_SECONDS_MAX), connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error.into(),
                Err(_) => last = io::Error::from(io::ErrorKind::TimedOut).into(),
            }
        }
        Err(last)
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let port = self.url.port_or_known_default().unwrap_or_default();
        match self.url.host() {
            Some(Host::Ipv4(address)) => Ok(vec![(address, port).into()]),
            Some(Host::Ipv6(address)) => Ok(vec![(address, port).into()]),
            Some(Host::Domain(domain)) => {
                Ok(tokio::net::lookup_host((domain, port)).await?.collect())
            }
            None => Ok(Vec::new()),
        }
    }

    async fn ask<S>(&self, stream: S) -> Result<String, FetchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        // Ends with this fetch, whatever becomes of it.
        let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
        let query = self.url.query().map(|query| format!("?{query}"));
        let path = format!("{}{}", self.url.path(), query.unwrap_or_default());
        let authority = self.url.authority();
        let request = Request::get(path)
            .header(header::HOST, authority)
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, "homeroom")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let bytes = Limited::new(response.into_body(), KEY_SET_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    FetchError::TooLarge
                } else {
                    FetchError::Body(error)
                }
            })?
            .to_bytes();
        String::from_utf8(bytes.into()).map_err(|_| FetchError::NotText)
    }
}

/// Whether a host may be this machine's loopback; what a name stands for shows when it is connected to.
fn may_be_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(domain) => *domain == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => std::net::IpAddr::from(*address)
            .to_canonical()
            .is_loopback(),
    }
}

/// The authorities that this machine believes, or those of the file that `SSL_CERT_FILE` names.
fn system_authorities() -> Result<RootCertStore, String> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(
            "needs TLS, and this machine has no certificates of authorities: install ca-certificates, or \
             name a file of them in SSL_CERT_FILE"
                .to_owned(),
        );
    }
    Ok(authorities)
}

fn tls_of(authorities: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
