//! The calls under way, and the answers on their way: how many there may be, and what a shutdown waits for.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::metrics::counter;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Either},
};
use homeroom_api::common::v1::ErrorReason;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{
    is_health_path, is_open_path,
    middleware::{Request, Response, refuse},
};
use crate::status::Error;

/// Watches of health under way in a process at most, for as long as they last.
pub const HEALTH_WATCHES_MAX: usize = 1_000;
/// Calls of reflection under way in a process at most. Each may make the server keep a MiB that its caller
/// sent, and half a MiB that its caller does not take.
pub const REFLECTION_CALLS_MAX: usize = 50;
/// After how long a refused call may come back, in milliseconds: each is told another delay within these, so
/// that they do not come back together.
const RETRY_MILLIS: std::ops::Range<u64> = 1_000..2_000;
/// How far the delays of two calls are apart that are refused one after the other, in milliseconds.
const RETRY_STEP_MILLIS: u64 = 618;
/// Counts the calls that were refused because too many were under way.
const SHED: &str = "homeroom_calls_shed";

/// How long no call may have been under way and no connection have taken a byte before connections that
/// stay open are cut, in milliseconds: what was sent before the shutdown has arrived by then, and the
/// answers have left, but for those whose readers have stopped reading.
const LINGER_MILLIS: u64 = 1_000;

/// Counts every call from its arrival until its answer has been handed to its connection, which may be
/// long before the answer has left: [`Activity`] shows that. Health and reflection do not count: a watch
/// of health ends only with its connection.
///
/// As a layer it refuses calls beyond what the process can carry before anything is done for them. A call
/// has its place for as long as it counts; a watch of events, which has limits of its own, until it begins.
/// Health and reflection have places of their own, and a check of health needs none.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    under_way: TaskTracker,
    activity: Activity,
    places: Arc<Semaphore>,
    health_watches: Arc<Semaphore>,
    reflection: Arc<Semaphore>,
    shed: Arc<AtomicU64>,
}

impl Calls {
    pub(super) fn new(calls_max: usize) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            under_way: TaskTracker::new(),
            activity: Activity::default(),
            places: places(calls_max),
            health_watches: places(HEALTH_WATCHES_MAX),
            reflection: places(REFLECTION_CALLS_MAX),
            shed: Arc::default(),
        }
    }

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

    /// One more call to this path; None if there is no place for it.
    fn begin(&self, path: &str) -> Option<Call> {
        let places = if !is_open_path(path) {
            &self.places
        } else if !is_health_path(path) {
            &self.reflection
        } else if path.ends_with("/Watch") {
            &self.health_watches
        } else {
            return Some(Call::default());
        };
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        let counts = !is_open_path(path);
        if counts {
            self.activity.seen();
        }
        Some(Call {
            _counted: counts.then(|| self.under_way.token()),
            place: Some(place),
        })
    }

    fn refuse(&self) -> Response {
        counter!(SHED).increment(1);
        let number = self.shed.fetch_add(1, Ordering::Relaxed);
        let later = number * RETRY_STEP_MILLIS % (RETRY_MILLIS.end - RETRY_MILLIS.start);
        let error = Error::unavailable(
            ErrorReason::Overloaded,
            "The service is busy; retry after the delay given.",
        );
        refuse(error.retry_after(Duration::from_millis(RETRY_MILLIS.start + later)))
    }
}

/// A call under way, until it is dropped.
#[derive(Default)]
struct Call {
    _counted: Option<TaskTrackerToken>,
    place: Option<OwnedSemaphorePermit>,
}

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted {
            calls: self.clone(),
            inner,
        }
    }
}

/// A service whose calls are counted and bounded.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    calls: Calls,
    inner: S,
}

impl<S> Service<Request> for Counted<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<
        Ready<Result<Response, Infallible>>,
        BoxFuture<'static, Result<Response, Infallible>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let path = request.uri().path();
        let Some(mut call) = self.calls.begin(path) else {
            return Either::Left(ready(Ok(self.calls.refuse())));
        };
        let is_watch = path.ends_with("/WatchEvents");
        let answer = self.inner.call(request).map(move |answered| {
            if is_watch {
                call.place = None;
            }
            answered.map(|answer| answer.map(|body| Body::new(Answer { body, call })))
        });
        Either::Right(answer.boxed())
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

pin_project! {
    /// The answer to a call that is under way until its connection has taken the answer's last part.
    struct Answer {
        #[pin]
        body: Body,
        call: Call,
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
