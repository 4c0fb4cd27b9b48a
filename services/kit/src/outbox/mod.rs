//! Events written in the transaction of the change, in the order in which the changes are committed (R11).
//!
//! An event has its `position` in the feed when it is inserted. One transaction at a time inserts events, and
//! does so last: on PostgreSQL in the same message as the commit, so that no other waits for a client that
//! has stopped. A reader that has seen a position therefore never misses an earlier one.

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

/// User ids that one event tells at most.
pub const NOTIFY_MAX: usize = 100;

/// An event to be written with its change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened, as `noun.verb`.
    pub event_type: &'static str,
    /// Where.
    pub organization: OrganizationId,
    /// In which class; None for organization-wide changes.
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// Who did it: a user id, or `system`.
    pub actor: String,
    /// Whom to tell (C6). Those beyond the first 100 are left out.
    pub notify: Vec<UserId>,
    /// Further facts, none of them secret.
    pub data: BTreeMap<String, String>,
}

impl NewEvent {
    /// Makes an event of something in a place, that nobody is told of.
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

/// An event in its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place: grows by one with each event, 1 for the first.
    pub position: i64,
    /// A UUID of version 7, unique for ever.
    pub id: Uuid,
    /// What happened.
    pub event_type: String,
    /// Where.
    pub organization: OrganizationId,
    /// In which class.
    pub class: Option<ClassId>,
    /// The resource that changed, by name.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// Whom to tell.
    pub notify: Vec<String>,
    /// Further facts.
    pub data: BTreeMap<String, String>,
    /// When.
    pub create_time: DateTime<Utc>,
}

/// Whose events to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every organization's.
    Everything,
    /// An organization's with all its classes', or one class's.
    Place(Place),
}

/// The table `events`, in a session of either engine.
#[async_trait]
pub trait Outbox: Send {
    /// Has events written with the session's commit, in the order given.
    async fn append(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> Result<(), Error>;

    /// The events after a position, oldest first.
    async fn list(
        &mut self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error>;

    /// The organizations whose events tell of the user. Reads them all: for erasures (R13).
    async fn organizations_with_events_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<OrganizationId>, Error>;

    /// Puts the pseudonym where the user stands in these organizations' events, in the transaction of this
    /// connection, which holds the organizations (R13). Gives how many events.
    async fn pseudonymize_events(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<u64, Error>;
}

#[cfg(test)]
mod tests;
