//! Events written in the transaction of the change, and put in order once it is committed (R11).
//!
//! A row gets its `sequence` when it is inserted and its `position` when it is published: readers
//! follow positions, so a change that commits late is never skipped. Within an organization order
//! holds because its writers hold that organization's row lock when they append.

mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::Place,
};
use uuid::Uuid;

use crate::{database::Error, erasure::Replacement, random::Randomness};

/// User ids that one event tells at most.
pub const NOTIFY_MAX: usize = 100;
/// Events that one publication puts in order at most.
pub const PUBLISH_BATCH_MAX: u32 = 1_000;

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

/// The table `events`, on a connection of either engine.
pub trait Outbox: Send {
    /// Writes events in the order given, in the transaction of this connection. Gives their ids.
    fn append(
        &mut self,
        events: &[NewEvent],
        now: DateTime<Utc>,
        random: &dyn Randomness,
    ) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send;

    /// Whether committed events wait for their position.
    fn has_unpublished(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Gives committed events their positions, at most [`PUBLISH_BATCH_MAX`]. Within a transaction. Gives how many.
    fn publish(&mut self) -> impl Future<Output = Result<u64, Error>> + Send;

    /// The events after a position, oldest first.
    fn list(
        &mut self,
        scope: &Scope,
        after_position: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Event>, Error>> + Send;

    /// The organizations whose events tell of the user. Reads them all: for erasures (R13).
    fn organizations_with_events_of(
        &mut self,
        user: &UserId,
    ) -> impl Future<Output = Result<BTreeSet<OrganizationId>, Error>> + Send;

    /// Puts the pseudonym where the user stands in these organizations' events, in the transaction of this
    /// connection, which holds the organizations (R13). Gives how many events.
    fn pseudonymize_events(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> impl Future<Output = Result<u64, Error>> + Send;
}

#[cfg(test)]
mod tests;
