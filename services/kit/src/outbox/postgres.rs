//! The outbox on PostgreSQL.

use crate::database::Session;

type Db = sqlx::Postgres;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Inserts the events in the message that commits, so that nobody waits for the feed before.
async fn insert(session: &mut Session<Db>, rows: String, now: i64) -> sqlx::Result<()> {
    session.call_at_commit("append_events", &rows, now);
    Ok(())
}
