//! A client of other people's HTTP servers. Each request has its own connection: the host is resolved once, and one of the
//! very addresses that the caller has permitted is called. Redirects are not followed and proxies not used.

use std::{error::Error, io, iter::successors, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header, response::Parts};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, RootCertStore, pki_types::ServerName},
};
use url::{Position, Url};

use crate::tls::{machine_authorities, trusting};

/// The longest time until one of the addresses of a host accepts a connection, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;

/// A client that trusts the servers of some authorities. Its errors complete a sentence about the server.
#[derive(Clone)]
pub struct HttpClient(TlsConnector);

/// An answer, whose body is not read yet.
pub struct Answer {
    /// The status and the headers.
    pub head: Parts,
    body: Incoming,
    /// Dropped with the answer, whatever the other side does.
    _connection: JoinSet<hyper::Result<()>>,
}

impl HttpClient {
    /// Returns a client that trusts the authorities that this machine trusts, or those of the file that `SSL_CERT_FILE`
    /// names; without `tls` it needs none, and calls `http://` alone.
    pub fn new(tls: bool) -> Result<Self, String> {
        let authorities = if tls {
            machine_authorities()?
        } else {
            RootCertStore::empty()
        };
        Self::trusting(authorities).map_err(|error| error.to_string())
    }

    /// Returns a client that trusts these authorities alone.
    pub fn trusting(authorities: RootCertStore) -> Result<Self, rustls::Error> {
        let tls = trusting(authorities)?;
        Ok(Self(TlsConnector::from(Arc::new(tls))))
    }

    /// Sends a request to the URL, whose path and host it gets. `permitted` returns the addresses that may be called.
    pub async fn send(
        &self,
        url: &Url,
        mut request: Request<Full<Bytes>>,
        permitted: impl FnOnce(Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String>,
    ) -> Result<Answer, String> {
        let target = url.host_str().zip(url.port_or_known_default());
        let (host, port) = target.ok_or("its URL has no host")?;
        // Those of an IPv6 address.
        let host = host.trim_matches(['[', ']']);
        let path = url[Position::BeforePath..Position::AfterQuery].parse();
        *request.uri_mut() = path.map_err(|_| "its path cannot be sent")?;
        // With the port if it is not the usual one.
        let authority = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        let authority = authority.map_err(|_| "its host cannot be sent")?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, authority);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let addresses = lookup_host((host, port)).await;
        let addresses = addresses.map_err(|error| format!("its host is not found: {error}"))?;
        let stream = connect(permitted(addresses.collect())?).await?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| "its host cannot be the name of a certificate")?;
        let stream = self.0.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("TLS: {}", with_causes(&error)))?;
        exchange(stream, request).await
    }
}

impl Answer {
    /// Reads the body if it has at most `bytes_max` bytes.
    pub async fn body(self, bytes_max: usize) -> Result<Bytes, String> {
        let body = Limited::new(self.body, bytes_max).collect().await;
        let body =
            body.map_err(|error| format!("at most {bytes_max} bytes are read of it: {error}"))?;
        Ok(body.to_bytes())
    }
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

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let said = |error: hyper::Error| with_causes(&error);
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(said)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let answer = sender.send_request(request).await.map_err(said)?;
    let (head, body) = answer.into_parts();
    Ok(Answer {
        head,
        body,
        _connection: tasks,
    })
}

/// Returns an error's message with those of its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
