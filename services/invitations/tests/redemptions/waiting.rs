//! Seen from outside: that a transaction waits for another one's lock.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::database::TestDatabase;

/// How long a test waits for what must happen, in seconds.
const SECONDS_MAX: u64 = 20;

/// Waits until a session of a PostgreSQL database waits for a lock.
pub(crate) async fn until_a_session_waits(database: &TestDatabase) {
    let mut connection = PgConnection::connect(&database.postgres_url())
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
