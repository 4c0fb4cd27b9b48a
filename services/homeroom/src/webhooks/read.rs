//! Reads a feed for an endpoint, and records what is to be delivered.

use std::time::Duration;

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::Event;
use tokio::time::sleep;

use super::{
    feed::{Feed, FeedError},
    payload::lane,
    relay::Relay,
    store::{NewDelivery, Position, Source},
};
use crate::Failure;

/// The most deliveries from one feed that wait for an endpoint; beyond, the feed is not read for it.
pub(crate) const WAITING_DELIVERIES_MAX: usize = 5_000;
/// The most events that are asked for at once.
const PAGE_EVENTS_MAX: usize = 500;
/// The pause after a page without events, in milliseconds.
const POLL_MILLIS: u64 = 500;
/// The pause after a failure, in seconds.
const AFTER_FAILURE_SECONDS: u64 = 5;

impl Relay {
    /// Reads a feed until it is dropped, which it may be at any time.
    pub(crate) async fn follow(&self, feed: Feed) {
        let mut failure: Option<String> = None;
        loop {
            let (endpoint, service) = (&self.endpoint.id, feed.as_str());
            match self.read(feed).await {
                Ok(more) => {
                    if failure.take().is_some() {
                        tracing::info!(endpoint, service, "the feed is read again");
                    }
                    if !more {
                        sleep(Duration::from_millis(POLL_MILLIS)).await;
                    }
                }
                Err(error) => {
                    let cause = error.to_string();
                    if failure.as_ref() != Some(&cause) {
                        tracing::warn!(endpoint, service, cause, "the feed cannot be read");
                    }
                    failure = Some(cause);
                    sleep(Duration::from_secs(AFTER_FAILURE_SECONDS)).await;
                }
            }
        }
    }

    /// Reads a page of each parent; returns true if there may be more. A parent that fails holds back no other.
    async fn read(&self, feed: Feed) -> Result<bool, Failure> {
        let endpoint = self.endpoint.id.as_str();
        let since = self.endpoint.since.unwrap_or_else(|| self.clock.now());
        // A new parent begins now, even if nothing may be read yet.
        let mut sources = Vec::new();
        for parent in &self.endpoint.parents {
            let source = Source {
                endpoint,
                feed,
                parent,
            };
            sources.push((source, self.store.position(source, since).await?));
        }
        let Some(mut waiting) = self.store.waiting(endpoint, feed).await? else {
            return Ok(false);
        };
        let mut more = false;
        let mut failure = None;
        for (source, position) in sources {
            let events_max = room(waiting);
            if events_max == 0 {
                break;
            }
            match self.read_page(source, &position, events_max).await {
                Ok(Some(recorded)) => {
                    more = true;
                    waiting += recorded;
                }
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(more), Err)
    }

    /// Reads a page; returns the number of deliveries recorded, or None if there was no event.
    async fn read_page(
        &self,
        source: Source<'_>,
        position: &Position,
        events_max: usize,
    ) -> Result<Option<usize>, Failure> {
        let Source {
            endpoint,
            feed,
            parent,
        } = source;
        let (service, now) = (feed.as_str(), self.clock.now());
        let token = position.page_token.clone();
        let page = match self.feeds.list(feed, parent, events_max, token).await {
            Ok(page) => page,
            Err(FeedError::UnknownPosition) => {
                let told = "the feed is read from its beginning again";
                tracing::warn!(endpoint, service, parent, "{told}");
                self.store.read_again(source).await?;
                return Ok(Some(0));
            }
            Err(FeedError::Pruned(cause)) => {
                let told = "events were deleted before they were read: the feed is read from its oldest event";
                tracing::error!(endpoint, service, parent, cause, "{told}");
                self.store.read_again(source).await?;
                return Ok(Some(0));
            }
            Err(error) => return Err(format!("{parent}: {error}").into()),
        };
        let Some(last) = page.events.last() else {
            return Ok(None);
        };
        let types = &self.endpoint.types;
        let is_wanted = |event: &&Event| {
            let is_of_type = types.is_empty() || types.contains(&event.r#type);
            is_of_type && time_of(event) >= position.since
        };
        let wanted = page.events.iter().filter(is_wanted);
        let deliveries: Vec<_> = wanted
            .map(|event| self.delivery(event))
            .collect::<Result<_, _>>()?;
        let (token, last) = (page.next_page_token.as_str(), time_of(last));
        self.store
            .record(source, token, last, &deliveries, now)
            .await?;
        if !deliveries.is_empty() {
            self.recorded.notify_one();
        }
        Ok(Some(deliveries.len()))
    }

    fn delivery(&self, event: &Event) -> Result<NewDelivery, Failure> {
        Ok(NewDelivery {
            lane: lane(event).to_owned(),
            event_id: event.id.clone(),
            event_type: event.r#type.clone(),
            body: self.payloads.body(event)?,
        })
    }
}

/// Returns the most events that may be read while so many deliveries wait.
fn room(waiting: usize) -> usize {
    WAITING_DELIVERIES_MAX
        .saturating_sub(waiting)
        .min(PAGE_EVENTS_MAX)
}

/// Returns the time of an event; one that has none is old.
fn time_of(event: &Event) -> DateTime<Utc> {
    let time = event.create_time.unwrap_or_default();
    let nanos = u32::try_from(time.nanos).unwrap_or(0);
    DateTime::from_timestamp(time.seconds, nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_at_the_most_deliveries_that_may_wait() {
        let most = WAITING_DELIVERIES_MAX;
        assert_eq!(room(0), PAGE_EVENTS_MAX);
        assert_eq!(room(most - PAGE_EVENTS_MAX), PAGE_EVENTS_MAX);
        assert_eq!(room(most - 1), 1);
        assert_eq!((room(most), room(most + 1)), (0, 0));
    }

    #[test]
    fn the_time_of_an_event_is_to_the_microsecond() {
        let create_time = prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 123_456_000,
        };
        let event = Event {
            create_time: Some(create_time),
            ..Event::default()
        };
        assert_eq!(time_of(&event).timestamp_micros(), 1_700_000_000_123_456);
        assert_eq!(time_of(&Event::default()), DateTime::UNIX_EPOCH);
    }
}
