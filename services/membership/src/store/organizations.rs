//! Organizations and their seats.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};

use super::Result;
use crate::domain::{organization::Organization, seat::Seats};

/// What became of an insert of something that must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOutcome {
    /// It is there now.
    Inserted,
    /// The id is, or was, in use.
    IdTaken,
    /// The organization's code prefix is, or was, in use, or begins or is begun by one that is (B4).
    PrefixTaken,
}

/// A part of the organizations, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct OrganizationQuery {
    /// Only those of which this user is a member.
    pub member: Option<UserId>,
    /// Only those after this id.
    pub after: Option<OrganizationId>,
    /// How many at most.
    pub limit: u32,
}

/// The table `organizations`. A deleted one is absent for all but ids and prefixes, which stay taken.
#[async_trait]
pub trait Organizations: Send {
    /// Makes an organization with its seats row, none used.
    async fn insert_organization(&mut self, organization: &Organization) -> Result<InsertOutcome>;
    /// One organization.
    async fn organization(&mut self, id: &OrganizationId) -> Result<Option<Organization>>;
    /// Those of the ids given that exist, in the order of their ids.
    async fn list_organizations(&mut self, query: &OrganizationQuery) -> Result<Vec<Organization>>;
    /// Stores display name, labels, revision, update time and seat limit.
    async fn save_organization(&mut self, organization: &Organization) -> Result<()>;
    /// Deletes it for ever. Its members and classes are the caller's to end first.
    async fn delete_organization(&mut self, id: &OrganizationId, now: DateTime<Utc>) -> Result<()>;
}

/// The table `organization_seats`: the row that every change of an organization locks first (03 P6).
#[async_trait]
pub trait SeatRows: Send {
    /// Takes the organization's lock until the session ends, then reads its seats in a later statement.
    /// None if there was never such an organization. Of several organizations, lock in the order of ids.
    async fn lock_organization(&mut self, id: &OrganizationId) -> Result<Option<Seats>>;
    /// Its seats, without the lock.
    async fn seats(&mut self, id: &OrganizationId) -> Result<Option<Seats>>;
    /// Stores seats used and requests waiting; under the lock. The limit is `save_organization`'s.
    async fn save_seats(&mut self, id: &OrganizationId, seats: &Seats) -> Result<()>;
}
