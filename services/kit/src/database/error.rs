//! The meaning of a database failure for the service; the driver's message is only logged.

use std::{io, sync::Arc};

use homeroom_api::common::v1::ErrorReason;

use crate::{failpoints::Injected, status};

/// A database failure, by what can be done about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database does not answer at present; the caller may retry later.
    #[error("the database does not answer: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// The write conflicts with another one: a unique key, a serialization failure or a deadlock. Nothing was written.
    #[error("the write met another one: {0}")]
    Conflict(Arc<sqlx::Error>),
    /// A defect in SQL, schema or data.
    #[error("the database refused: {0}")]
    Other(Arc<sqlx::Error>),
}

impl Error {
    /// Returns the driver's error.
    #[must_use]
    pub fn source_error(&self) -> &sqlx::Error {
        match self {
            Self::Unavailable(source) | Self::Conflict(source) | Self::Other(source) => source,
        }
    }

    /// Returns the name of its kind, for traces.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Conflict(_) => "conflict",
            Self::Other(_) => "other",
        }
    }

    /// Returns true if a unique or primary key holds the value already.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        let refusal = self.source_error().as_database_error();
        refusal.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }

    /// Returns a conflict that the service itself detected.
    #[must_use]
    pub fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict(Arc::new(sqlx::Error::Protocol(what.into())))
    }

    /// Returns the error for a stored value that this version cannot read.
    #[must_use]
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Other(Arc::new(sqlx::Error::Protocol(what.into())))
    }
}

/// Returns true if the failure of a first statement shows that its connection was lost before: the socket is closed, or
/// the server had ended the session.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refusal) => refusal
            .code()
            .is_some_and(|code| ["57P01", "57P02", "57P05", "25P03"].contains(&code.as_ref())),
        _ => false,
    }
}

/// Returns true if a statement failed because a table or column that it names does not exist.
pub(super) fn is_undefined(error: &sqlx::Error) -> bool {
    let Some(refusal) = error.as_database_error() else {
        return false;
    };
    match refusal.code().as_deref() {
        // undefined_table, undefined_column
        Some("42P01" | "42703") => true,
        // SQLITE_ERROR, which also stands for many other errors.
        Some("1") => ["no such table", "no such column"]
            .iter()
            .any(|missing| refusal.message().starts_with(missing)),
        _ => false,
    }
}

impl From<Injected> for Error {
    fn from(injected: Injected) -> Self {
        Self::Unavailable(Arc::new(sqlx::Error::Io(io::Error::other(injected))))
    }
}

/// A kind of [`Error`].
type Kind = fn(Arc<sqlx::Error>) -> Error;

fn kind(error: &sqlx::Error) -> Kind {
    use sqlx::Error as E;
    match error {
        E::Io(_)
        | E::Tls(_)
        | E::PoolTimedOut
        | E::PoolClosed
        | E::WorkerCrashed
        | E::BeginFailed => Error::Unavailable,
        E::Database(refusal) if refusal.is_unique_violation() => Error::Conflict,
        E::Database(refusal) => match refusal.code() {
            Some(code) => kind_of_code(&code),
            None => Error::Other,
        },
        _ => Error::Other,
    }
}

fn kind_of_code(code: &str) -> Kind {
    // SQLite's codes are decimal numbers whose low byte is the primary code; SQLSTATE has five characters.
    if code.len() == 5 {
        return match code {
            // serialization_failure, deadlock_detected
            "40001" | "40P01" => Error::Conflict,
            // lock_not_available, query_canceled, read_only_sql_transaction (a demoted primary),
            // object_in_use, cannot_connect_now and the other ends of a session
            "55P03" | "57014" | "25006" | "55006" | "57P01" | "57P02" | "57P03" | "57P05"
            | "25P03" => Error::Unavailable,
            // connection_exception, insufficient_resources, system_error
            other
                if ["08", "53", "58"]
                    .iter()
                    .any(|class| other.starts_with(class)) =>
            {
                Error::Unavailable
            }
            _ => Error::Other,
        };
    }
    match code.parse::<u32>().map(|extended| extended & 0xff) {
        // SQLITE_BUSY, _LOCKED, _READONLY (opened while its disk was), _IOERR, _FULL, _CANTOPEN
        Ok(5 | 6 | 8 | 10 | 13 | 14) => Error::Unavailable,
        _ => Error::Other,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        kind(&error)(Arc::new(error))
    }
}

impl From<Error> for status::Error {
    /// Logs an outage here, since the caller's answer does not describe it.
    fn from(error: Error) -> Self {
        let retriable = match &error {
            Error::Unavailable(_) => true,
            Error::Conflict(_) => !error.is_unique_violation(),
            Error::Other(_) => false,
        };
        if retriable {
            tracing::warn!(cause = %error, "a database operation can be retried");
            status::Error::unavailable(
                ErrorReason::DatabaseUnavailable,
                "The database does not answer; retry after the delay given.",
            )
        } else {
            status::Error::internal(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: &str) -> &'static str {
        match kind_of_code(code)(Arc::new(sqlx::Error::PoolClosed)) {
            Error::Unavailable(_) => "unavailable",
            Error::Conflict(_) => "conflict",
            Error::Other(_) => "other",
        }
    }

    #[test]
    fn codes_of_both_engines_mean_what_can_be_done() {
        for (code, expected) in [
            ("40001", "conflict"),
            ("40P01", "conflict"),
            ("57P01", "unavailable"),
            ("53300", "unavailable"),
            ("08006", "unavailable"),
            ("25006", "unavailable"),
            ("42P01", "other"),
            ("23502", "other"),
            ("5", "unavailable"),
            ("517", "unavailable"),
            ("8", "unavailable"),
            ("13", "unavailable"),
            ("1", "other"),
            ("275", "other"),
        ] {
            assert_eq!(name(code), expected, "{code}");
        }
    }

    #[test]
    fn callers_learn_whether_to_retry_and_nothing_of_the_driver() {
        let outage: status::Error = Error::from(sqlx::Error::PoolTimedOut).into();
        assert_eq!(outage.reason(), ErrorReason::DatabaseUnavailable);
        assert!(outage.retry_delay().is_some());
        let defect: status::Error =
            Error::from(sqlx::Error::ColumnNotFound("secret_column".into())).into();
        assert_eq!(defect.code(), tonic::Code::Internal);
        assert!(!defect.message().contains("secret_column"));
    }
}
