//! Statements on `feed_positions` and `skipped_events`, for both engines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::clock::micros;

use super::SqlRepository;
use crate::store::{FeedPositions, Result, SkippedEvent};

homeroom_kit::statements! {
    GET = "SELECT page_token FROM feed_positions WHERE feed = $1";

    START = "INSERT INTO feed_positions (feed, page_token, update_time) \
        VALUES ($1, $2, $3) ON CONFLICT (feed) DO NOTHING";

    MOVE = "UPDATE feed_positions SET page_token = $3, update_time = $4 \
        WHERE feed = $1 AND page_token = $2";

    RECORD_SKIPPED = "INSERT INTO skipped_events \
        (feed, event_id, event_type, subject, cause, create_time) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (feed, event_id) DO NOTHING";

    COUNT_SKIPPED = "SELECT count(*) FROM skipped_events WHERE feed = $1";
}

#[async_trait]
impl FeedPositions for SqlRepository {
    async fn get_feed_position(&mut self, feed: &str) -> Result<Option<String>> {
        Ok(sqlx::query_scalar(GET)
            .bind(feed)
            .fetch_optional(self.connection())
            .await?)
    }

    async fn move_feed_position(
        &mut self,
        feed: &str,
        before: Option<&str>,
        page_token: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let done = match before {
            None => {
                sqlx::query(START)
                    .bind(feed)
                    .bind(page_token)
                    .bind(micros(now))
                    .execute(self.connection())
                    .await?
            }
            Some(before) => {
                sqlx::query(MOVE)
                    .bind(feed)
                    .bind(before)
                    .bind(page_token)
                    .bind(micros(now))
                    .execute(self.connection())
                    .await?
            }
        };
        Ok(done.rows_affected() == 1)
    }

    async fn record_skipped_event(
        &mut self,
        feed: &str,
        event: &SkippedEvent,
        now: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(RECORD_SKIPPED)
            .bind(feed)
            .bind(event.event_id.as_str())
            .bind(event.event_type.as_str())
            .bind(event.subject.as_str())
            .bind(event.cause.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn count_skipped_events(&mut self, feed: &str) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(COUNT_SKIPPED)
            .bind(feed)
            .fetch_one(self.connection())
            .await?;
        Ok(count.unsigned_abs())
    }
}
