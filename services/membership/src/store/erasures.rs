//! Operations on all records of a person (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::erasure::{Mark, Replacement};

use super::Result;
use crate::domain::member::Particulars;

/// The table `erasures`, and the changes that an erasure makes in all others.
#[async_trait]
pub trait Erasures: Send {
    /// Records the erasure in the transaction of its changes. Returns true if it is new, false if it was done before.
    async fn insert_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool>;

    /// Returns the particulars that each organization has of the person, as a member or as one who asked to be.
    async fn particulars_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<(OrganizationId, Particulars)>>;

    /// Returns the organizations that keep anything of the person. Reads every event.
    async fn organizations_that_know(&mut self, user: &UserId) -> Result<BTreeSet<OrganizationId>>;

    /// Replaces the person by the pseudonym in what these organizations keep, except memberships, which the caller
    /// ends; deletes names, addresses and school ids; forgets removals. The caller must hold the organizations' locks.
    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<()>;

    /// Forgets the person's request ids, and the stored answers to other requests that contain one of the marks.
    async fn forget_requests_of(&mut self, user: &UserId, marks: &[Mark]) -> Result<()>;
}
