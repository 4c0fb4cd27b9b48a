//! The positions up to which other services' feeds have been followed (P5).

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Result;

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

/// Rows of `feed_positions` and `skipped_events`.
#[async_trait]
pub trait FeedPositions: Send {
    /// Returns the page token to resume `feed` from; None before the first page.
    async fn get_feed_position(&mut self, feed: &str) -> Result<Option<String>>;

    /// Moves `feed` on from `before`, in the transaction that handles its events. Returns false if another follower has
    /// moved it meanwhile.
    async fn move_feed_position(
        &mut self,
        feed: &str,
        before: Option<&str>,
        page_token: &str,
        now: DateTime<Utc>,
    ) -> Result<bool>;

    /// Records an event that could not be followed; a repetition changes nothing.
    async fn record_skipped_event(
        &mut self,
        feed: &str,
        event: &SkippedEvent,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// Returns the number of skipped events of `feed`.
    async fn count_skipped_events(&mut self, feed: &str) -> Result<u64>;
}
