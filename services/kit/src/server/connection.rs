//! One connection: what stands between HTTP/2 and the wire, and how long it may take to begin.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::Sleep,
};
use tokio_rustls::{Accept, server::TlsStream};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::wire::{Wire, Wires};
use crate::tls::{ServerTls, agreed_on_http2};

/// Bytes that every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// The time left to a connection to begin, and how much of the beginning is still to come.
#[derive(Debug)]
struct Handshake {
    bytes_missing: usize,
    end: Pin<Box<Sleep>>,
}

/// What stands between HTTP/2 and the wire.
enum Speech {
    Plain(Wire),
    /// TLS has yet to be agreed on; that goes on whenever the connection is read or written.
    Agreeing(Box<Accept<Wire>>),
    Encrypted(Box<TlsStream<Wire>>),
    /// TLS was not agreed on.
    Failed,
}

/// A connection that counts as one until it is dropped.
pub(super) struct Connection {
    speech: Speech,
    peer: TcpConnectInfo,
    // None once the connection has begun; from then on keepalive watches it.
    handshake: Option<Handshake>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        socket: TcpStream,
        permit: OwnedSemaphorePermit,
        handshake: Duration,
        tls: Option<&ServerTls>,
        wires: Wires,
    ) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let wire = Wire::new(socket, wires);
        Ok(Self {
            peer: wire.socket().connect_info(),
            speech: match tls {
                None => Speech::Plain(wire),
                Some(tls) => Speech::Agreeing(Box::new(tls.acceptor().accept(wire))),
            },
            handshake: Some(Handshake {
                bytes_missing: PREFACE_BYTES,
                end: Box::pin(tokio::time::sleep(handshake)),
            }),
            _permit: permit,
        })
    }

    /// An error if the connection should have begun by now.
    fn poll_late<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(handshake) = &mut self.handshake else {
            return Poll::Pending;
        };
        ready!(handshake.end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the connection did not begin to speak HTTP/2 in time",
        )))
    }

    /// Ready once TLS has been agreed on, where it is spoken.
    fn poll_agreed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Speech::Agreeing(agreeing) = &mut self.speech else {
            return Poll::Ready(Ok(()));
        };
        let agreed = match agreeing.poll_unpin(context) {
            Poll::Pending => return self.poll_late(context),
            Poll::Ready(agreed) => agreed,
        };
        self.speech = Speech::Failed;
        let peer = self.peer.remote_addr();
        let stream = agreed.inspect_err(|error| told(peer, error))?;
        if !agreed_on_http2(stream.get_ref().1.alpn_protocol()) {
            let error = "the client does not offer HTTP/2 over TLS";
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            told(peer, &error);
            return Poll::Ready(Err(error));
        }
        self.speech = Speech::Encrypted(Box::new(stream));
        Poll::Ready(Ok(()))
    }
}

/// Logs why TLS was not agreed on. That somebody just hung up, as balancers do that look whether a port is
/// open, is nothing to tell.
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

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the TLS handshake has failed")
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
        ready!(self.poll_agreed(context))?;
        let before = buffer.filled().len();
        let read = match &mut self.speech {
            Speech::Plain(wire) => Pin::new(wire).poll_read(context, buffer),
            Speech::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
            Speech::Agreeing(_) | Speech::Failed => Poll::Ready(Err(failed())),
        };
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
        self.poll_late(context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_agreed(context))?;
        match &mut self.speech {
            Speech::Plain(wire) => Pin::new(wire).poll_write(context, bytes),
            Speech::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
            Speech::Agreeing(_) | Speech::Failed => Poll::Ready(Err(failed())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_agreed(context))?;
        match &mut self.speech {
            Speech::Plain(wire) => Pin::new(wire).poll_write_vectored(context, slices),
            Speech::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Speech::Agreeing(_) | Speech::Failed => Poll::Ready(Err(failed())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.speech {
            Speech::Plain(wire) => wire.is_write_vectored(),
            // rustls gathers slices into its records.
            Speech::Agreeing(_) | Speech::Encrypted(_) | Speech::Failed => true,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.speech {
            Speech::Plain(wire) => Pin::new(wire).poll_flush(context),
            Speech::Encrypted(stream) => Pin::new(stream).poll_flush(context),
            // Nothing has been written yet.
            Speech::Agreeing(_) | Speech::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.speech {
            Speech::Plain(wire) => Pin::new(wire).poll_shutdown(context),
            Speech::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
            Speech::Agreeing(_) | Speech::Failed => Poll::Ready(Ok(())),
        }
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

    use super::{super::calls::Activity, *};

    /// A connection that has no time to begin, once its other end has sent so many bytes; and what cuts it.
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
        let connection = Connection::new(socket, permit, Duration::ZERO, None, wires);
        let mut connection = connection.unwrap();
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
