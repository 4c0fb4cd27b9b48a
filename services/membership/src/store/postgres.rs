//! The store on PostgreSQL.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Postgres;
/// Its connection.
pub(crate) type Connection = sqlx::PgConnection;
/// A row of its results.
pub(crate) type Row = sqlx::postgres::PgRow;

/// The rows of a JSON array bound as a parameter, in a column `value`.
///
/// PostgreSQL takes `jsonb_array_elements` for 100 rows whatever it holds, and would rather read a whole
/// table than look 100 rows up. It takes a LIMIT that it cannot foresee for a tenth: with two of them, which
/// limit nothing, it counts on one row, and looks each row up by an index.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!(
            "(SELECT value FROM (SELECT value FROM jsonb_array_elements(",
            $parameter,
            "::jsonb) LIMIT (SELECT NULL::bigint)) AS tenth LIMIT (SELECT NULL::bigint))"
        )
    };
}

/// The function that makes a JSON object of names and values.
macro_rules! json_object {
    () => {
        "json_build_object"
    };
}

/// Joins statements into one, to be run in one round trip. The last one counts its rows.
macro_rules! together {
    ($first:ident, $second:ident, $third:ident, $last:ident) => {
        &[concat!(
            "WITH first AS (",
            $first!(),
            "), second AS (",
            $second!(),
            "), third AS (",
            $third!(),
            ") ",
            $last!()
        )]
    };
}

/// Locks fences `$1`, shared, and then organizations `$2`, each in the order of their names, and returns
/// which it holds. `$3` is the time.
///
/// A fence that is missing is made, since only a row can be held against raising. One that another
/// transaction made since the statement began is not returned. Each step asks for the result of the one
/// before it, so that they come in this order.
macro_rules! lock {
    ($first:literal, $skip:literal) => {
        concat!(
            "WITH made AS (INSERT INTO fences (invitation, epoch, update_time) \
             SELECT wanted.value->>'i', 0, $3 FROM ",
            json_rows!("$1"),
            " AS wanted WHERE ",
            $first,
            "NOT EXISTS (SELECT 1 FROM fences WHERE invitation = wanted.value->>'i') \
             ORDER BY 1 ON CONFLICT (invitation) DO NOTHING RETURNING invitation), \
             shared AS (SELECT invitation FROM fences WHERE (SELECT count(*) FROM made) >= 0 \
             AND invitation IN (SELECT wanted.value->>'i' FROM ",
            json_rows!("$1"),
            " AS wanted) ORDER BY invitation FOR SHARE",
            $skip,
            "), locked AS (SELECT organization_id FROM organization_seats \
             WHERE (SELECT count(*) FROM shared) >= 0 \
             AND organization_id IN (SELECT wanted.value->>'o' FROM ",
            json_rows!("$2"),
            " AS wanted) ORDER BY organization_id FOR UPDATE",
            $skip,
            ") SELECT invitation, NULL AS organization_id FROM made \
             UNION ALL SELECT invitation, NULL FROM shared \
             UNION ALL SELECT NULL, organization_id FROM locked"
        )
    };
}

/// Waits for every lock.
pub(crate) const LOCK_ALL: &str = lock!("", "");

/// Takes the locks that nobody else holds. Only a fence that another transaction makes at the same time is
/// waited for, briefly: then the statement fails as unavailable.
pub(crate) const LOCK_FREE: &str = lock!(
    "(SELECT set_config('lock_timeout', '100ms', true)) IS NOT NULL AND ",
    " SKIP LOCKED"
);

#[path = "queries/mod.rs"]
mod queries;

use homeroom_kit::database::connect_postgres as connect;
pub(super) use queries::open;
pub use queries::statements;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Takes the organization's lock until the transaction ends.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1 FOR UPDATE";

/// Lets one organization at a time choose its code prefix, until the transaction ends.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT pg_advisory_xact_lock(4850001)";
