//! What a connection's bytes go over, encrypted or not: a socket that tells what it sends, and that fails
//! instead of waiting once it is cut.

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

/// When a call last began or a connection last sent something.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    origin: Instant,
    // Since the origin.
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
    /// It is now.
    pub(super) fn seen(&self) {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_micros.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.last_micros.load(Ordering::Relaxed))
    }
}

/// What the sockets of one server share: what cuts them, and where they tell that they send.
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

    /// What the socket gave; an error where it gave nothing and is cut.
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

    /// What a write gave, once it has been told that something was sent.
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
