//! The outbox on PostgreSQL.

type Db = sqlx::Postgres;
type Connection = sqlx::PgConnection;

/// The rows of a JSON array bound as `$1`, in columns `value` and `key`.
macro_rules! json_rows {
    () => {
        "jsonb_array_elements($1::jsonb) WITH ORDINALITY AS input (value, key)"
    };
}

/// The position of an event that is being written: none before its change is committed.
macro_rules! position {
    () => {
        "NULL"
    };
}

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// An arbitrary number that no other advisory lock of these services uses.
const PUBLISH_LOCK: i64 = 0x686f_6d65_726f_6f6d;

/// One publication at a time; a later statement sees what the one before it committed.
async fn lock_publication(connection: &mut sqlx::PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(PUBLISH_LOCK)
        .execute(connection)
        .await?;
    Ok(())
}
