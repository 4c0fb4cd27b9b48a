//! The steps of every call before authentication, outermost first: request id, trace, answer,
//! deadline.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use homeroom_api::common::v1::ErrorReason;
use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::{
    Deadline, MESSAGE_BYTES_MAX, OPEN_MESSAGE_BYTES_MAX, RequestId, is_open_path,
    middleware::{Inner, Middleware, Request, Response, refuse},
};
use crate::{clock::SharedClock, random, random::SharedRandomness, status::Error, trace};

/// The metadata key of the request's id, in both directions.
pub const REQUEST_ID_METADATA: &str = "x-request-id";
/// The most characters of a caller's request id.
pub const REQUEST_ID_CHARS_MAX: usize = 128;
/// The most seconds of a call, up to its first answer, if the caller sets no deadline or a longer
/// one.
pub const CALL_SECONDS_MAX: u64 = 60;
/// The most milliseconds by which the answer precedes the caller's deadline.
const DEADLINE_MARGIN_MILLIS_MAX: u64 = 10;
/// The bytes of a call's path that are logged: longer than any method, while an unauthenticated
/// caller may send thousands.
const METHOD_LOGGED_BYTES_MAX: usize = 128;

/// Uses the caller's request id, or creates one.
#[derive(Debug, Clone)]
pub(super) struct RequestIdStep {
    pub(super) clock: SharedClock,
    pub(super) random: SharedRandomness,
}

impl Middleware for RequestIdStep {
    async fn handle<S: Inner>(&self, mut request: Request, inner: S) -> Response {
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
        let header = HeaderValue::try_from(id.as_str());
        request.extensions_mut().insert(RequestId(id));
        let mut response = inner.answer(request).await;
        if let Ok(header) = header {
            response.headers_mut().insert(REQUEST_ID_METADATA, header);
        }
        response
    }
}

/// Opens a span for the call, keeps its trace context, and logs how it ended.
#[derive(Debug, Clone)]
pub(super) struct TraceStep;

impl Middleware for TraceStep {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        let method = logged_method(request.uri().path()).to_owned();
        let parent = trace::parent_of(request.headers()).map(str::to_owned);
        let span = tracing::info_span!(
            "call",
            method,
            request_id = request
                .extensions()
                .get::<RequestId>()
                .map(|id| id.0.as_str()),
            trace_id = parent.as_deref().and_then(trace::id_of),
            subject = tracing::field::Empty,
            user = tracing::field::Empty,
        );
        let answered = async move {
            let begun = Instant::now();
            let response = inner.answer(request).await;
            let code = Status::from_header_map(response.headers())
                .map_or(Code::Ok, |status| status.code());
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            match code {
                Code::Ok => tracing::debug!(micros, "answered"),
                code => tracing::info!(micros, ?code, "answered"),
            }
            response
        };
        trace::within(parent, answered.instrument(span)).await
    }
}

/// Returns the part of a path that is logged.
fn logged_method(path: &str) -> &str {
    let (shown, _) = path.split_at(path.floor_char_boundary(METHOD_LOGGED_BYTES_MAX));
    shown
}

/// Gives the answers of tonic and of panics the reasons of the contract.
#[derive(Debug, Clone)]
pub(super) struct AnswerStep;

impl Middleware for AnswerStep {
    async fn handle<S: Inner>(&self, request: Request, inner: S) -> Response {
        let limit = if is_open_path(request.uri().path()) {
            OPEN_MESSAGE_BYTES_MAX
        } else {
            MESSAGE_BYTES_MAX
        };
        let answered = AssertUnwindSafe(inner.answer(request)).catch_unwind().await;
        let response = answered.unwrap_or_else(|payload| {
            let what = payload
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            refuse(Error::internal(format!("a panic: {what}")))
        });
        let status = Status::from_header_map(response.headers());
        match status.and_then(|status| translated(&status, limit)) {
            Some(error) => refuse(error),
            None => response,
        }
    }
}

/// Returns the reason for a status that tonic made by itself, if the caller can correct the error.
fn translated(status: &Status, limit: usize) -> Option<Error> {
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        Code::OutOfRange => Some(too_large(limit)),
        Code::ResourceExhausted if status.message().contains("decompressing") => {
            Some(too_large(limit))
        }
        Code::Internal if status.message().starts_with("failed to decode Protobuf") => {
            Some(Error::new(
                ErrorReason::InvalidRequest,
                "Send the message that this method takes: the one sent does not decode.",
            ))
        }
        _ => None,
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(
        ErrorReason::MessageTooLarge,
        format!("Send less at once: a message may have {limit} bytes."),
    )
    .metadata("limit_bytes", limit.to_string())
    .quota("message", format!("a message may have {limit} bytes"))
}

/// Answers `DEADLINE_EXCEEDED` just before the caller stops waiting. tonic itself would answer
/// CANCELLED.
#[derive(Debug, Clone)]
pub(super) struct DeadlineStep;

impl Middleware for DeadlineStep {
    async fn handle<S: Inner>(&self, mut request: Request, inner: S) -> Response {
        let given = timeout(request.headers());
        if let Some(deadline) = given.and_then(|given| Instant::now().checked_add(given)) {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let longest = Duration::from_secs(CALL_SECONDS_MAX);
        let allowed = given.map_or(longest, |given| less_margin(given).min(longest));
        tokio::time::timeout(allowed, inner.answer(request))
            .await
            .unwrap_or_else(|_| {
                refuse(Error::new(
                    ErrorReason::DeadlineTooShort,
                    "Retry with a longer deadline; with the same request_id a change is made once.",
                ))
            })
    }
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
