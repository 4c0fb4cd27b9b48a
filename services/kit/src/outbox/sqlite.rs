//! The outbox on SQLite.

use crate::database::Session;

type Db = sqlx::Sqlite;

/// Inserts any number of events. No other transaction writes meanwhile.
const INSERT: &str = "INSERT INTO events (position, event_id, event_type, organization_id, class_id, \
    subject, actor, notify, data, create_time) SELECT \
    (SELECT coalesce(max(position), 0) FROM events) + input.key + 1, input.value->>'id', \
    input.value->>'type', input.value->>'organization', input.value->>'class', \
    input.value->>'subject', input.value->>'actor', input.value->>'notify', input.value->>'data', \
    $2 FROM json_each($1) AS input ORDER BY input.key";

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Inserts events in the given order.
async fn insert(session: &mut Session<Db>, rows: String, now: i64) -> sqlx::Result<()> {
    sqlx::query(INSERT)
        .bind(rows)
        .bind(now)
        .execute(session.connection())
        .await?;
    Ok(())
}
