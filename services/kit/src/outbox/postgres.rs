//! The outbox on PostgreSQL.

use crate::database::Session;

type Db = sqlx::Postgres;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Has events inserted in the message that commits: until then nobody waits for the feed.
async fn insert(session: &mut Session<Db>, rows: String, now: i64) -> sqlx::Result<()> {
    // In JSON a dollar sign stands in strings alone, where it may be escaped. So none can end the quotation.
    let rows = rows.replace('$', "\\u0024");
    session.at_commit(&format!("SELECT append_events($${rows}$$, {now})"));
    Ok(())
}
