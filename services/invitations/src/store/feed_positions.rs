//! The positions up to which other services' feeds have been followed (P5).

use chrono::{DateTime, Utc};
use homeroom_kit::args;

use super::{Repository, Result};

/// An event that could not be followed. It is kept, so that nothing is lost without a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedEvent {
    /// The event's id.
    pub event_id: String,
    /// The type of the event.
    pub event_type: String,
    /// The resource that changed, by name.
    pub subject: String,
    /// The reason why it was skipped; it holds no secret.
    pub cause: String,
}

homeroom_kit::statements! {
    GET = "SELECT page_token FROM feed_positions WHERE feed = $1";

    START = "INSERT INTO feed_positions (feed, page_token, update_time) \
        VALUES ($1, $2, $3) ON CONFLICT (feed) DO NOTHING";

    MOVE = "UPDATE feed_positions SET page_token = $2, update_time = $3 \
        WHERE feed = $1 AND page_token = $4";

    RECORD_SKIPPED = "INSERT INTO skipped_events \
        (feed, event_id, event_type, subject, cause, create_time) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (feed, event_id) DO NOTHING";

    COUNT_SKIPPED = "SELECT count(*) FROM skipped_events WHERE feed = $1";
}

impl Repository {
    /// Returns the page token to resume `feed` from; None before the first page.
    pub async fn get_feed_position(&mut self, feed: &str) -> Result<Option<String>> {
        self.0.first(&GET, args![feed]).await
    }

    /// Moves `feed` on from `before`, in the transaction that handles its events. Returns false if another follower has
    /// moved it meanwhile.
    pub async fn move_feed_position(
        &mut self,
        feed: &str,
        before: Option<&str>,
        page_token: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let mut bound = args![feed, page_token, now];
        bound.extend(before.map(Into::into));
        let step = match before {
            None => &START,
            Some(_) => &MOVE,
        };
        Ok(self.0.run(step, bound).await? == 1)
    }

    /// Records an event that could not be followed; a repetition changes nothing.
    pub async fn record_skipped_event(
        &mut self,
        feed: &str,
        event: &SkippedEvent,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let SkippedEvent {
            event_id,
            event_type,
            subject,
            cause,
        } = event;
        let bound = args![feed, event_id, event_type, subject, cause, now];
        self.0.run(&RECORD_SKIPPED, bound).await?;
        Ok(())
    }

    /// Returns the number of skipped events of `feed`.
    pub async fn count_skipped_events(&mut self, feed: &str) -> Result<u64> {
        self.0.one(&COUNT_SKIPPED, args![feed]).await
    }
}
