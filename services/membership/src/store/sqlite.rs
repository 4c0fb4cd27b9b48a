//! The store on SQLite.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Sqlite;
/// Its connection.
pub(crate) type Connection = sqlx::SqliteConnection;
/// A row of its results.
pub(crate) type Row = sqlx::sqlite::SqliteRow;

/// The rows of a JSON array that is bound as a parameter, in a column `value`.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!("json_each(", $parameter, ")")
    };
}

/// The function that makes a JSON object of names and values.
macro_rules! json_object {
    () => {
        "json_object"
    };
}

/// Statements that run one after the other: a round trip costs nothing here.
macro_rules! together {
    ($first:ident, $second:ident, $third:ident, $last:ident) => {
        &[$first!(), $second!(), $third!(), $last!()]
    };
}

/// There is nothing to lock or to wait for: BEGIN IMMEDIATE lets one transaction write at a time. Returns the fences
/// `$1` and those of the organizations `$2` that exist.
pub(crate) const LOCK_ALL: &str = concat!(
    "SELECT wanted.value->>'i' AS invitation, NULL AS organization_id FROM ",
    json_rows!("$1"),
    " AS wanted UNION ALL SELECT NULL, organization_id FROM organization_seats \
     WHERE organization_id IN (SELECT wanted.value->>'o' FROM ",
    json_rows!("$2"),
    " AS wanted)"
);

/// The same statement as [`LOCK_ALL`].
pub(crate) const LOCK_FREE: &str = LOCK_ALL;

#[path = "queries/mod.rs"]
mod queries;

use homeroom_kit::database::connect_sqlite as connect;
pub(super) use queries::open;
pub use queries::statements;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// There is nothing to lock: BEGIN IMMEDIATE lets one transaction write at a time.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1";

/// There is nothing to lock: one transaction writes at a time.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT 1";
