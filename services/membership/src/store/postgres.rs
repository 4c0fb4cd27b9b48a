//! The store on PostgreSQL.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Postgres;
/// Its connection.
pub(crate) type Connection = sqlx::PgConnection;

/// The rows of a JSON array bound as `$1`, in a column `value`.
macro_rules! json_rows {
    () => {
        "jsonb_array_elements($1::jsonb)"
    };
}

/// Ends a statement that locks its rows together with others that share them.
macro_rules! for_share {
    () => {
        " FOR SHARE"
    };
}

/// Ends a statement that locks its rows for itself.
macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}

/// Ends a statement that locks for itself those of its rows that nobody else holds.
macro_rules! for_update_of_free {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}

#[path = "queries/mod.rs"]
mod queries;

pub(crate) use homeroom_kit::database::connect_postgres as connect;
pub(crate) use queries::sql_store::{SqlStore, migrate, prepare_every_statement};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Takes the organization's lock until the transaction ends.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1 FOR UPDATE";

/// From here on the transaction waits for no lock longer than this; then it fails as unavailable.
pub(crate) const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '100ms'";

/// Lets one organization at a time choose its code prefix, until the transaction ends.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT pg_advisory_xact_lock(4850001)";
