//! The store on SQLite.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Sqlite;
/// Its connection.
pub(crate) type Connection = sqlx::SqliteConnection;

/// The rows of a JSON array bound as `$1`, in a column `value`.
macro_rules! json_rows {
    () => {
        "json_each($1)"
    };
}

/// Ends a statement that locks its rows together with others that share them.
macro_rules! for_share {
    () => {
        ""
    };
}

/// Ends a statement that locks its rows for itself.
macro_rules! for_update {
    () => {
        ""
    };
}

/// Ends a statement that locks for itself those of its rows that nobody else holds.
macro_rules! for_update_of_free {
    () => {
        ""
    };
}

#[path = "queries/mod.rs"]
mod queries;

pub(crate) use homeroom_kit::database::connect_sqlite as connect;
pub(crate) use queries::sql_store::{SqlStore, migrate, prepare_every_statement};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Nothing to lock: BEGIN IMMEDIATE lets one transaction write at a time.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1";

/// Nothing to wait for: one transaction writes at a time.
pub(crate) const WAIT_BRIEFLY: &str = "SELECT 1";

/// Nothing to lock: one transaction writes at a time.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT 1";
