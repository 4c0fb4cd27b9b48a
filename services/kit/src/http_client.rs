//! A client of other people's HTTP servers. Each request has its own connection: the host is resolved once, and one of the
//! very addresses that the caller has permitted is called. Redirects are not followed and proxies not used.

use std::{error::Error, io, iter::successors, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, header, response::Parts};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, RootCertStore, pki_types::ServerName},
};
use url::{Position, Url};

use crate::tls::{machine_authorities, trusting};

/// The longest time until one of the addresses of a host accepts a connection, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;
/// The time after which the next address is tried as well, in milliseconds (RFC 8305).
const CONNECT_STAGGER_MILLIS: u64 = 250;

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
    pub(crate) fn trusting(authorities: RootCertStore) -> Result<Self, rustls::Error> {
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
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                format!("it has more than {bytes_max} bytes")
            } else {
                format!("it broke off: {}", with_causes(error.as_ref()))
            }
        })?;
        Ok(body.to_bytes())
    }
}

/// Returns the first connection that one of the addresses accepts. They are tried one after the other without waiting
/// for those before, so that a host whose addresses of one kind cannot be reached is still called by the others.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, String> {
    let mut tries = JoinSet::new();
    let starts = (0..).map(|place| Duration::from_millis(CONNECT_STAGGER_MILLIS) * place);
    for (address, start) in addresses.into_iter().zip(starts) {
        tries.spawn(async move {
            sleep(start).await;
            TcpStream::connect(address).await
        });
    }
    let first = async {
        let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
        while let Some(tried) = tries.join_next().await {
            match tried.unwrap_or_else(|error| Err(error.into())) {
                Ok(stream) => return Ok(stream),
                Err(error) => cause = error,
            }
        }
        Err(cause)
    };
    let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
    let first = timeout(limit, first).await;
    first
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|cause| format!("it does not accept connections: {cause}"))
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn the_first_address_that_accepts_is_called() {
        let (_open, accepts) = listener().await;
        let (closed, refuses) = listener().await;
        drop(closed);
        let stream = connect(vec![refuses, accepts]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), accepts);
        for none in [vec![], vec![refuses, refuses]] {
            let said = connect(none).await.unwrap_err();
            assert!(
                said.starts_with("it does not accept connections: "),
                "{said}"
            );
        }
    }
}
