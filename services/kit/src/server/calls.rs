//! The calls under way, and the answers on their way: what a shutdown waits for.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::body::Body;

use super::{
    is_open_path,
    middleware::{Inner, Middleware, Request, Response},
};

/// How long no call may have been under way and no connection have taken a byte before connections that
/// stay open are cut, in milliseconds: what was sent before the shutdown has arrived by then, and the
/// answers have left, but for those whose readers have stopped reading.
const LINGER_MILLIS: u64 = 1_000;

/// Counts every call from its arrival until its answer has been handed to its connection, which may be
/// long before the answer has left: [`Activity`] shows that. Health and reflection do not count: a watch
/// of health ends only with its connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    under_way: TaskTracker,
    activity: Activity,
}

impl Calls {
    /// Where connections tell that they send.
    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Whether no call is under way.
    pub(super) fn none(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Waits until no call has been under way, and nothing been sent, for a second.
    pub(super) async fn ended(&self) {
        self.under_way.close();
        let linger = Duration::from_millis(LINGER_MILLIS);
        let mut since = Instant::now();
        loop {
            if !self.none() {
                self.under_way.wait().await;
                since = Instant::now();
            }
            tokio::time::sleep_until((since + linger).into()).await;
            let last = self.activity.last();
            if self.none() && last <= since {
                return;
            }
            since = since.max(last);
        }
    }
}

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

    fn last(&self) -> Instant {
        self.origin + Duration::from_micros(self.last_micros.load(Ordering::Relaxed))
    }
}

impl Middleware for Calls {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        if is_open_path(request.uri().path()) {
            return inner.answer(request).await;
        }
        let call = self.under_way.token();
        self.activity.seen();
        let response = inner.answer(request).await;
        response.map(|body| Body::new(Answer { body, call }))
    }
}

pin_project! {
    /// The answer to a call that is under way until its connection has taken the answer's last part.
    struct Answer {
        #[pin]
        body: Body,
        call: TaskTrackerToken,
    }
}

impl HttpBody for Answer {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
