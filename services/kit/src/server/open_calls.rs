//! Calls that need no access token: health and reflection. Nobody's share bounds them, so these bounds do.

use std::sync::Arc;

use homeroom_api::common::v1::ErrorReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    held_answer::holding,
    is_health_path, is_open_path,
    middleware::{Inner, Middleware, Request, Response, refuse},
    strangers::ConnectionInfo,
};
use crate::status::Error;

/// Calls of health under way in a process at most, watches for as long as they last; beyond them each
/// connection may have one `Check`.
pub const HEALTH_CALLS_MAX: usize = 1_000;
/// Calls of reflection under way in a process at most. Each may make the server keep a MiB that its caller
/// sent, and half a MiB that its caller does not take.
pub const REFLECTION_CALLS_MAX: usize = 50;
/// Bytes of a message to health or reflection at most.
pub const OPEN_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// What probes call. Each connection may have one at any time.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Refuses calls without a token beyond what there may be of them. A call is under way until the last byte
/// of its answer has left. The first `Check` of a connection takes nobody's place and is never refused.
#[derive(Debug, Clone)]
pub(super) struct OpenCallsStep {
    health: Arc<Semaphore>,
    reflection: Arc<Semaphore>,
}

impl OpenCallsStep {
    pub(super) fn new() -> Self {
        Self {
            health: Arc::new(Semaphore::new(HEALTH_CALLS_MAX)),
            reflection: Arc::new(Semaphore::new(REFLECTION_CALLS_MAX)),
        }
    }

    fn place(&self, request: &Request) -> Option<OwnedSemaphorePermit> {
        let path = request.uri().path();
        let places = if is_health_path(path) {
            &self.health
        } else {
            &self.reflection
        };
        let own = if path == CHECK {
            let connection = request.extensions().get::<ConnectionInfo>();
            connection.and_then(ConnectionInfo::check_place)
        } else {
            None
        };
        own.or_else(|| Arc::clone(places).try_acquire_owned().ok())
    }
}

impl Middleware for OpenCallsStep {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        if !is_open_path(request.uri().path()) {
            return inner.answer(request).await;
        }
        let Some(place) = self.place(&request) else {
            return refuse(Error::unavailable(
                ErrorReason::Overloaded,
                "Too many calls without an access token are under way; retry after the delay given.",
            ));
        };
        holding(inner.answer(request).await, place)
    }
}
