//! One connection: the layer between HTTP/2 and the socket, and the time limit for its beginning.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, timeout_at},
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::wire::{Wire, Wires};
use crate::tls::{ServerTls, agreed_on_http2};

/// The number of bytes that every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// The data on a connection, an extension of each of its requests.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionInfo {
    tcp: TcpConnectInfo,
    check: Arc<Semaphore>,
}

impl ConnectionInfo {
    /// Returns the remote address.
    pub(crate) fn remote_addr(&self) -> Option<SocketAddr> {
        self.tcp.remote_addr()
    }

    /// Returns the place of the connection's one health check, which is answered whatever else is
    /// under way, or `None` if it is taken.
    pub(super) fn check_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.check).try_acquire_owned().ok()
    }
}

/// The time left for a connection to begin, and the bytes that are still missing.
#[derive(Debug)]
struct Handshake {
    bytes_missing: usize,
    end: Pin<Box<Sleep>>,
}

/// A connection, which counts as one until it is dropped.
pub(super) struct Connection {
    // The box saves space in connections without TLS.
    stream: Either<Wire, Box<TlsStream<Wire>>>,
    info: ConnectionInfo,
    // `None` once the connection has begun; from then on keepalive watches it.
    handshake: Option<Handshake>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Performs the TLS handshake if TLS is on. Returns `None`, after logging it, if that fails or
    /// takes too long.
    pub(super) async fn open(
        socket: TcpStream,
        permit: OwnedSemaphorePermit,
        handshake: Duration,
        tls: Option<ServerTls>,
        wires: Wires,
    ) -> Option<Self> {
        let end = Box::pin(tokio::time::sleep(handshake));
        let peer = socket.connect_info();
        let opened = async {
            socket.set_nodelay(true)?;
            let wire = Wire::new(socket, wires);
            let Some(tls) = tls else {
                return Ok(Either::Left(wire));
            };
            let stream = timeout_at(end.deadline(), tls.acceptor().accept(wire)).await??;
            if !agreed_on_http2(stream.get_ref().1.alpn_protocol()) {
                let error = "the client does not offer HTTP/2 over TLS";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            Ok(Either::Right(Box::new(stream)))
        };
        let opened = opened
            .await
            .inspect_err(|error| told(peer.remote_addr(), error));
        Some(Self {
            stream: opened.ok()?,
            info: ConnectionInfo {
                tcp: peer,
                check: Arc::new(Semaphore::new(1)),
            },
            handshake: Some(Handshake {
                bytes_missing: PREFACE_BYTES,
                end,
            }),
            _permit: permit,
        })
    }
}

/// Logs why a connection could not be opened. A mere hang-up, such as a load balancer's check of
/// the port, is logged at debug level.
fn told(peer: Option<SocketAddr>, error: &io::Error) {
    let hung_up = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
    );
    if hung_up {
        tracing::debug!(?peer, %error, "a TLS handshake failed");
    } else {
        tracing::info!(?peer, %error, "a TLS handshake failed");
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(handshake) = &mut self.handshake else {
            return read;
        };
        if read.is_ready() {
            let received = buffer.filled().len().saturating_sub(before);
            handshake.bytes_missing = handshake.bytes_missing.saturating_sub(received);
            if handshake.bytes_missing == 0 {
                self.handshake = None;
            }
            return read;
        }
        ready!(handshake.end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the connection did not begin to speak HTTP/2 in time",
        )))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
    use std::{net::Ipv4Addr, sync::Arc};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::Semaphore,
    };
    use tokio_util::sync::CancellationToken;

    use super::{super::wire::Activity, *};

    /// Returns a connection whose time to begin is over, after its client has sent this many bytes;
    /// the client; and the token that cuts it.
    async fn received(sent: usize) -> (Connection, TcpStream, CancellationToken) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&vec![b'P'; sent]).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.readable().await.unwrap();
        let cut = CancellationToken::new();
        let wires = Wires {
            cut: cut.clone(),
            activity: Activity::default(),
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let connection = Connection::open(socket, permit, Duration::ZERO, None, wires);
        let mut connection = connection.await.unwrap();
        connection.read_exact(&mut vec![0; sent]).await.unwrap();
        (connection, client, cut)
    }

    #[tokio::test]
    async fn a_connection_that_has_not_begun_in_time_fails() {
        let (mut connection, _client, _) = received(PREFACE_BYTES - 1).await;
        let error = connection.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_may_be_silent_until_it_is_cut() {
        let (mut connection, _client, cut) = received(PREFACE_BYTES).await;
        assert!(connection.handshake.is_none());
        let mut byte = [0];
        let mut silent = Box::pin(connection.read(&mut byte));
        assert!(futures::poll!(&mut silent).is_pending());
        cut.cancel();
        let error = silent.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_waits_for_no_reader() {
        let (mut connection, _client, cut) = received(PREFACE_BYTES).await;
        let endless = vec![0; 1024 * 1024];
        let write = async { while connection.write_all(&endless).await.is_ok() {} };
        let mut write = Box::pin(write);
        assert!(futures::poll!(&mut write).is_pending());
        cut.cancel();
        write.await;
    }
}
