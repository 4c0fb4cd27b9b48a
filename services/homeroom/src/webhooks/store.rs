//! What is to be delivered, in a SQLite file of the relay. An event and the position after it are written in one
//! transaction; with `synchronous = NORMAL` a loss of power may undo the last transactions, and then their pages are
//! read again.

use std::{path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::clock::{from_micros, micros};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{feed::Feed, lanes::Head};
use crate::Failure;

/// The name of the file.
pub(crate) const WEBHOOKS_DATABASE_FILE: &str = "webhooks.db";
/// The longest wait for another process, such as `homeroom webhooks redeliver`, in seconds.
const LOCK_SECONDS_MAX: u64 = 10;
/// The days for which a dead letter is kept.
const DEAD_LETTER_DAYS_MAX: i64 = 30;
/// The most dead letters of an endpoint; the oldest are deleted.
pub(crate) const DEAD_LETTERS_MAX: u32 = 10_000;
/// The time by which events may be out of order, in seconds: a feed that is read from its beginning again is not
/// delivered up to this time before the last event that was read.
const REREAD_SECONDS: i64 = 3_600;

/// A feed as it is read for an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) feed: Feed,
    pub(crate) parent: &'a str,
}

/// Where the reading of a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) page_token: String,
    /// Events of an earlier time are not delivered.
    pub(crate) since: DateTime<Utc>,
}

/// An event to be delivered.
#[derive(Debug, Clone)]
pub(crate) struct NewDelivery {
    pub(crate) lane: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) body: String,
}

/// A delivery.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Delivery {
    pub(crate) id: i64,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) body: String,
    pub(crate) failed_attempts: u32,
    next_attempt_time: i64,
}

impl Delivery {
    pub(crate) fn next_attempt_time(&self) -> DateTime<Utc> {
        from_micros(self.next_attempt_time)
    }
}

/// A delivery that was given up.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct DeadLetter {
    pub(crate) delivery_id: i64,
    pub(crate) endpoint_id: String,
    pub(crate) lane: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) body: String,
    pub(crate) failed_attempts: u32,
    pub(crate) cause: String,
    dead_time: i64,
}

impl DeadLetter {
    pub(crate) fn dead_time(&self) -> DateTime<Utc> {
        from_micros(self.dead_time)
    }
}

/// The relay's database. One connection serves everyone in a process.
#[derive(Debug, Clone)]
pub(crate) struct Store(SqlitePool);

impl Store {
    /// Opens the existing file, and brings its schema up to date.
    pub(crate) async fn open(folder: &Path) -> Result<Self, Failure> {
        let file = folder.join(WEBHOOKS_DATABASE_FILE);
        let shown = file.display();
        if !file.exists() {
            return Err(format!("{shown} does not exist: `homeroom webhooks run` makes it").into());
        }
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(LOCK_SECONDS_MAX));
        let pool = SqlitePoolOptions::new().max_connections(1);
        let cannot = |error: sqlx::Error| format!("{shown} cannot be used: {error}");
        let pool = pool.connect_with(options).await.map_err(cannot)?;
        let migrated = sqlx::migrate!().run(&pool).await;
        migrated.map_err(|error| format!("{shown} cannot be used: {error}"))?;
        Ok(Self(pool))
    }

    /// Returns the position of a source. A new one begins with the events of the time `since`.
    pub(crate) async fn position(
        &self,
        source: Source<'_>,
        since: DateTime<Utc>,
    ) -> sqlx::Result<Position> {
        let found = sqlx::query_as::<_, (String, i64)>(
            "SELECT page_token, since_time FROM positions WHERE endpoint_id = $1 AND feed = $2 AND parent = $3",
        )
        .bind(source.endpoint)
        .bind(source.feed.as_str())
        .bind(source.parent)
        .fetch_optional(&self.0)
        .await?;
        if let Some((page_token, since)) = found {
            let since = from_micros(since);
            return Ok(Position { page_token, since });
        }
        sqlx::query(
            "INSERT INTO positions (endpoint_id, feed, parent, page_token, since_time, last_time) \
             VALUES ($1, $2, $3, '', $4, $4)",
        )
        .bind(source.endpoint)
        .bind(source.feed.as_str())
        .bind(source.parent)
        .bind(micros(since))
        .execute(&self.0)
        .await?;
        let page_token = String::new();
        Ok(Position { page_token, since })
    }

    /// Returns the number of deliveries from a feed that wait; None if the endpoint is disabled.
    pub(crate) async fn waiting(&self, endpoint: &str, feed: Feed) -> sqlx::Result<Option<usize>> {
        let waiting: Option<i64> = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM deliveries WHERE endpoint_id = $1 AND feed = $2 AND dead_time IS NULL) \
             WHERE NOT EXISTS (SELECT 1 FROM disabled_endpoints WHERE endpoint_id = $1)",
        )
        .bind(endpoint)
        .bind(feed.as_str())
        .fetch_optional(&self.0)
        .await?;
        Ok(waiting.map(|count| usize::try_from(count).unwrap_or(0)))
    }

    /// Records deliveries, and moves the position behind the page that they come from. `last` is the time of its last
    /// event.
    pub(crate) async fn record(
        &self,
        source: Source<'_>,
        page_token: &str,
        last: DateTime<Utc>,
        deliveries: &[NewDelivery],
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        for delivery in deliveries {
            sqlx::query(
                "INSERT INTO deliveries (endpoint_id, feed, lane, event_id, event_type, body, failed_attempts, \
                 next_attempt_time, cause) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, '') ON CONFLICT DO NOTHING",
            )
            .bind(source.endpoint)
            .bind(source.feed.as_str())
            .bind(&delivery.lane)
            .bind(&delivery.event_id)
            .bind(&delivery.event_type)
            .bind(&delivery.body)
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "UPDATE positions SET page_token = $4, last_time = MAX(last_time, $5) \
             WHERE endpoint_id = $1 AND feed = $2 AND parent = $3",
        )
        .bind(source.endpoint)
        .bind(source.feed.as_str())
        .bind(source.parent)
        .bind(page_token)
        .bind(micros(last))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Lets a source be read from its beginning; what was read before is not delivered again, but for the last hour.
    pub(crate) async fn read_again(&self, source: Source<'_>) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE positions SET page_token = '', since_time = MAX(since_time, last_time - $4) \
             WHERE endpoint_id = $1 AND feed = $2 AND parent = $3",
        )
        .bind(source.endpoint)
        .bind(source.feed.as_str())
        .bind(source.parent)
        .bind(REREAD_SECONDS * 1_000_000)
        .execute(&self.0)
        .await
        .map(drop)
    }

    /// Returns the oldest delivery of each lane of an endpoint, unless it is disabled.
    pub(crate) async fn heads(&self, endpoint: &str) -> sqlx::Result<Vec<Head>> {
        // SQLite takes the other columns from the row of the minimum.
        let heads = sqlx::query_as::<_, (String, i64, i64)>(
            "SELECT lane, MIN(delivery_id), next_attempt_time FROM deliveries \
             WHERE endpoint_id = $1 AND dead_time IS NULL \
             AND NOT EXISTS (SELECT 1 FROM disabled_endpoints WHERE endpoint_id = $1) GROUP BY lane",
        )
        .bind(endpoint)
        .fetch_all(&self.0)
        .await?;
        let heads = heads.into_iter().map(|(lane, delivery_id, next)| Head {
            lane,
            delivery_id,
            next_attempt_time: from_micros(next),
        });
        Ok(heads.collect())
    }

    /// Returns the oldest delivery of a lane, unless the endpoint is disabled.
    pub(crate) async fn head(&self, endpoint: &str, lane: &str) -> sqlx::Result<Option<Delivery>> {
        sqlx::query_as(
            "SELECT delivery_id AS id, event_id, event_type, body, failed_attempts, next_attempt_time FROM deliveries \
             WHERE endpoint_id = $1 AND lane = $2 AND dead_time IS NULL \
             AND NOT EXISTS (SELECT 1 FROM disabled_endpoints WHERE endpoint_id = $1) \
             ORDER BY delivery_id LIMIT 1",
        )
        .bind(endpoint)
        .bind(lane)
        .fetch_optional(&self.0)
        .await
    }

    /// Forgets a delivery.
    pub(crate) async fn forget(&self, delivery_id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM deliveries WHERE delivery_id = $1")
            .bind(delivery_id)
            .execute(&self.0)
            .await
            .map(drop)
    }

    /// Records a failed attempt, and when the next one is due; None gives the delivery up. Does nothing if the delivery
    /// was queued again meanwhile. Returns the number of older dead letters that were deleted for a new one.
    pub(crate) async fn fail(
        &self,
        endpoint: &str,
        delivery: &Delivery,
        cause: &str,
        next: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<u64> {
        let dead_time = if next.is_none() {
            Some(micros(now))
        } else {
            None
        };
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE deliveries SET failed_attempts = failed_attempts + 1, cause = $3, next_attempt_time = $4, \
             dead_time = $5 WHERE delivery_id = $1 AND failed_attempts = $2",
        )
        .bind(delivery.id)
        .bind(delivery.failed_attempts)
        .bind(cause)
        .bind(micros(next.unwrap_or(now)))
        .bind(dead_time)
        .execute(&mut *transaction)
        .await?;
        let mut deleted = 0;
        if dead_time.is_some() {
            deleted = sqlx::query(
                "DELETE FROM deliveries WHERE delivery_id IN (SELECT delivery_id FROM deliveries \
                 WHERE endpoint_id = $1 AND dead_time IS NOT NULL ORDER BY delivery_id DESC LIMIT -1 OFFSET $2)",
            )
            .bind(endpoint)
            .bind(DEAD_LETTERS_MAX)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        }
        transaction.commit().await?;
        Ok(deleted)
    }

    /// Delivers nothing more to an endpoint until it is enabled.
    pub(crate) async fn disable(&self, endpoint: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO disabled_endpoints VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(endpoint)
            .bind(micros(now))
            .execute(&self.0)
            .await
            .map(drop)
    }

    /// Delivers to an endpoint again; returns false if it was not disabled.
    pub(crate) async fn enable(&self, endpoint: &str) -> sqlx::Result<bool> {
        let enabled = sqlx::query("DELETE FROM disabled_endpoints WHERE endpoint_id = $1")
            .bind(endpoint)
            .execute(&self.0)
            .await?;
        Ok(enabled.rows_affected() > 0)
    }

    /// Deletes the dead letters that are too old; returns their number.
    pub(crate) async fn prune(&self, now: DateTime<Utc>) -> sqlx::Result<u64> {
        let pruned = sqlx::query("DELETE FROM deliveries WHERE dead_time < $1")
            .bind(micros(now - TimeDelta::days(DEAD_LETTER_DAYS_MAX)))
            .execute(&self.0)
            .await?;
        Ok(pruned.rows_affected())
    }

    /// Returns the endpoints for which something is kept, each with its number of deliveries.
    pub(crate) async fn endpoints(&self) -> sqlx::Result<Vec<(String, i64)>> {
        sqlx::query_as("SELECT endpoint_id, COUNT(*) FROM deliveries GROUP BY endpoint_id")
            .fetch_all(&self.0)
            .await
    }

    /// Returns at most `limit` dead letters, oldest first; without bodies if they are not wanted.
    pub(crate) async fn dead_letters(
        &self,
        bodies: bool,
        limit: u32,
    ) -> sqlx::Result<Vec<DeadLetter>> {
        sqlx::query_as(
            "SELECT delivery_id, endpoint_id, lane, event_id, event_type, CASE WHEN $1 THEN body ELSE '' END AS body, \
             failed_attempts, cause, dead_time \
             FROM deliveries WHERE dead_time IS NOT NULL ORDER BY delivery_id LIMIT $2",
        )
        .bind(bodies)
        .bind(limit)
        .fetch_all(&self.0)
        .await
    }

    /// Queues a delivery that has failed again; returns false if there is none of this id.
    pub(crate) async fn redeliver(&self, id: i64, now: DateTime<Utc>) -> sqlx::Result<bool> {
        let queued = sqlx::query(
            "UPDATE deliveries SET failed_attempts = 0, next_attempt_time = $2, dead_time = NULL \
             WHERE delivery_id = $1 AND failed_attempts > 0",
        )
        .bind(id)
        .bind(micros(now))
        .execute(&self.0)
        .await?;
        Ok(queued.rows_affected() > 0)
    }

    /// Queues all deliveries again that have failed: dead letters, and what waits for its next attempt. Returns their
    /// number.
    pub(crate) async fn redeliver_all(&self, now: DateTime<Utc>) -> sqlx::Result<u64> {
        let queued = sqlx::query(
            "UPDATE deliveries SET failed_attempts = 0, next_attempt_time = $1, dead_time = NULL \
             WHERE failed_attempts > 0",
        )
        .bind(micros(now))
        .execute(&self.0)
        .await?;
        Ok(queued.rows_affected())
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
