//! The one place where a failure becomes a gRPC status.
//!
//! [`Error`] carries one [`ErrorReason`] and its details; [`code_of`] determines the code. Internal
//! failures keep their cause for the log and tell the caller nothing of it.

mod reasons;
mod row;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use homeroom_api::common::v1::ErrorReason;
pub use reasons::{code_name, code_of, default_retry_delay, is_precondition};
use tonic::{Code, Status};
pub use tonic_types::FieldViolation;
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

/// The domain of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "homeroom";
/// Maximum number of bytes of an encoded `google.rpc.Status`. It travels in base64 in the headers of a refusal, together
/// with the message. By default nginx 1.22 takes 4 KiB of them and grpcio 8 KiB; in place of larger ones their callers get
/// `UNAVAILABLE` and `RESOURCE_EXHAUSTED`.
pub const STATUS_BYTES_MAX: usize = 2_700;

/// The message of an internal failure to the caller.
const INTERNAL_MESSAGE: &str = "An internal error occurred; retry later, and give the request id to the operator if it persists.";

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, Default)]
struct Parts {
    reason: Option<ErrorReason>,
    message: String,
    metadata: BTreeMap<String, String>,
    /// Every other detail.
    details: ErrorDetails,
    /// The number of `BadRequest` violations that are not described.
    more: usize,
    cause: Option<Arc<str>>,
}

/// The reason why a call failed.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

impl Error {
    /// Returns a failure for `reason`. `message` is one English sentence that says what to do next,
    /// without secrets.
    #[must_use]
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            reason: Some(reason),
            message: message.into(),
            ..Parts::default()
        }))
    }

    /// Returns a temporary failure of a dependency: [`Error::new`] with the reason's usual delay.
    #[must_use]
    pub fn unavailable(reason: ErrorReason, message: impl Into<String>) -> Self {
        let error = Self::new(reason, message);
        let delay = default_retry_delay(reason).unwrap_or(Duration::from_secs(1));
        error.retry_after(delay)
    }

    /// Returns `OVERLOADED` for work that is not begun.
    #[must_use]
    pub fn overloaded() -> Self {
        let message = "The service is busy; retry after the given delay.";
        Self::unavailable(ErrorReason::Overloaded, message)
    }

    /// Returns a defect or an unforeseen failure; `cause` is for the log alone.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self(Box::new(Parts {
            message: INTERNAL_MESSAGE.to_owned(),
            cause: Some(cause.to_string().into()),
            ..Parts::default()
        }))
    }

    /// Adds data for programs to `ErrorInfo.metadata`.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a `BadRequest` violation.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        let details = &mut self.0.details;
        details.add_bad_request_violation(field, description);
        self
    }

    /// Sets the `BadRequest` violations, and how many there are besides.
    #[must_use]
    pub fn violations(mut self, described: Vec<FieldViolation>, more: usize) -> Self {
        self.0.details.set_bad_request(described);
        self.0.more = more;
        self
    }

    /// Adds a `PreconditionFailure` violation.
    #[must_use]
    pub fn precondition(
        mut self,
        kind: impl Into<String>,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let details = &mut self.0.details;
        details.add_precondition_failure_violation(kind, subject, description);
        self
    }

    /// Adds a `QuotaFailure` violation.
    #[must_use]
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        let details = &mut self.0.details;
        details.add_quota_failure_violation(subject, description);
        self
    }

    /// Sets the delay before a retry.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.details.set_retry_info(Some(delay));
        self
    }

    /// Adds the name of the resource that the failure concerns.
    #[must_use]
    pub fn resource(mut self, kind: impl Into<String>, name: impl Into<String>) -> Self {
        self.0.details.set_resource_info(kind, name, "", "");
        self
    }

    /// Returns the reason; `ERROR_REASON_UNSPECIFIED` for internal failures.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        self.0.reason.unwrap_or(ErrorReason::Unspecified)
    }

    /// Returns the gRPC code of this failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.reason.map_or(Code::Internal, code_of)
    }

    /// Returns the sentence for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the fields that violate their bounds.
    #[must_use]
    pub fn field_violations(&self) -> &[FieldViolation] {
        let violations = self.0.details.bad_request();
        violations.map_or(&[], |found| &found.field_violations)
    }

    /// Returns the length of the longer list of violations.
    fn longest_list(&self) -> usize {
        let failed = self.0.details.precondition_failure();
        let failed = failed.map_or(0, |found| found.violations.len());
        self.field_violations().len().max(failed)
    }

    /// Returns the delay before a retry: the one that was set, otherwise the reason's default.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        let set = self.0.details.retry_info();
        set.and_then(|set| set.retry_delay)
            .or_else(|| self.0.reason.and_then(default_retry_delay))
    }

    /// Returns the internal cause, for the log and never for a caller.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Reads the error of another Homeroom service back. Returns `None` if it is not one of our
    /// reasons.
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.check_error_details().ok()?;
        let info = details
            .error_info()
            .filter(|info| info.domain == ERROR_DOMAIN)?;
        let reason = ErrorReason::from_str_name(&info.reason)?;
        let mut error = Self::new(reason, status.message());
        error.0.metadata.extend(info.metadata.clone());
        error.0.details = details;
        Some(error)
    }

    /// Returns the details; of each list of violations without the last `left_out`, which are counted instead.
    fn details(&self, left_out: usize) -> ErrorDetails {
        let mut details = self.0.details.clone();
        if let Some(bad) = self.0.details.bad_request() {
            let counted = |more: String| FieldViolation::new("", more);
            let told = shortened(&bad.field_violations, left_out, self.0.more, counted);
            details.set_bad_request(told);
        }
        if let Some(failed) = self.0.details.precondition_failure() {
            let counted = |more: String| PreconditionViolation::new("", "", more);
            let told = shortened(&failed.violations, left_out, 0, counted);
            details.set_precondition_failure(told);
        }
        if let Some(reason) = self.0.reason {
            let metadata = self
                .0
                .metadata
                .clone()
                .into_iter()
                .collect::<HashMap<_, _>>();
            details.set_error_info(reason.as_str_name(), ERROR_DOMAIN, metadata);
        }
        if let Some(delay) = self.retry_delay() {
            details.set_retry_info(Some(delay));
        }
        details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.reason, &self.0.cause) {
            (Some(reason), _) => write!(formatter, "{}: {}", reason.as_str_name(), self.0.message),
            (None, Some(cause)) => write!(formatter, "internal: {cause}"),
            (None, None) => formatter.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {}

/// Returns the violations without the last `left_out`, and one that counts those and `more`.
fn shortened<V: Clone>(
    all: &[V],
    left_out: usize,
    more: usize,
    counted: impl FnOnce(String) -> V,
) -> Vec<V> {
    let kept = all.len().saturating_sub(left_out);
    let more = all.len() - kept + more;
    let counted = (more > 0).then(|| counted(format!("and {more} more")));
    all.iter().take(kept).cloned().chain(counted).collect()
}

impl From<Error> for Status {
    /// Makes the status, with as many violations as fit into [`STATUS_BYTES_MAX`]; there is no other way to one. An
    /// internal failure is logged here, once, because this conversion handles it.
    fn from(error: Error) -> Self {
        if let Some(cause) = error.cause() {
            tracing::error!(
                cause,
                reason = error.reason().as_str_name(),
                "a call failed inside"
            );
        }
        let (code, message) = (error.code(), error.message());
        let without = |left_out| Status::with_error_details(code, message, error.details(left_out));
        let fits = |status: &Status| status.details().len() <= STATUS_BYTES_MAX;
        let whole = without(0);
        if fits(&whole) {
            return whole;
        }
        // Each status is shorter than the one before it, so the first that fits is found by halves.
        let counts: Vec<usize> = (1..=error.longest_list()).collect();
        let too_long = counts.partition_point(|left_out| !fits(&without(*left_out)));
        let first = counts.get(too_long).copied().map(without);
        first.unwrap_or_else(|| Status::new(code, message))
    }
}

#[cfg(test)]
mod tests;
