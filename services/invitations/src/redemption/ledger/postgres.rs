//! The writes of T1 and T3 on PostgreSQL, one statement each. They are the exception to one SQL text for both engines,
//! because each round trip adds to the time of every answer.

use sqlx::PgConnection;

use super::queries::{
    change_states, change_uses, insert_redemptions, note_requests, uses_of_person,
};
use crate::store::Result;

const RESERVE: &str = concat!(
    "WITH inserted AS (",
    insert_redemptions!("$1"),
    " RETURNING 1), noted AS (",
    note_requests!("$2", "$3", "$4"),
    " RETURNING 1), counted AS (",
    change_uses!("$5"),
    " RETURNING 1) SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM noted), \
     (SELECT count(*) FROM counted)"
);

const SETTLE: &str = concat!(
    "WITH moved AS (",
    change_states!("$1", "$2"),
    "), counted AS (",
    change_uses!("$3"),
    // Otherwise a count could fall below zero before it is noticed that nothing moved.
    " AND (SELECT count(*) FROM moved) = $4 \
     RETURNING 1) SELECT redemption_id, user_id, (SELECT count(*) FROM counted) FROM moved"
);

pub(super) const STATEMENTS: &[&str] = &[RESERVE, SETTLE];

/// Writes redemptions, request ids (with the current time, and the time before which they are forgotten) and uses.
/// Returns the number of each that was written.
pub(super) async fn reserve(
    connection: &mut PgConnection,
    redemptions: String,
    (requests, now, forgotten_before): (String, i64, i64),
    uses: String,
) -> Result<[u64; 3]> {
    let counts: (i64, i64, i64) = sqlx::query_as(RESERVE)
        .bind(redemptions)
        .bind(requests)
        .bind(now)
        .bind(forgotten_before)
        .bind(uses)
        .fetch_one(connection)
        .await?;
    Ok([counts.0, counts.1, counts.2].map(i64::unsigned_abs))
}

/// Moves redemptions, and changes uses if `count` redemptions, all of them, moved. Returns the ids and users of those
/// moved, and the number of changed invitations.
pub(super) async fn settle(
    connection: &mut PgConnection,
    (changes, count): (String, usize),
    now: i64,
    uses: String,
) -> Result<(Vec<(String, String)>, u64)> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(SETTLE)
        .bind(changes)
        .bind(now)
        .bind(uses)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let counted = rows
        .first()
        .map_or(0, |(.., counted)| counted.unsigned_abs());
    let moved = rows.into_iter().map(|(id, user, _)| (id, user));
    Ok((moved.collect(), counted))
}
