//! The store on PostgreSQL.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Postgres;
/// Its connection.
pub(crate) type Connection = sqlx::PgConnection;
/// A row of its results.
pub(crate) type Row = sqlx::postgres::PgRow;

/// The rows of a JSON array that is bound as a parameter, in a column `value`.
///
/// PostgreSQL estimates 100 rows for `jsonb_array_elements` whatever it holds, and prefers to read a whole table over
/// looking up 100 rows. A LIMIT that it does not know when it plans is estimated at a tenth of the rows: with two of
/// these, which limit nothing, it estimates one row and looks each row up by an index.
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

/// Joins statements into one that runs in one round trip. The last one counts its rows.
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

/// Locks fences `$1` in shared mode and then organizations `$2`, each in the order of their names, and returns those
/// that it holds. `$3` is the time.
///
/// A missing fence is inserted, since only an existing row can be locked against raising. A fence that another
/// transaction inserted after the statement began is not returned. Each step uses the result of the previous one, so
/// that they run in this order.
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

/// Takes the locks that are free. It waits, briefly, only for a fence that another transaction is inserting; then the
/// statement fails as unavailable.
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
