//! Request ids on SQLite.

type Connection = sqlx::SqliteConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Deletes answers that contain given bytes; each engine has its own function for this.
const FORGET_ANSWERS_WITH: &str = "DELETE FROM request_ids \
    WHERE instr(response, $1) > 0 AND instr(response, $2) > 0";
