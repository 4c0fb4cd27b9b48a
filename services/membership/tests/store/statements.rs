//! Every statement, as the engine itself parses it.

use homeroom_kit::database::{Engine, Options, connect_postgres, connect_sqlite};
use homeroom_membership::store::statements;
use sqlx::{Executor as _, SqlSafeStr as _};

use crate::support::Database;

#[tokio::test]
async fn every_statement_can_be_prepared_on_sqlite() {
    let database = Database::sqlite().await;
    let pools = connect_sqlite(&database.url, Options::default()).await;
    let pools = pools.unwrap();
    for statement in statements(Engine::Sqlite) {
        let prepared = pools.pool().prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{statement}: {:?}", prepared.err());
    }
    pools.close().await;
    database.end().await;
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_postgres() {
    let database = Database::postgres().await;
    let pools = connect_postgres(&database.url, Options::default()).await;
    let pools = pools.unwrap();
    for statement in statements(Engine::Postgres) {
        let prepared = pools.pool().prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{statement}: {:?}", prepared.err());
    }
    pools.close().await;
    database.end().await;
}
