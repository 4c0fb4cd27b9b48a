//! What is kept of a person, wherever it is (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::erasure::{Mark, Replacement};

use super::Result;
use crate::domain::member::Particulars;

/// The table `erasures`, and what an erasure changes in all others.
#[async_trait]
pub trait Erasures: Send {
    /// Notes the erasure, with what it changes. Whether it is new: false if it was done before.
    async fn insert_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool>;

    /// What each organization knows of the person, as a member or as one who asked to be.
    async fn particulars_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<(OrganizationId, Particulars)>>;

    /// The organizations in which anything is kept of the person. Reads every event.
    async fn organizations_that_know(&mut self, user: &UserId) -> Result<BTreeSet<OrganizationId>>;

    /// Puts the pseudonym where the person stands in what these organizations keep, but for memberships,
    /// which the caller ends; deletes names, addresses and school ids; forgets removals. The caller
    /// holds the organizations.
    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<()>;

    /// Forgets the person's request ids, and the answers to others that hold one of the marks.
    async fn forget_requests_of(&mut self, user: &UserId, marks: &[Mark]) -> Result<()>;
}
