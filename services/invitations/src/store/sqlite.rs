//! The store on SQLite, and the statements that only it has.

pub(crate) type Db = sqlx::Sqlite;

/// Rows passed as one JSON list, as `input.value`.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!("json_each(", $parameter, ") AS input")
    };
}

/// Decodes bytes from their hexadecimal text.
macro_rules! from_hex {
    ($text:literal) => {
        concat!("unhex(", $text, ")")
    };
}

/// Adds nothing: the one writing transaction needs no row locks.
macro_rules! for_update {
    () => {
        ""
    };
}

/// Adds nothing: the one writing transaction has no locked rows to skip.
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
