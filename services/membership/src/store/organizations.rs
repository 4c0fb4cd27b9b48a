//! The tables of organizations and their seats.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};

use super::Result;
use crate::domain::{organization::Organization, seat::Seats};

/// The result of an insert of something that must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The row was inserted.
    Inserted,
    /// The id is, or was, in use.
    IdTaken,
    /// The organization's code prefix is or was in use, or overlaps one that is or was: one begins with the other (B4).
    PrefixTaken,
}

/// A part of the organizations, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct OrganizationQuery {
    /// Only those of which this user is a member.
    pub member: Option<UserId>,
    /// Only those after this id.
    pub after: Option<OrganizationId>,
    /// The maximum number of organizations.
    pub limit: u32,
}

/// The table `organizations`. A deleted organization is absent, but its id and prefix stay taken.
#[async_trait]
pub trait Organizations: Send {
    /// Inserts an organization with its seats row, none used.
    async fn insert_organization(&mut self, organization: &Organization) -> Result<InsertOutcome>;
    /// Returns one organization.
    async fn organization(&mut self, id: &OrganizationId) -> Result<Option<Organization>>;
    /// Lists organizations in the order of their ids.
    async fn list_organizations(&mut self, query: &OrganizationQuery) -> Result<Vec<Organization>>;
    /// Stores display name, labels, revision, update time and seat limit.
    async fn save_organization(&mut self, organization: &Organization) -> Result<()>;
    /// Deletes an organization permanently. The caller must end its memberships and classes first.
    async fn delete_organization(&mut self, id: &OrganizationId, now: DateTime<Utc>) -> Result<()>;
}

/// The table `organization_seats`: the row that every change of an organization locks first (P6).
#[async_trait]
pub trait SeatRows: Send {
    /// Takes the organization's lock until the session ends, then reads its seats in a later statement. Returns None if
    /// the organization never existed. Several organizations must be locked in the order of their ids.
    async fn lock_organization(&mut self, id: &OrganizationId) -> Result<Option<Seats>>;
    /// Returns the organization's seats, without the lock.
    async fn seats(&mut self, id: &OrganizationId) -> Result<Option<Seats>>;
    /// Stores the seats used and the requests waiting; must be called under the lock. `save_organization` stores the
    /// limit.
    async fn save_seats(&mut self, id: &OrganizationId, seats: &Seats) -> Result<()>;
}
