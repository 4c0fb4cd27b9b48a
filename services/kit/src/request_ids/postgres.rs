//! Request ids on PostgreSQL.

type Connection = sqlx::PgConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Deletes answers that contain given bytes; each engine has its own function for this.
const FORGET_ANSWERS_WITH: &str = "DELETE FROM request_ids \
    WHERE position($1 in response) > 0 AND position($2 in response) > 0";
