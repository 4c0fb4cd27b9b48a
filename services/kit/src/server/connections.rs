//! Accepts connections up to a limit, each of which must begin HTTP/2 in time.

use std::{
    convert::Infallible,
    future::ready,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::{
    shutdown::Shutdown,
    tls::{ServerTls, agreed_on_http2},
};

/// The number of bytes that every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
/// The time to wait after a failed accept, most often caused by a lack of file descriptors, in
/// milliseconds.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// The most connections, the time within which one must begin, and what all of them share.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    pub(super) handshake: Duration,
    pub(super) tls: Option<ServerTls>,
    /// Counts the writes of all connections.
    pub(super) writes: Arc<AtomicU64>,
}

/// Accepts connections until the shutdown, and then those that have already been made. Further ones
/// wait in the listener's queue while `connections_max` are open. A connection that has not begun
/// HTTP/2 within `handshake`, with or without TLS, is dropped.
pub(super) fn accepted(
    listener: TcpListener,
    limits: Limits,
    shutdown: Shutdown,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let most = limits.connections_max.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    let opening = futures::stream::unfold(listener, move |listener| {
        let (permits, limits, shutdown) = (Arc::clone(&permits), limits.clone(), shutdown.clone());
        async move {
            let accepting = accept(&listener, permits);
            let (socket, permit) = shutdown.unless_begun(accepting).await??;
            // Each handshake has its own task, since it costs a signature.
            Some((tokio::spawn(opened(socket, permit, limits)), listener))
        }
    });
    let opened = opening.buffer_unordered(most);
    opened.filter_map(|opened| ready(opened.ok().flatten().map(Ok)))
}

/// Returns the next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    permits: Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = permits.acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
}

/// Returns the connection once it has begun HTTP/2, or `None` if it does not do so in time.
async fn opened(
    socket: TcpStream,
    permit: OwnedSemaphorePermit,
    limits: Limits,
) -> Option<Connection> {
    let peer = socket.connect_info();
    let beginning = async {
        socket.set_nodelay(true)?;
        let mut stream = match limits.tls {
            None => Either::Left(socket),
            Some(tls) => Either::Right(Box::new(encrypted(socket, &tls, &peer).await?)),
        };
        let mut preface = [0; PREFACE_BYTES];
        stream.read_exact(&mut preface).await?;
        Ok::<_, io::Error>((stream, Bytes::copy_from_slice(&preface)))
    };
    let begun = timeout(limits.handshake, beginning).await.ok()?;
    let (stream, preface) = begun.ok()?;
    Some(Connection {
        stream,
        preface,
        peer,
        writes: limits.writes,
        _permit: permit,
    })
}

/// Performs the TLS handshake, and logs why it fails. A mere hang-up, such as a load balancer's
/// check of the port, is logged at debug level.
async fn encrypted(
    socket: TcpStream,
    tls: &ServerTls,
    peer: &TcpConnectInfo,
) -> io::Result<TlsStream<TcpStream>> {
    let accepted = tls.acceptor().accept(socket).await.and_then(|stream| {
        if agreed_on_http2(stream.get_ref().1.alpn_protocol()) {
            return Ok(stream);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the client does not offer HTTP/2 over TLS",
        ))
    });
    let peer = peer.remote_addr();
    accepted.inspect_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            tracing::debug!(?peer, %error, "a TLS handshake failed");
        }
        _ => tracing::info!(?peer, %error, "a TLS handshake failed"),
    })
}

/// A connection, which counts as one until it is dropped.
pub(super) struct Connection {
    // The box saves space in connections without TLS.
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    // The bytes that were received and that HTTP/2 has not read yet.
    preface: Bytes,
    peer: TcpConnectInfo,
    writes: Arc<AtomicU64>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Returns the result of a write, after counting it if bytes were sent.
    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        written
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.preface.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.preface.len().min(buffer.remaining());
        buffer.put_slice(&self.preface.copy_to_bytes(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.counted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use futures::FutureExt as _;
    use tokio::{io::AsyncWriteExt as _, task::yield_now};

    use super::*;

    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    async fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn client(address: SocketAddr, sent: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent).await.unwrap();
        client
    }

    fn limits(connections_max: usize, handshake: Duration) -> Limits {
        Limits {
            connections_max,
            handshake,
            tls: None,
            writes: Arc::default(),
        }
    }

    #[tokio::test]
    async fn who_had_connected_before_the_shutdown_is_accepted_after_it_and_nobody_else() {
        let (listener, address) = listening().await;
        let mut early = Vec::new();
        for _ in 0..9 {
            early.push(client(address, PREFACE).await);
        }
        let shutdown = Shutdown::new();
        shutdown.begin();
        let connections = accepted(listener, limits(9, Duration::from_hours(1)), shutdown);
        assert_eq!(connections.count().await, early.len());
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_has_not_begun_in_time_is_dropped_and_one_that_has_is_read_whole() {
        let (listener, address) = listening().await;
        let mut slow = client(address, &PREFACE[1..]).await;
        let limits = limits(1, Duration::from_millis(500));
        let connections = accepted(listener, limits, Shutdown::new());
        tokio::pin!(connections);
        // There is room for one, so the second is accepted once the first has been dropped.
        let _begun = client(address, &[PREFACE.as_slice(), b"more"].concat()).await;
        let mut connection = connections.next().await.unwrap().unwrap();
        assert!(!matches!(slow.read(&mut [0]).await, Ok(1..)));
        let mut received = [0; PREFACE_BYTES + 4];
        connection.read_exact(&mut received).await.unwrap();
        assert!(received.starts_with(PREFACE) && received.ends_with(b"more"));
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_until_another_has_gone() {
        let (listener, address) = listening().await;
        let limits = limits(2, Duration::from_hours(1));
        let connections = accepted(listener, limits, Shutdown::new());
        tokio::pin!(connections);
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(client(address, PREFACE).await);
        }
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        for _ in 0..1_000 {
            let third = connections.next().now_or_never();
            assert!(third.is_none(), "it is accepted beside two others");
            yield_now().await;
        }
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
    }
}
