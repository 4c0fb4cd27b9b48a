//! The feed of events: both services' `EventService` and its table.

mod of_user;
mod service;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use homeroom_api::{
    common::v1::{self, ErrorReason},
    names::{ClassName, OrganizationName, Place},
};
use prost::Message as _;

pub(crate) use of_user::STATEMENTS;
pub use service::{EventFeed, FEED_SCOPES, WatchStream};

use crate::{
    auth::Caller,
    clock::to_timestamp,
    outbox::{Event, Scope},
    status::{Error, Result},
    store::Store,
};

impl<R> Store<R> {
    /// Returns the events after a position, oldest first (R11).
    pub async fn events(
        &self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let mut session = self.of_kit().read().await?;
        let events = session.list(scope, after_position, limit).await?;
        session.release();
        Ok(events)
    }

    /// Returns the position of the newest event of all feeds; 0 if there has been none.
    pub async fn last_event_position(&self) -> Result<i64> {
        let mut session = self.of_kit().read().await?;
        let last = session.last_position().await?;
        session.release();
        Ok(last)
    }
}

/// Decides who may read the feed of a place, besides services with one of [`FEED_SCOPES`].
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Allows staff of the place; fails with `ORGANIZATION_NOT_FOUND`, `CLASS_NOT_FOUND` or
    /// `ROLE_REQUIRED` for others.
    async fn authorize(&self, caller: &Caller, place: &Place) -> Result<()>;
}

/// Returns the error for a page token before which events of its feed were pruned: those up to `till` may be gone.
#[must_use]
pub fn page_token_expired(till: DateTime<Utc>) -> Error {
    let till = till.to_rfc3339_opts(SecondsFormat::Micros, true);
    Error::new(
        ErrorReason::PageTokenExpired,
        format!(
            "Start this feed again without a page_token: events after the position of this one were deleted, since \
             they are not kept for ever. What happened up to {till} may be missing, so read the current state too."
        ),
    )
    .metadata("pruned_till_time", till)
}

/// The most bytes of events on one page, except a page of one event: far below the 4 MiB that gRPC clients accept by
/// default.
const EVENTS_PAGE_BYTES_MAX: usize = 900 * 1024;
/// The most bytes that tag and length add to each event of a page.
const EVENT_FRAME_BYTES_MAX: usize = 6;

/// The bytes of the events on a page.
#[derive(Default)]
struct PageBytes(usize);

impl PageBytes {
    /// Adds an event. Returns false if the page has no room for it; an empty one has room for any.
    fn take(&mut self, event: &v1::Event) -> bool {
        let empty = self.0 == 0;
        self.0 += event.encoded_len() + EVENT_FRAME_BYTES_MAX;
        empty || self.0 <= EVENTS_PAGE_BYTES_MAX
    }
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
