//! One attempt: the address is resolved and judged once, and that very address is called. Redirects are not followed
//! and proxies not used.

use std::{
    error::Error,
    io,
    iter::successors,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use homeroom_kit::tls::{machine_authorities, trusting};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use url::{Host, Position, Url};

use super::{
    address::{Scheme, may_call},
    config::Endpoint,
    schedule::Outcome,
};
use crate::Failure;

/// The longest time until an endpoint has answered, in seconds.
const ATTEMPT_SECONDS_MAX: u64 = 15;
/// The longest time until one of the addresses of a host accepts a connection, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;
/// The most bytes of an answer that are read. Nothing needs them, but some servers complain otherwise.
const ANSWER_BYTES_MAX: usize = 4_096;
/// The longest time for which they are read, in seconds.
const ANSWER_SECONDS_MAX: u64 = 2;
/// The name of this client.
const USER_AGENT: &str = concat!("homeroom-webhooks/", env!("CARGO_PKG_VERSION"));

/// Calls endpoints.
#[derive(Clone)]
pub(crate) struct Sender(TlsConnector);

impl Sender {
    /// Returns a sender that trusts the authorities that this machine trusts.
    pub(crate) fn new(endpoints: &[Endpoint]) -> Result<Self, Failure> {
        let authorities = if endpoints.iter().any(|one| one.scheme == Scheme::Https) {
            machine_authorities()?
        } else {
            RootCertStore::empty()
        };
        Ok(Self::of(trusting(authorities)?))
    }

    fn of(tls: ClientConfig) -> Self {
        Self(TlsConnector::from(Arc::new(tls)))
    }

    /// Sends a body to an endpoint.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        id: &str,
        body: String,
        now: DateTime<Utc>,
    ) -> Outcome {
        let limit = Duration::from_secs(ATTEMPT_SECONDS_MAX);
        let attempt = timeout(limit, self.attempt(endpoint, id, body, now.timestamp())).await;
        let cause = match attempt {
            Ok(Ok((status, headers))) => return judge(status, &headers, now),
            Ok(Err(cause)) => cause,
            Err(_) => format!("it did not answer within {ATTEMPT_SECONDS_MAX} seconds"),
        };
        let retry_after = None;
        Outcome::Failed { cause, retry_after }
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        id: &str,
        body: String,
        timestamp: i64,
    ) -> Result<(StatusCode, HeaderMap), String> {
        let addresses = resolve(&endpoint.host, endpoint.port).await?;
        let stream = connect(permitted(endpoint, addresses)?).await?;
        let request = request(endpoint, id, body, timestamp)?;
        match endpoint.scheme {
            Scheme::Http => exchange(stream, request).await,
            Scheme::Https => {
                let name = server_name(&endpoint.host)?;
                let stream = self.0.connect(name, stream).await;
                let stream = stream.map_err(|error| format!("TLS: {}", with_causes(&error)))?;
                exchange(stream, request).await
            }
        }
    }
}

async fn resolve(host: &Host, port: u16) -> Result<Vec<SocketAddr>, String> {
    match host {
        Host::Ipv4(address) => Ok(vec![(*address, port).into()]),
        Host::Ipv6(address) => Ok(vec![(*address, port).into()]),
        Host::Domain(domain) => {
            let found = lookup_host((domain.as_str(), port)).await;
            let found = found.map_err(|error| format!("its host is not found: {error}"))?;
            Ok(found.collect())
        }
    }
}

/// Returns the addresses that may be called.
fn permitted(endpoint: &Endpoint, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    let may = |address: IpAddr| may_call(endpoint.scheme, address, endpoint.allow_private_networks);
    let permitted: Vec<_> = addresses.into_iter().filter(|one| may(one.ip())).collect();
    if !permitted.is_empty() {
        return Ok(permitted);
    }
    Err(match endpoint.scheme {
        Scheme::Https => "its host has no public address, and allow_private_networks is not set",
        Scheme::Http => "its host has a public address, which is called by https:// only",
    }
    .to_owned())
}

async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, String> {
    let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => cause = error,
            Err(_) => cause = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(format!("it does not accept connections: {cause}"))
}

fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
        Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
        Host::Domain(domain) => ServerName::try_from(domain.clone())
            .map_err(|_| "its host cannot be the name of a certificate".to_owned()),
    }
}

fn request(
    endpoint: &Endpoint,
    id: &str,
    body: String,
    timestamp: i64,
) -> Result<Request<Full<Bytes>>, String> {
    let signature = endpoint.secrets.sign(id, timestamp, &body);
    let path = &endpoint.url[Position::BeforePath..Position::AfterQuery];
    Request::post(path)
        .header(header::HOST, authority(&endpoint.url))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Full::from(body))
        .map_err(|error| error.to_string())
}

/// Returns the host, with the port if it is not the usual one.
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, HeaderMap), String> {
    let said = |error: hyper::Error| with_causes(&error);
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(said)?;
    // Dropped at the end, whatever the other side does.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let answer = sender.send_request(request).await.map_err(said)?;
    let (head, body) = answer.into_parts();
    drain(body).await;
    Ok((head.status, head.headers))
}

/// Reads a short answer, so that its server can send all of it.
async fn drain(body: Incoming) {
    let limit = Duration::from_secs(ANSWER_SECONDS_MAX);
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect();
    drop(timeout(limit, read).await);
}

fn judge(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    if status == StatusCode::GONE {
        return Outcome::Gone;
    }
    let mut cause = format!("it answered {status}");
    if status.is_redirection() {
        cause.push_str("; redirects are not followed");
    }
    let retry_after = retry_after(headers, now);
    Outcome::Failed { cause, retry_after }
}

/// Returns the pause that an answer asks for, in seconds: a number, or the time until a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<u32> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u32::MAX));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    let seconds = (date.to_utc() - now).num_seconds().max(0);
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Returns an error's message with those of its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
