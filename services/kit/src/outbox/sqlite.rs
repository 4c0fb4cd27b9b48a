//! The outbox on SQLite.

type Db = sqlx::Sqlite;
type Connection = sqlx::SqliteConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Nothing to do: BEGIN IMMEDIATE lets one transaction write at a time.
async fn lock_publication(_connection: &mut sqlx::SqliteConnection) -> sqlx::Result<()> {
    Ok(())
}
