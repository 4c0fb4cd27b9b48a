//! The feed of events: what both services' `EventService` answers, and the table that it comes from.

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

/// Tells those who wait that there is something new. A waiter that comes late is told too.
#[derive(Debug, Clone)]
pub struct Wake(watch::Sender<u64>);

impl Default for Wake {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Wake {
    /// Nobody told yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everyone who waits.
    pub fn notify(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins to listen: what is told from now on is not missed.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Hears a [`Wake`].
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Waits until something was told since the last time.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            // The wake is gone, so nothing will be told any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Where events are read.
#[async_trait]
pub trait Feed: Send + Sync {
    /// The events after a position, oldest first.
    async fn list(&self, scope: &Scope, after_position: i64, limit: u32) -> Result<Vec<Event>>;

    /// Returns a listener that hears when this process has committed more.
    fn listen(&self) -> Listener;
}

/// How a feed is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A page of it.
    List,
    /// As it grows.
    Watch,
}

/// Who may read the feed of a place besides services with one of [`FEED_SCOPES`].
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Lets staff of the place through: `ORGANIZATION_NOT_FOUND`, `CLASS_NOT_FOUND` or `ROLE_REQUIRED` for others.
    async fn authorize(&self, caller: &Caller, place: &Place, reading: Reading) -> Result<()>;
}

/// An event as the wire carries it.
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
