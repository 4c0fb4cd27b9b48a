//! The table of reasons and their gRPC codes.

use std::time::Duration;

use homeroom_api::common::v1::ErrorReason;
use tonic::Code;

/// Returns the code's name in the gRPC specification.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Returns the gRPC code of a reason. This is the only such table, and clients rely on it.
#[must_use]
pub const fn code_of(reason: ErrorReason) -> Code {
    use ErrorReason as R;
    match reason {
        R::Unspecified => Code::Internal,
        R::InvalidRequest
        | R::InvalidFilter
        | R::InvalidPageToken
        | R::CodeMalformed
        | R::EmailMalformed
        | R::DomainTooBroad
        | R::WeakCode => Code::InvalidArgument,
        R::OrganizationNotFound
        | R::ClassNotFound
        | R::MemberNotFound
        | R::JoinRequestNotFound
        | R::TokenNotFound
        | R::CodeNotFound
        | R::RedemptionNotFound
        | R::CodeNotUsable => Code::NotFound,
        R::OrganizationExists
        | R::ClassExists
        | R::MemberExists
        | R::CodeTaken
        | R::RequestIdConflict => Code::AlreadyExists,
        R::NoSeats
        | R::ClassArchived
        | R::OrganizationNotEmpty
        | R::LastOwner
        | R::AlreadyDecided
        | R::DeniedRecently
        | R::NotYetValid
        | R::NoLongerValid
        | R::UsedUp
        | R::EmailUnverified
        | R::EmailDomainNotAllowed
        | R::TokenAssignedToAnother
        | R::SignUpNotGranted
        | R::TooManyRemovals => Code::FailedPrecondition,
        R::EtagMismatch | R::UseInProgress | R::StalePlan => Code::Aborted,
        R::TooManyAttempts | R::MessageTooLarge => Code::ResourceExhausted,
        R::Overloaded | R::MembershipUnavailable | R::DatabaseUnavailable => Code::Unavailable,
        R::PageTokenExpired => Code::OutOfRange,
        R::DeadlineTooShort => Code::DeadlineExceeded,
        R::AccessTokenInvalid | R::AccessTokenExpired => Code::Unauthenticated,
        R::ScopeMissing | R::RoleRequired => Code::PermissionDenied,
    }
}

/// Returns true if the reason says that something else must change first (`FAILED_PRECONDITION`).
#[must_use]
pub const fn is_precondition(reason: ErrorReason) -> bool {
    matches!(code_of(reason), Code::FailedPrecondition)
}

/// Returns the default delay before a retry, for reasons that always carry `RetryInfo`.
#[must_use]
pub const fn default_retry_delay(reason: ErrorReason) -> Option<Duration> {
    use ErrorReason as R;
    match reason {
        // The resource must be read or the import planned again; there is nothing to wait for.
        R::EtagMismatch | R::StalePlan => Some(Duration::ZERO),
        R::UseInProgress | R::MembershipUnavailable | R::DatabaseUnavailable | R::Overloaded => {
            Some(Duration::from_secs(1))
        }
        R::TooManyAttempts => Some(Duration::from_mins(1)),
        _ => None,
    }
}
