//! Detection, from outside, of a transaction that waits for another one's lock.

use std::time::Duration;

use homeroom_kit::database::Url;
use sqlx::{Connection as _, PgConnection};

use crate::support::Database;

/// The longest time that a test waits for an expected condition, in seconds.
const SECONDS_MAX: u64 = 20;

/// Waits until `count` sessions of a PostgreSQL database wait for locks.
#[expect(clippy::panic, reason = "a test without its database fails")]
pub(crate) async fn until_sessions_wait(database: &Database, count: i64) {
    let Url::Postgres(url) = &database.url else {
        panic!("SQLite has one writer: nobody waits for a row");
    };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let waiting = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if waiting >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(SECONDS_MAX), waiting)
        .await
        .unwrap();
}
