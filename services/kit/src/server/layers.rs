//! The steps of every call, outermost first: limit of calls, request id, trace, log, panics and
//! tonic's own answers, deadline, authentication.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::metrics::{counter, histogram};
use futures::{FutureExt as _, future::BoxFuture};
use homeroom_api::common::v1::ErrorReason;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service, ServiceExt as _};
use tracing::Instrument as _;

use super::{
    Deadline, MESSAGE_BYTES_MAX, OPEN_MESSAGE_BYTES_MAX, Request, RequestId, Response,
    TrustedProxies, authenticate, calls::Calls, is_open_path, methods, refuse,
};
use crate::{
    auth::Verifier,
    clock::SharedClock,
    random::{self, SharedRandomness},
    status::{Error, code_name},
    trace::{self, SpanKind},
};

/// The metadata key of the request's id, in both directions.
pub const REQUEST_ID_METADATA: &str = "x-request-id";
/// The most characters of a caller's request id.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// The most seconds of a call, up to its first answer, if the caller sets no deadline or a longer
/// one.
pub const CALL_SECONDS_MAX: u64 = 60;
/// The most milliseconds by which the answer precedes the caller's deadline.
const DEADLINE_MARGIN_MILLIS_MAX: u64 = 10;
/// Counts the calls by method, code and reason; the reason is empty for calls that succeeded.
pub(crate) const CALLS: &str = "homeroom_calls_total";
/// The time from a call's headers to the head of its answer, by method.
pub(crate) const CALL_SECONDS: &str = "homeroom_call_duration_seconds";
/// The header of a status's details, which every status of a handler has.
const STATUS_DETAILS: &str = "grpc-status-details-bin";
/// The bytes of a call's path that are logged: longer than any method, while an unauthenticated
/// caller may send thousands.
const METHOD_LOGGED_BYTES_MAX: usize = 128;

/// The steps of every call, as a layer.
#[derive(Debug, Clone)]
pub(super) struct Steps(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    calls: Calls,
    verifier: Arc<Verifier>,
    trusted_proxies: TrustedProxies,
    clock: SharedClock,
    random: SharedRandomness,
}

impl Steps {
    pub(super) fn new(
        calls: Calls,
        verifier: Arc<Verifier>,
        trusted_proxies: TrustedProxies,
        clock: SharedClock,
        random: SharedRandomness,
    ) -> Self {
        Self(Arc::new(Parts {
            calls,
            verifier,
            trusted_proxies,
            clock,
            random,
        }))
    }
}

impl<S> Layer<S> for Steps {
    type Service = Stepped<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Stepped {
            steps: self.clone(),
            inner,
        }
    }
}

/// A service behind the steps.
#[derive(Debug, Clone)]
pub(super) struct Stepped<S> {
    steps: Steps,
    inner: S,
}

/// The service that a call reaches after its last step.
trait Inner: Service<Request, Response = Response, Error = Infallible, Future: Send> + Send {}

impl<S> Inner for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Send
{
}

impl<S: Inner + Clone + 'static> Service<Request> for Stepped<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (Steps(steps), inner) = (self.steps.clone(), self.inner.clone());
        Box::pin(async move { Ok(steps.limited(request, inner).await) })
    }
}

impl Parts {
    /// Refuses calls beyond the limit.
    async fn limited(&self, request: Request, inner: impl Inner) -> Response {
        let path = request.uri().path();
        let is_open = is_open_path(path);
        let under_way = match self.calls.begin(path) {
            Ok(under_way) => under_way,
            Err(overloaded) => return refuse(overloaded),
        };
        let response = self.identified(request, inner).await;
        if !is_open {
            return response;
        }
        // A stream that is open to everybody has its place until it ends.
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &under_way;
                frame
            }))
        })
    }

    /// Uses the caller's request id, or creates one, and works within the caller's trace.
    async fn identified(&self, mut request: Request, inner: impl Inner) -> Response {
        let id = request
            .headers()
            .get(REQUEST_ID_METADATA)
            .and_then(|id| id.to_str().ok())
            .filter(|id| {
                (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
                    && id.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .map_or_else(
                || random::new_id(&*self.clock, &*self.random).to_string(),
                str::to_owned,
            );
        let caller = trace::named_by(request.headers());
        let header = HeaderValue::try_from(id.as_str());
        request.extensions_mut().insert(RequestId(id));
        let method = methods::named(request.uri().path());
        let answering = self.logged(method, request, inner);
        let answering = async {
            let attributes = [("rpc.system.name", "grpc"), ("rpc.method", method)];
            trace::span(SpanKind::Server, method, &attributes, answering).await
        };
        let mut response = trace::within(caller, answering).await;
        if let Ok(header) = header {
            response.headers_mut().insert(REQUEST_ID_METADATA, header);
        }
        response
    }

    /// Logs, counts and traces how the call ended.
    async fn logged(&self, method: &'static str, request: Request, inner: impl Inner) -> Response {
        let begun = Instant::now();
        let id = request.extensions().get::<RequestId>();
        let span = tracing::info_span!(
            "call",
            method = logged_method(request.uri().path()),
            request_id = id.map(|RequestId(id)| id),
            trace_id = trace::id().map(tracing::field::display),
            subject = tracing::field::Empty,
            user = tracing::field::Empty,
        );
        let response = self.answered(request, inner).instrument(span.clone()).await;
        let _entered = span.entered();
        let status = Status::from_header_map(response.headers());
        let code = status.as_ref().map_or(Code::Ok, Status::code);
        let error = status.as_ref().and_then(Error::from_status);
        let reason = error.map_or("", |error| error.reason().as_str_name());
        counter!(CALLS, "method" => method, "code" => code_name(code), "reason" => reason)
            .increment(1);
        histogram!(CALL_SECONDS, "method" => method).record(begun.elapsed());
        trace::set("rpc.response.status_code", code_name(code));
        let error_type = if reason.is_empty() {
            code_name(code)
        } else {
            reason
        };
        match code {
            Code::Ok => {}
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => trace::failed(error_type),
            // A caller's mistake is no failure of the server, as OpenTelemetry's conventions have it.
            _ => trace::set("error.type", error_type),
        }
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        match code {
            Code::Ok => tracing::debug!(micros, "answered"),
            code => tracing::info!(micros, ?code, "answered"),
        }
        response
    }

    /// Answers `DEADLINE_EXCEEDED` just before the caller stops waiting (tonic itself would answer
    /// CANCELLED), and gives the answers of tonic and of panics the reasons of the contract.
    async fn answered(&self, mut request: Request, inner: impl Inner) -> Response {
        if !is_grpc(request.headers()) {
            let mut response = refuse(Error::new(
                ErrorReason::InvalidRequest,
                "Call by gRPC, with the content-type application/grpc.",
            ));
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let limit = if is_open_path(request.uri().path()) {
            OPEN_MESSAGE_BYTES_MAX
        } else {
            MESSAGE_BYTES_MAX
        };
        let given = timeout(request.headers());
        if let Some(deadline) = given.and_then(|given| Instant::now().checked_add(given)) {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let longest = Duration::from_secs(CALL_SECONDS_MAX);
        let allowed = given.map_or(longest, |given| less_margin(given).min(longest));
        let answering = tokio::time::timeout(allowed, self.authenticated(request, inner));
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(Ok(response)) => translated(response.headers(), limit).map_or(response, refuse),
            Ok(Err(_late)) => refuse(Error::new(
                ErrorReason::DeadlineTooShort,
                "Retry with a longer deadline; with the same request_id a change is made once.",
            )),
            // Its message has been written to standard error.
            Err(_panic) => refuse(Error::internal("a panic")),
        }
    }

    /// Checks every call except those of health and reflection.
    async fn authenticated(&self, mut request: Request, inner: impl Inner) -> Response {
        if !is_open_path(request.uri().path())
            && let Err(error) = authenticate(&self.verifier, &self.trusted_proxies, &mut request)
        {
            return refuse(error);
        }
        #[cfg(feature = "failpoints")]
        let path = request.uri().path().to_owned();
        let answering = inner
            .oneshot(request)
            .map(|answered| answered.unwrap_or_else(|never| match never {}));
        #[cfg(feature = "failpoints")]
        let answering = super::failpoints::around(&path, answering);
        answering.await
    }
}

/// Returns the part of a path that is logged.
fn logged_method(path: &str) -> &str {
    let (shown, _) = path.split_at(path.floor_char_boundary(METHOD_LOGGED_BYTES_MAX));
    shown
}

/// Returns the reason for a status that tonic made by itself, if the caller can correct the error.
fn translated(headers: &HeaderMap, limit: usize) -> Option<Error> {
    if headers.contains_key(STATUS_DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    match status.code() {
        Code::OutOfRange => Some(too_large(limit)),
        Code::ResourceExhausted if status.message().contains("decompressing") => {
            Some(too_large(limit))
        }
        // The mistake is in a frame, its compression or its message, since handlers fail with details.
        Code::Internal => Some(Error::new(
            ErrorReason::InvalidRequest,
            "Send this method's request message in one gRPC frame: what was sent could not be read.",
        )),
        _ => None,
    }
}

/// Returns true if the content type is gRPC's, with any format and parameters.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let rest = kind.and_then(|kind| kind.strip_prefix("application/grpc"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

fn too_large(limit: usize) -> Error {
    let bound = format!("a message may have at most {limit} bytes");
    let message = format!("Send less at once: {bound}.");
    Error::new(ErrorReason::MessageTooLarge, message)
        .metadata("limit_bytes", limit.to_string())
        .quota("message", bound)
}

fn less_margin(given: Duration) -> Duration {
    given.saturating_sub((given / 10).min(Duration::from_millis(DEADLINE_MARGIN_MILLIS_MAX)))
}

/// Parses `grpc-timeout`: at most 8 digits and a unit. A malformed one is ignored.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(value * 3_600)),
        'M' => Some(Duration::from_secs(value * 60)),
        'S' => Some(Duration::from_secs(value)),
        'm' => Some(Duration::from_millis(value)),
        'u' => Some(Duration::from_micros(value)),
        'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
