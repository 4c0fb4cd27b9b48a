//! The outbox on SQLite.

type Db = sqlx::Sqlite;
type Connection = sqlx::SqliteConnection;

/// The rows of a JSON array bound as `$1`, in columns `value` and `key`.
macro_rules! json_rows {
    () => {
        "json_each($1) AS input"
    };
}

/// The position of an event that is being written: the next, since nobody else writes. While an event that an
/// earlier version wrote waits for its position, so do those after it.
macro_rules! position {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM events WHERE position IS NULL) THEN NULL \
         ELSE (SELECT coalesce(max(position), 0) FROM events) + input.key + 1 END"
    };
}

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
