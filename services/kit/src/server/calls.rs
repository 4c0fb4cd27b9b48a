//! Limits the calls under way and the answers in transit, and tells a shutdown when they have
//! ended.

use std::{
    convert::Infallible,
    future::{self, Ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use ::metrics::counter;
use bytes::Bytes;
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
    connection::ConnectionInfo,
    is_health_path, is_open_path,
    middleware::{Request, Response, refuse},
    shares::Share,
    wire::Activity,
};
use crate::status::Error;

/// The most calls to health under way in a process, including watches for their whole duration;
/// beyond them each connection may have one `Check`.
pub const HEALTH_CALLS_MAX: usize = 1_000;
/// The most calls to reflection under way in a process. Each may make the server keep 1 MiB that
/// its caller sent, and 0.5 MiB that its caller does not read.
pub const REFLECTION_CALLS_MAX: usize = 50;
/// The range of the retry delay of a refused call, in milliseconds: each gets a different delay, so
/// that they do not return at the same time.
const RETRY_MILLIS: std::ops::Range<u64> = 1_000..2_000;
/// The method that probes call. Each connection may have one such call at any time.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The difference between the delays of two consecutively refused calls, in milliseconds.
const RETRY_STEP_MILLIS: u64 = 618;
/// Counts the calls that were refused because too many were under way.
const SHED: &str = "homeroom_calls_shed";

/// The time without a call under way and without a sent byte after which the remaining connections
/// are cut, in milliseconds. By then everything sent before the shutdown has arrived and all
/// answers have left, except those whose readers have stopped reading.
const LINGER_MILLIS: u64 = 1_000;

/// Counts every call from its arrival until its answer has been handed to its connection, which may
/// be long before the answer has left: [`Activity`] tracks that. Health and reflection are not
/// counted, because a watch of health ends only with its connection.
///
/// As a layer it refuses calls beyond the capacity of the process before any work is done. A call
/// holds its place until the last byte of its answer has left, so that data for readers who do not
/// read is bounded; a watch of events, which has its own limits, only until it begins. Health and
/// reflection have their own places.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    under_way: TaskTracker,
    activity: Activity,
    places: Arc<Semaphore>,
    health: Arc<Semaphore>,
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
            health: places(HEALTH_CALLS_MAX),
            reflection: places(REFLECTION_CALLS_MAX),
            shed: Arc::default(),
        }
    }

    /// Returns the record of activity, which connections update when they send.
    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Returns true if no call is under way.
    pub(super) fn none(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Waits until no call has been under way, and nothing was sent, for a second.
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

    /// Returns a place for one more call, or `None` if all are taken.
    fn place(&self, request: &Request) -> Option<OwnedSemaphorePermit> {
        let path = request.uri().path();
        let own = || request.extensions().get::<ConnectionInfo>()?.check_place();
        let places = if !is_open_path(path) {
            &self.places
        } else if is_health_path(path) {
            &self.health
        } else {
            &self.reflection
        };
        let own = if path == CHECK { own() } else { None };
        own.or_else(|| Arc::clone(places).try_acquire_owned().ok())
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

impl<S> Layer<S> for Calls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted {
            calls: self.clone(),
            inner,
        }
    }
}

/// A service whose calls are counted and limited.
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
        let Some(place) = self.calls.place(&request) else {
            return Either::Left(future::ready(Ok(self.calls.refuse())));
        };
        let path = request.uri().path();
        let counted = (!is_open_path(path)).then(|| {
            self.calls.activity.seen();
            self.calls.under_way.token()
        });
        let is_watch = path.ends_with("/WatchEvents");
        let answer = self.inner.call(request).map(move |answered| {
            answered.map(|mut answer| {
                let share = answer.extensions_mut().remove::<Share>();
                let taken = (!is_watch).then(|| Arc::new((place, share)));
                answer.map(|body| {
                    Body::new(Answer {
                        body,
                        counted,
                        taken,
                    })
                })
            })
        });
        Either::Right(answer.boxed())
    }
}

pin_project! {
    /// The answer to a call, which counts until its connection has taken the answer's last part.
    struct Answer<T> {
        #[pin]
        body: Body,
        counted: Option<TaskTrackerToken>,
        // `None` once the answer has ended: then only bytes in transit hold it.
        taken: Option<Arc<T>>,
    }
}

/// Bytes that hold their call's place and share until they have left.
struct OnTheirWay<T> {
    bytes: Bytes,
    _taken: Option<Arc<T>>,
}

impl<T> AsRef<[u8]> for OnTheirWay<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Send + Sync + 'static> HttpBody for Answer<T> {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        let last = !matches!(&frame, Some(Ok(frame)) if frame.is_data());
        let taken = if last {
            this.taken.take()
        } else {
            this.taken.clone()
        };
        let held = |bytes| {
            Bytes::from_owner(OnTheirWay {
                bytes,
                _taken: taken,
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    fn answer(body: Body, place: &Arc<()>) -> Answer<()> {
        Answer {
            body,
            counted: None,
            taken: Some(Arc::clone(place)),
        }
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_bytes_of_the_answer_have_left() {
        let (place, held) = (Arc::new(()), Body::new(Full::new(Bytes::from("much"))));
        let holds = || Arc::strong_count(&place) > 1;
        let mut answer = answer(held, &place);
        let on_its_way = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(answer.frame().await.is_none());
        drop(answer);
        assert_eq!((on_its_way.as_ref(), holds()), (&b"much"[..], true));
        drop(on_its_way);
        assert!(!holds());
    }

    #[tokio::test]
    async fn who_has_the_last_of_an_answer_has_the_place_too() {
        let place = Arc::new(());
        let trailers = async { Some(Ok(HeaderMap::new())) };
        let body = Body::new(Full::new(Bytes::from("much")).with_trailers(trailers));
        let mut answer = answer(body, &place);
        drop(answer.frame().await.unwrap().unwrap().into_data().unwrap());
        assert_eq!(Arc::strong_count(&place), 2);
        assert!(answer.frame().await.unwrap().unwrap().is_trailers());
        assert_eq!(Arc::strong_count(&place), 1);
    }
}
