//! Request ids on PostgreSQL.

type Connection = sqlx::PgConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;

/// Finds bytes within bytes, which each engine calls by its own name.
const FORGET_ANSWERS_WITH: &str = "DELETE FROM request_ids \
    WHERE position($1 in response) > 0 AND position($2 in response) > 0";
