//! The errors that explain why a database cannot be used: which one, and what to do. They contain no password.

use std::io;

use sqlx::migrate::MigrateError;

use super::Error;

/// The reason why a database cannot be used at start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Nothing answers at the address.
    #[error(
        "{place} does not answer: start it, or correct DATABASE_URL if it is elsewhere{}",
        driver(cause)
    )]
    Silent {
        /// The address.
        place: String,
        /// The driver's error.
        cause: Error,
    },
    /// The server answers, and refuses or is not trusted: a wrong password, no such database, an unknown certificate.
    #[error("{place} cannot be used{}", driver(cause))]
    Refused {
        /// The address.
        place: String,
        /// The driver's error.
        cause: Error,
    },
    /// The database answers, but accepts no writes: a standby, a server that is read-only by default, a full disk, a
    /// file that this user may not write.
    #[error(
        "{place} takes no writes: make room on its disk, let this user write its file and its folder, or let \
         DATABASE_URL lead to the primary, with default_transaction_read_only off{}",
        driver(cause)
    )]
    Unwritable {
        /// The address.
        place: String,
        /// The driver's error.
        cause: Error,
    },
    /// The file cannot be created.
    #[error("{place} cannot be made, since its folder does not exist: make the folder first")]
    NoFolder {
        /// The address.
        place: String,
    },
    /// The database's encoding cannot store every text.
    #[error(
        "{place} has the encoding {encoding}, which cannot keep the names of people everywhere: create it with \
         ENCODING 'UTF8' (and TEMPLATE template0)"
    )]
    Encoding {
        /// The address.
        place: String,
        /// Its encoding.
        encoding: String,
    },
    /// A pooler lends its sessions for one transaction or statement at a time.
    #[error(
        "{place} lies behind a pooler whose sessions on the server change with each transaction, and prepared \
         statements and timeouts belong to a session: let it pool by session (PgBouncer: pool_mode = session), \
         or let DATABASE_URL lead to PostgreSQL itself"
    )]
    SharedSessions {
        /// The address.
        place: String,
    },
    /// The schema is missing or older than this program.
    #[error("{place} is not up to date: has `{command}` been run?")]
    NotMigrated {
        /// The address.
        place: String,
        /// The command that brings it up to date.
        command: &'static str,
    },
    /// The schema belongs to another service.
    #[error(
        "{place} has a schema that is not this service's (version {version} differs): is this another \
         service's database? Each service needs one of its own"
    )]
    Foreign {
        /// The address.
        place: String,
        /// The first version that differs.
        version: i64,
    },
    /// The schema is newer than this program.
    #[error(
        "{place} has the schema version {version}, which this program does not know: is this an older \
         program than the one that migrated it, or another service's database?"
    )]
    Newer {
        /// The address.
        place: String,
        /// The unknown version.
        version: i64,
    },
    /// A migration failed or was cut short.
    #[error("{place} cannot be brought up to date: {cause}")]
    Migration {
        /// The address.
        place: String,
        /// The migrator's message.
        cause: String,
    },
}

fn driver(cause: &Error) -> String {
    match cause.source_error() {
        // This error only says that nothing answered.
        sqlx::Error::PoolTimedOut => String::new(),
        sqlx::Error::Database(error) => format!(" ({})", error.message()),
        error => format!(" ({error})"),
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Silent { cause, .. }
            | OpenError::Refused { cause, .. }
            | OpenError::Unwritable { cause, .. } => cause,
            other => sqlx::Error::Configuration(Box::new(other)).into(),
        }
    }
}

impl OpenError {
    pub(super) fn new(place: &str, cause: impl Into<Error>) -> Self {
        let (place, cause) = (place.to_owned(), cause.into());
        match cause.source_error() {
            // The server's certificate is not trusted.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Refused { place, cause }
            }
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Self::Unwritable { place, cause }
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => Self::Silent { place, cause },
            _ => Self::Refused { place, cause },
        }
    }

    pub(super) fn of_migration(place: &str, error: MigrateError) -> Self {
        let place = place.to_owned();
        match error {
            MigrateError::VersionMismatch(version) => Self::Foreign { place, version },
            MigrateError::VersionMissing(version) => Self::Newer { place, version },
            error => Self::Migration {
                place,
                cause: error.to_string(),
            },
        }
    }
}
