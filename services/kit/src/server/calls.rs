//! The calls under way, and the answers on their way: how many there may be, and what a shutdown waits for.

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

/// Calls of health under way in a process at most, watches for as long as they last; beyond them each
/// connection may have one `Check`.
pub const HEALTH_CALLS_MAX: usize = 1_000;
/// Calls of reflection under way in a process at most. Each may make the server keep a MiB that its caller
/// sent, and half a MiB that its caller does not take.
pub const REFLECTION_CALLS_MAX: usize = 50;
/// After how long a refused call may come back, in milliseconds: each is told another delay within these, so
/// that they do not come back together.
const RETRY_MILLIS: std::ops::Range<u64> = 1_000..2_000;
/// What probes call. Each connection may have one at any time.
const CHECK: &str = "/grpc.health.v1.Health/Check";
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
/// has its place until the last byte of its answer has left, so that what waits for a reader who does not
/// read is bounded; a watch of events, which has limits of its own, until it begins. Health and reflection
/// have places of their own.
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

    /// Returns a place for one more call, if there is one.
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
    /// The answer to a call that counts until its connection has taken the answer's last part.
    struct Answer<T> {
        #[pin]
        body: Body,
        counted: Option<TaskTrackerToken>,
        // None once the answer has ended: then only bytes on their way hold it.
        taken: Option<Arc<T>>,
    }
}

/// Bytes that hold what their call has taken until they have left.
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
