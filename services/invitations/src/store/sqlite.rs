//! The store on SQLite, and the statements that only it has.

pub(crate) type Db = sqlx::Sqlite;

/// Rows passed as one JSON list, as `input.value`.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!("json_each(", $parameter, ") AS input")
    };
}

/// Bytes from their hexadecimal text.
macro_rules! from_hex {
    ($text:literal) => {
        concat!("unhex(", $text, ")")
    };
}

/// Nothing to lock: a transaction that writes is the only one.
macro_rules! for_update {
    () => {
        ""
    };
}

/// Nothing to pass over: a transaction that writes is the only one.
macro_rules! skip_locked {
    () => {
        ""
    };
}

#[path = "queries/mod.rs"]
mod queries;
#[path = "../redemption/ledger/sqlite.rs"]
mod writes;

use sqlx::migrate::Migrator;

use homeroom_kit::database::connect_sqlite as connect;
pub(super) use queries::open;
pub use queries::statements;

/// The schema, version by version.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations/sqlite");
