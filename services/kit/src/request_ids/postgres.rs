//! Request ids on PostgreSQL.

type Connection = sqlx::PgConnection;

#[expect(
    clippy::duplicate_mod,
    reason = "one SQL text, compiled for each engine"
)]
#[path = "queries.rs"]
mod queries;
