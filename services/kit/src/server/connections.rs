//! The connections that a server accepts: at most so many at a time, each with the address it comes from,
//! and none that says nothing.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long to wait after a failed accept, most often for want of file descriptors, in milliseconds.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Bytes that every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// The time left to a connection to begin, and how much of the beginning is still to come.
#[derive(Debug)]
struct Handshake {
    bytes_missing: usize,
    end: Pin<Box<Sleep>>,
}

pin_project! {
    /// A connection that counts as one until it is dropped.
    #[derive(Debug)]
    pub(super) struct Connection {
        #[pin]
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
        // None once the connection has begun; from then on keepalive watches it.
        handshake: Option<Handshake>,
    }
}

/// Accepts connections for ever; further ones wait in the listener's queue while `connections_max` are open.
/// A connection that has not sent HTTP/2's preface within `handshake` fails when it is read.
pub(super) fn accepted(
    listener: TcpListener,
    connections_max: usize,
    handshake: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let permits = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    futures::stream::unfold((listener, permits), move |(listener, permits)| async move {
        let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
                }
            }
        };
        let connection = stream.set_nodelay(true).map(|()| Connection {
            stream,
            permit,
            handshake: Some(Handshake {
                bytes_missing: PREFACE_BYTES,
                end: Box::pin(tokio::time::sleep(handshake)),
            }),
        });
        Some((connection, (listener, permits)))
    })
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        let read = this.stream.poll_read(context, buffer);
        let Some(handshake) = this.handshake else {
            return read;
        };
        if read.is_ready() {
            let received = buffer.filled().len().saturating_sub(before);
            handshake.bytes_missing = handshake.bytes_missing.saturating_sub(received);
            if handshake.bytes_missing == 0 {
                *this.handshake = None;
            }
            return read;
        }
        match handshake.end.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection did not begin to speak HTTP/2 in time",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A connection that has no time to begin, once its other end has sent so many bytes.
    async fn received(sent: usize) -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&vec![b'P'; sent]).await.unwrap();
        let mut connections = Box::pin(accepted(listener, 1, Duration::ZERO));
        let mut connection = connections.next().await.unwrap().unwrap();
        connection.stream.readable().await.unwrap();
        connection.read_exact(&mut vec![0; sent]).await.unwrap();
        (connection, client)
    }

    #[tokio::test]
    async fn a_connection_that_has_not_begun_in_time_fails() {
        let (mut connection, _client) = received(PREFACE_BYTES - 1).await;
        let error = connection.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_may_be_silent() {
        let (mut connection, _client) = received(PREFACE_BYTES).await;
        assert!(connection.handshake.is_none());
        let mut byte = [0];
        let mut silent = Box::pin(connection.read(&mut byte));
        assert!(futures::poll!(&mut silent).is_pending());
    }
}
