//! The store on PostgreSQL, and the statements that only it has.

pub(crate) type Db = sqlx::Postgres;

/// Rows passed as one JSON list, as `input.value`.
///
/// PostgreSQL takes `jsonb_array_elements` for 100 rows whatever it holds, and would rather read a whole
/// table than look 100 rows up. It takes a LIMIT that it cannot foresee for a tenth: with two of them, which
/// limit nothing, it counts on one row, looks each row up by an index, and keeps the plan.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!(
            "(SELECT value FROM (SELECT value FROM jsonb_array_elements(",
            $parameter,
            "::jsonb) LIMIT (SELECT NULL::bigint)) AS tenth LIMIT (SELECT NULL::bigint)) AS input(value)"
        )
    };
}

/// Bytes from their hexadecimal text.
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

/// Locks the rows that a statement selects, passing over those that another has locked.
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
