//! Events, which are written in the transaction of the change, in the order of commits (R11).
//!
//! An event gets its `position` in the feed when it is inserted. One transaction at a time inserts
//! events, as its last step: on PostgreSQL in the same message as the commit, so that no other
//! transaction waits for a stopped client. A reader that has seen a position therefore never misses
//! an earlier one.

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::Place,
};
use uuid::Uuid;

use crate::{database::Error, erasure::Replacement, random::Randomness};

/// The most user ids that one event notifies.
pub const NOTIFY_MAX: usize = 100;

/// An event to be written with its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The change, as `noun.verb`.
    pub event_type: &'static str,
    /// The organization.
    pub organization: OrganizationId,
    /// The class; `None` for organization-wide changes.
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// The actor: a user id, or `system`.
    pub actor: String,
    /// The users to notify (C6). Only the first 100 are kept.
    pub notify: Vec<UserId>,
    /// Further data, none of it secret.
    pub data: BTreeMap<String, String>,
}

impl NewEvent {
    /// Returns an event in a place that notifies nobody.
    #[must_use]
    pub fn new(
        event_type: &'static str,
        place: &Place,
        subject: String,
        actor: &str,
        data: BTreeMap<String, String>,
    ) -> Self {
        Self {
            event_type,
            organization: place.organization().clone(),
            class: place.class().cloned(),
            subject,
            actor: actor.to_owned(),
            notify: Vec::new(),
            data,
        }
    }
}

/// An event with its position in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The position: 1 for the first event, and one more for each next.
    pub position: i64,
    /// A UUID of version 7, which is never reused.
    pub id: Uuid,
    /// The change, as `noun.verb`.
    pub event_type: String,
    /// The organization.
    pub organization: OrganizationId,
    /// The class; `None` for organization-wide changes.
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// The actor.
    pub actor: String,
    /// The users to notify.
    pub notify: Vec<String>,
    /// Further data.
    pub data: BTreeMap<String, String>,
    /// The time of the change.
    pub create_time: DateTime<Utc>,
}

/// The events to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The events of every organization.
    Everything,
    /// The events of an organization with all its classes, or of one class.
    Place(Place),
}

/// Access to the table `events`, in a session of either engine.
#[async_trait]
pub trait Outbox: Send {
    /// Adds events to the session's commit, in the given order.
    async fn append(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<(), Error>;

    /// Returns the events after a position, oldest first.
    async fn list(
        &mut self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error>;

    /// Returns the organizations whose events mention the user. Reads all events: for erasures
    /// (R13).
    async fn organizations_with_events_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<OrganizationId>, Error>;

    /// Replaces the user by the pseudonym in these organizations' events, in the transaction of
    /// this connection, which has locked the organizations (R13). Returns the number of events.
    async fn pseudonymize_events(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<u64, Error>;
}

#[cfg(test)]
mod tests;
