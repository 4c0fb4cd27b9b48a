//! The approval queue in the database.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, JoinRequestName, Place},
};
use uuid::Uuid;

use super::Result;
use crate::domain::join_request::{Cause, JoinRequest, State};

/// The waiting requests that end together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// All requests of a class that is archived or deleted.
    InClass(ClassName),
    /// All requests of an organization that is deleted, and of its classes.
    InOrganization(OrganizationId),
    /// One person's request at a class or at an organization itself: they are a member now, or have been removed.
    Of(Place, UserId),
    /// One person's requests in an organization they have left, and in all its classes (R7).
    OfPersonIn(OrganizationId, UserId),
}

/// The requests of a place that a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Only those in this state. PENDING leaves out expired ones.
    pub state: Option<State>,
    /// Only those of this person.
    pub user: Option<UserId>,
    /// Only those with this cause.
    pub cause: Option<Cause>,
}

/// Reads join requests. `Ledger::save` writes them.
#[async_trait]
pub trait JoinRequests: Send {
    /// Reads those of the requests that exist, in no order.
    async fn join_requests(&mut self, names: &[JoinRequestName]) -> Result<Vec<JoinRequest>>;

    /// Returns a page of a place's requests, newest first, after the one with the id `after`.
    async fn list_join_requests(
        &mut self,
        place: &Place,
        shown: &Shown,
        after: Option<Uuid>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<JoinRequest>>;

    /// Closes up to `limit` waiting requests, in no order, and returns them in their new state: CLOSED, or EXPIRED if
    /// their time was over. Must be called under the organization's lock; the caller writes the seat row's `waiting`
    /// and the events.
    async fn close_open_requests(
        &mut self,
        which: &Waiting,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>>;

    /// Returns up to `limit` organizations with waiting requests that expired by `now`, except those passed over.
    async fn organizations_with_lapsed_requests(
        &mut self,
        now: DateTime<Utc>,
        passed_over: &BTreeSet<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<OrganizationId>>;

    /// Returns up to `limit` waiting requests of an organization that expired by `now`, the oldest first.
    async fn lapsed_requests(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>>;
}
