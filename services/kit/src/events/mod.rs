//! The feed of events: both services' `EventService` and its table.

mod service;
mod stored;

use async_trait::async_trait;
use homeroom_api::{common::v1, names::ClassName, names::OrganizationName, names::Place};
use tokio::sync::watch;

pub use service::{EventFeed, FEED_SCOPES, WatchStream};
pub use stored::StoredFeed;

use crate::{
    auth::Caller,
    clock::to_timestamp,
    outbox::{Event, Scope},
    status::Result,
};

/// Notifies waiting readers of new events. A notification before a reader waits is not lost.
#[derive(Debug, Clone)]
pub struct Wake(watch::Sender<u64>);

impl Default for Wake {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Wake {
    /// Returns a wake without a notification.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notifies every reader that waits.
    pub fn notify(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins to listen: later notifications are not missed.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Receives the notifications of a [`Wake`].
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Waits for a notification since the last call.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            // The wake is gone, so no further notification can come.
            std::future::pending::<()>().await;
        }
    }
}

/// A source of events.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Returns the events after a position, oldest first.
    async fn list(&self, scope: &Scope, after_position: i64, limit: u32) -> Result<Vec<Event>>;

    /// Returns a listener that is notified when this process has committed more events.
    fn listen(&self) -> Listener;
}

/// A way to read a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Reads one page.
    List,
    /// Reads events as they are committed.
    Watch,
}

/// Decides who may read the feed of a place, besides services with one of [`FEED_SCOPES`].
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Allows staff of the place; fails with `ORGANIZATION_NOT_FOUND`, `CLASS_NOT_FOUND` or
    /// `ROLE_REQUIRED` for others.
    async fn authorize(&self, caller: &Caller, place: &Place, reading: Reading) -> Result<()>;
}

/// Converts an event to its message.
#[must_use]
pub fn to_wire(event: Event) -> v1::Event {
    v1::Event {
        id: event.id.to_string(),
        r#type: event.event_type,
        class: event.class.map_or_else(String::new, |class| {
            ClassName {
                organization: event.organization.clone(),
                class,
            }
            .to_string()
        }),
        organization: OrganizationName(event.organization).to_string(),
        subject: event.subject,
        actor: event.actor,
        notify: event.notify,
        create_time: Some(to_timestamp(event.create_time)),
        data: event.data,
    }
}

#[cfg(test)]
mod tests;
