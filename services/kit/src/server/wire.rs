//! The socket of a connection, encrypted or not: it records when it sends, and it fails instead of
//! waiting once it is cut.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The time at which a call last began or a connection last sent bytes.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    origin: Instant,
    // In microseconds since the origin.
    last_micros: Arc<AtomicU64>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            last_micros: Arc::default(),
        }
    }
}

impl Activity {
    /// Records the current time.
    pub(super) fn seen(&self) {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_micros.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.last_micros.load(Ordering::Relaxed))
    }
}

/// The state that the sockets of one server share: the token that cuts them, and the record of
/// activity.
#[derive(Debug, Clone)]
pub(super) struct Wires {
    pub(super) cut: CancellationToken,
    pub(super) activity: Activity,
}

/// A socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    activity: Activity,
}

impl Wire {
    pub(super) fn new(socket: TcpStream, wires: Wires) -> Self {
        Self {
            socket,
            cut: Box::pin(wires.cut.cancelled_owned()),
            activity: wires.activity,
        }
    }

    /// Returns the socket's result, or an error if it is pending and the socket is cut.
    fn or_cut<T>(
        &mut self,
        context: &mut Context<'_>,
        given: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if given.is_pending() && self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection is cut",
            )));
        }
        given
    }

    /// Returns the result of a write, after recording that bytes were sent.
    fn or_told(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.activity.seen();
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.or_cut(context, read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        let written = self.or_told(written);
        self.or_cut(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        let written = self.or_told(written);
        self.or_cut(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
