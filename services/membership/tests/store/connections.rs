//! Connections that the server ends, and transactions that failed midway.

use std::time::Duration;

use homeroom_kit::{
    database::{Options, connect_postgres},
    outbox::Scope,
};
use homeroom_membership::store;

use crate::support::Database;

#[tokio::test]
async fn a_connection_that_the_server_ended_a_moment_ago_is_replaced() {
    // Given a pool all of whose connections were in use a moment ago,
    let database = Database::postgres().await;
    let options = Options {
        connections_max: 4,
        ..Options::default()
    };
    let pools = connect_postgres(&database.url, options).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(pools.write().await.unwrap());
    }
    for session in sessions {
        session.commit("membership", "test").await.unwrap();
    }

    // when the server ends each,
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.run(end).await;

    // then a writer gets another one at once.
    let session = pools.write().await.unwrap();
    session.commit("membership", "test").await.unwrap();
}

#[tokio::test]
async fn after_a_burst_the_database_is_as_ready_as_before() {
    for database in [Database::postgres().await, Database::sqlite().await] {
        // Given a store whose connections have all just been in use at once,
        let options = Options {
            connections_max: 4,
            acquire_timeout: Duration::from_millis(500),
            ..Options::default()
        };
        let store = store::open(&database.url, options, false).await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(store.events(&Scope::Everything, 0, 1));
        }
        for read in futures::future::join_all(readers).await {
            assert_eq!(read.unwrap(), []);
        }
        // then readiness finds one of them, and everything can be closed.
        store.check_ready().await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_not_committed() {
    let database = Database::postgres().await;
    let pools = connect_postgres(&database.url, Options::default())
        .await
        .unwrap();
    let mut session = pools.write().await.unwrap();
    let failed = sqlx::query("SELECT 1 / 0")
        .execute(session.connection())
        .await;
    assert!(failed.is_err());
    assert!(session.commit("membership", "test").await.is_err());
}
