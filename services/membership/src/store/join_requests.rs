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

/// Which waiting requests come to an end together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// All of a class: it is archived or deleted.
    InClass(ClassName),
    /// All of an organization and its classes: it is deleted.
    InOrganization(OrganizationId),
    /// One person's at a class, or at an organization itself: they are a member now, or have been removed.
    Of(Place, UserId),
    /// One person's in an organization and all its classes: they have left it (R7).
    OfPersonIn(OrganizationId, UserId),
}

/// Which requests of a place a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Only in this state. PENDING leaves out those whose time is over.
    pub state: Option<State>,
    /// Only this person's.
    pub user: Option<UserId>,
    /// Only with this cause.
    pub cause: Option<Cause>,
}

/// Reads join requests. They are written with their effects: `Admissions::save`.
#[async_trait]
pub trait JoinRequests: Send {
    /// Reads requests, in no order; those that there are.
    async fn join_requests(&mut self, names: &[JoinRequestName]) -> Result<Vec<JoinRequest>>;

    /// A page of a place's requests, newest first, after the one with the id `after`.
    async fn list_join_requests(
        &mut self,
        place: &Place,
        shown: &Shown,
        after: Option<Uuid>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<JoinRequest>>;

    /// Closes waiting requests, at most `limit`, in no order, and gives them as they are now: CLOSED, or EXPIRED where
    /// their time was over. Under the organization's lock; the seat row's `waiting` and the events are
    /// the caller's to write.
    async fn close_open_requests(
        &mut self,
        which: &Waiting,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>>;

    /// The organizations in which requests wait whose time is over at `now`, at most `limit`, without
    /// those that are passed over.
    async fn organizations_with_lapsed_requests(
        &mut self,
        now: DateTime<Utc>,
        passed_over: &BTreeSet<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<OrganizationId>>;

    /// An organization's waiting requests whose time is over at `now`, at most `limit`, the oldest first.
    async fn lapsed_requests(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>>;
}
