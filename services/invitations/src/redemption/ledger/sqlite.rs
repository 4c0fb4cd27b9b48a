//! The writes of T1 and T3 on SQLite, where a round trip costs nothing.

use sqlx::SqliteConnection;

use super::queries::{
    change_states, change_uses, insert_redemptions, note_requests, uses_of_person,
};
use crate::store::Result;

const INSERT_REDEMPTIONS: &str = insert_redemptions!("$1");
const NOTE_REQUESTS: &str = note_requests!("$1", "$2", "$3");
const CHANGE_STATES: &str = change_states!("$1", "$2");
const CHANGE_USES: &str = change_uses!("$1");

pub(super) const STATEMENTS: &[&str] = &[INSERT_REDEMPTIONS, CHANGE_STATES, CHANGE_USES];

/// Writes redemptions, request ids (with the current time, and the time before which they are forgotten) and uses.
/// Returns the number of each that was written.
pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    redemptions: String,
    (requests, now, forgotten_before): (String, i64, i64),
    uses: String,
) -> Result<[u64; 3]> {
    let inserted = sqlx::query(INSERT_REDEMPTIONS).bind(redemptions);
    let inserted = inserted.execute(&mut *connection).await?;
    let noted = sqlx::query(NOTE_REQUESTS).bind(requests).bind(now);
    let noted = noted
        .bind(forgotten_before)
        .execute(&mut *connection)
        .await?;
    let counted = sqlx::query(CHANGE_USES).bind(uses);
    let counted = counted.execute(connection).await?;
    Ok([inserted, noted, counted].map(|done| done.rows_affected()))
}

/// Moves redemptions, and changes uses if `count` redemptions, all of them, moved. Returns the ids and users of those
/// moved, and the number of changed invitations.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    (changes, count): (String, usize),
    now: i64,
    uses: String,
) -> Result<(Vec<(String, String)>, u64)> {
    let moved = sqlx::query_as(CHANGE_STATES).bind(changes).bind(now);
    let moved = moved.fetch_all(&mut *connection).await?;
    if moved.len() < count {
        return Ok((moved, 0));
    }
    let counted = sqlx::query(CHANGE_USES).bind(uses);
    let counted = counted.execute(connection).await?;
    Ok((moved, counted.rows_affected()))
}
