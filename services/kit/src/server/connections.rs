//! The connections that a server accepts: at most so many at a time, each with the address it comes from,
//! and none that says nothing. A shutdown ends accepting, and cuts what will not close.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, Stream};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{coop::unconstrained, yield_now},
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::calls::Activity;
use crate::shutdown::Shutdown;

/// How long to wait after a failed accept, most often for want of file descriptors, in milliseconds.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Connections at most that had been made before the shutdown and are accepted after it: more than a
/// listener's queue holds, so that accepting ends though more keep coming.
const LATE_CONNECTIONS_MAX: usize = 1_024;

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
        cut: Pin<Box<WaitForCancellationFutureOwned>>,
        activity: Activity,
    }
}

impl Connection {
    /// What the stream gave; an error where it gave nothing and the connection is cut.
    fn or_cut<T>(
        cut: &mut Pin<Box<WaitForCancellationFutureOwned>>,
        context: &mut Context<'_>,
        given: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if given.is_pending() && cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has stopped",
            )));
        }
        given
    }

    /// What a write gave, once `activity` has been told of what it sent.
    fn or_told(activity: &Activity, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            activity.seen();
        }
        written
    }
}

/// Accepts connections until the shutdown, and then those that had already been made; further ones wait in
/// the listener's queue while `connections_max` are open, and a shutdown does not wait for room. A connection
/// that has not sent HTTP/2's preface within `handshake` fails when it is read, and every one that has to wait
/// does once `cut` is. What they send is told to `activity`.
pub(super) fn accepted(
    listener: TcpListener,
    connections_max: usize,
    handshake: Duration,
    shutdown: Shutdown,
    cut: CancellationToken,
    activity: Activity,
) -> impl Stream<Item = io::Result<Connection>> {
    let permits = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    // How many were accepted after the shutdown; None before it.
    futures::stream::unfold((listener, None), move |(listener, mut late)| {
        let (permits, shutdown) = (Arc::clone(&permits), shutdown.clone());
        let (cut, activity) = (cut.child_token(), activity.clone());
        async move {
            let mut early = None;
            if late.is_none() && !shutdown.has_begun() {
                let accepting = accept(&listener, Arc::clone(&permits));
                early = shutdown.unless_begun(accepting).await;
            }
            let accepted = if early.is_some() {
                early
            } else {
                if late.is_none() {
                    // The runtime learns here of who has connected since it last looked.
                    yield_now().await;
                }
                let count = late.unwrap_or(0);
                if count == LATE_CONNECTIONS_MAX {
                    return None;
                }
                late = Some(count + 1);
                // Nobody is left in the queue because a task has had its turn.
                unconstrained(accept(&listener, permits)).now_or_never()
            };
            let (stream, permit) = accepted??;
            let connection = stream.set_nodelay(true).map(|()| Connection {
                stream,
                permit,
                handshake: Some(Handshake {
                    bytes_missing: PREFACE_BYTES,
                    end: Box::pin(tokio::time::sleep(handshake)),
                }),
                cut: Box::pin(cut.cancelled_owned()),
                activity,
            });
            Some((connection, (listener, late)))
        }
    })
}

/// The next connection, once there is room for it.
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
                tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
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
        let read = Self::or_cut(this.cut, context, read);
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
        let this = self.project();
        let written = Self::or_told(this.activity, this.stream.poll_write(context, bytes));
        Self::or_cut(this.cut, context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = this.stream.poll_write_vectored(context, slices);
        let written = Self::or_told(this.activity, written);
        Self::or_cut(this.cut, context, written)
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
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpSocket,
    };

    use super::*;

    /// A connection that has no time to begin, once its other end has sent so many bytes; and what cuts it.
    async fn received(sent: usize) -> (Connection, TcpStream, CancellationToken) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&vec![b'P'; sent]).await.unwrap();
        let cut = CancellationToken::new();
        let mut connections = Box::pin(accepted(
            listener,
            1,
            Duration::ZERO,
            Shutdown::new(),
            cut.clone(),
            Activity::default(),
        ));
        let mut connection = connections.next().await.unwrap().unwrap();
        connection.stream.readable().await.unwrap();
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

    #[tokio::test]
    async fn who_had_connected_before_the_shutdown_is_accepted_after_it() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(400).unwrap();
        let address = listener.local_addr().unwrap();
        // More than a task may take before it has to give way to others.
        let mut early = Vec::new();
        for _ in 0..300 {
            early.push(TcpStream::connect(address).await.unwrap());
        }
        let shutdown = Shutdown::new();
        shutdown.begin();
        let cut = CancellationToken::new();
        let activity = Activity::default();
        let connections = accepted(listener, 9, Duration::ZERO, shutdown, cut, activity);
        assert_eq!(connections.count().await, early.len());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
