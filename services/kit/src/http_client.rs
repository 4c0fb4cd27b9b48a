//! A client of other people's HTTP servers. Each request has its own connection: the host is resolved once, and one of the
//! very addresses that the caller has permitted is called. Redirects are not followed and proxies not used.

use std::{
    error::Error,
    io,
    iter::successors,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, header, response::Parts};
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    body::{Body, Incoming},
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
    rustls::{self, RootCertStore, pki_types::ServerName},
};
use url::{Host, Position, Url};

use crate::tls::trusting;

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
    /// Returns a client that trusts these authorities alone.
    pub fn trusting(authorities: RootCertStore) -> Result<Self, rustls::Error> {
        let tls = trusting(authorities)?;
        Ok(Self(TlsConnector::from(Arc::new(tls))))
    }

    /// Sends a request to the URL, whose path and host it gets. `permitted` returns the addresses that may be called.
    pub async fn send<B>(
        &self,
        url: &Url,
        mut request: Request<B>,
        permitted: impl FnOnce(Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String>,
    ) -> Result<Answer, String>
    where
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let target = url.host().zip(url.port_or_known_default());
        let (host, port) = target.ok_or("its URL has no host")?;
        let path = url[Position::BeforePath..Position::AfterQuery].parse();
        *request.uri_mut() = path.map_err(|_| "its path cannot be sent")?;
        // With the port if it is not the usual one.
        let authority = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        let authority = authority.map_err(|_| "its host cannot be sent")?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, authority);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let stream = connect(permitted(resolve(&host, port).await?)?).await?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let stream = self.0.connect(server_name(&host)?, stream).await;
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

async fn resolve(host: &Host<&str>, port: u16) -> Result<Vec<SocketAddr>, String> {
    match *host {
        Host::Ipv4(address) => Ok(vec![(address, port).into()]),
        Host::Ipv6(address) => Ok(vec![(address, port).into()]),
        Host::Domain(domain) => {
            let found = lookup_host((domain, port)).await;
            let found = found.map_err(|error| format!("its host is not found: {error}"))?;
            Ok(found.collect())
        }
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

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, String> {
    match *host {
        Host::Ipv4(address) => Ok(IpAddr::from(address).into()),
        Host::Ipv6(address) => Ok(IpAddr::from(address).into()),
        Host::Domain(domain) => ServerName::try_from(domain.to_owned())
            .map_err(|_| "its host cannot be the name of a certificate".to_owned()),
    }
}

async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<B>,
) -> Result<Answer, String>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
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
