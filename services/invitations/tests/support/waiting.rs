//! Observes from outside that a transaction waits for another one's lock.

use std::time::Duration;

use homeroom_kit::database::Url;
use sqlx::{Connection as _, PgConnection};

use crate::databases::Database;

/// The maximum time that a test waits for an effect, in seconds.
const SECONDS_MAX: u64 = 20;

impl Database {
    /// Returns the address of a PostgreSQL database.
    pub(crate) fn postgres_url(&self) -> &str {
        let Url::Postgres(url) = &self.url else {
            panic!("SQLite has one writer: nobody waits for a row");
        };
        url
    }

    /// Returns the tables that a session which waits for another one has touched, once there is one. It returns none
    /// for SQLite, which has one writer.
    pub(crate) async fn tables_of_who_waits(&self) -> Vec<String> {
        if matches!(self.url, Url::Sqlite(_)) {
            return Vec::new();
        }
        until_a_session_waits(self).await;
        let mut connection = PgConnection::connect(self.postgres_url()).await.unwrap();
        let held = "SELECT DISTINCT class.relname::text FROM pg_locks lock \
            JOIN pg_class class ON class.oid = lock.relation \
            JOIN pg_stat_activity session ON session.pid = lock.pid \
            WHERE session.datname = current_database() AND session.wait_event_type = 'Lock' \
            AND class.relkind = 'r' ORDER BY 1";
        let tables = sqlx::query_scalar(held).fetch_all(&mut connection);
        tables.await.unwrap()
    }
}

/// Waits until a session of a PostgreSQL database waits for a lock.
pub(crate) async fn until_a_session_waits(database: &Database) {
    let mut connection = PgConnection::connect(database.postgres_url())
        .await
        .unwrap();
    let waiting = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if waiting > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(SECONDS_MAX), waiting)
        .await
        .expect("a session waits for a lock");
}
