//! Request ids on SQLite.

type Connection = sqlx::SqliteConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;
