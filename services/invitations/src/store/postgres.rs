//! The store on PostgreSQL, and the statements that only it has.

pub(crate) type Db = sqlx::Postgres;

/// Rows passed as one JSON list, as `input.value`.
///
/// PostgreSQL estimates 100 rows for `jsonb_array_elements` whatever the list holds, and prefers scanning a whole table
/// to 100 look-ups. It estimates that a LIMIT of unknown value keeps a tenth of the rows: with two of them, which limit
/// nothing, it estimates one row, looks each row up by an index, and keeps the plan.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!(
            "(SELECT value FROM (SELECT value FROM jsonb_array_elements(",
            $parameter,
            "::jsonb) LIMIT (SELECT NULL::bigint)) AS tenth LIMIT (SELECT NULL::bigint)) AS input(value)"
        )
    };
}

/// Decodes bytes from their hexadecimal text.
macro_rules! from_hex {
    ($text:literal) => {
        concat!("decode(", $text, ", 'hex')")
    };
}

/// Locks the rows that a statement selects.
macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}

/// Locks the rows that a statement selects, skipping those that another transaction has locked.
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}

#[path = "queries/mod.rs"]
mod queries;
#[path = "../redemption/ledger/postgres.rs"]
mod writes;

use sqlx::migrate::Migrator;

use homeroom_kit::database::connect_postgres as connect;
pub(super) use queries::open;
pub use queries::statements;

/// The schema, version by version.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations/postgres");
