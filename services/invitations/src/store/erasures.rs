//! Erasures, and the data kept about a person in every organization (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::erasure::{Mark, Replacement};
use uuid::Uuid;

use super::{Redemption, Result};

/// The data that an organization knows about a person, by which its tokens are assigned to them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonKnown {
    /// The organization.
    pub organization: OrganizationId,
    /// Canonical address; empty if unknown.
    pub email: String,
    /// The id in the school's own system; empty if unknown.
    pub external_id: String,
}

/// An erasure under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The person and the pseudonym that replaces them in both services.
    pub replacement: Replacement,
    /// The data known about the person.
    pub known: Vec<PersonKnown>,
    /// The user who asked for it; the pseudonym, if it was the person.
    pub actor: String,
    /// The time at which it began.
    pub create_time: DateTime<Utc>,
}

/// The progress of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureState {
    /// The erasure is still to be finished.
    UnderWay(Box<Erasure>),
    /// Nothing is left of the person.
    Done,
}

/// The table `erasures`, and the changes that an erasure makes in all other tables.
#[async_trait]
pub trait Erasures: Send {
    /// Records an erasure that begins. Returns false and records nothing if one of the person is under way.
    async fn insert_erasure(&mut self, erasure: &Erasure) -> Result<bool>;

    /// Returns the progress of the erasure; None if there is none, or it was called off.
    async fn get_erasure(&mut self, pseudonym: &UserId) -> Result<Option<ErasureState>>;

    /// Returns the person's erasure under way, if there is one.
    async fn find_erasure_of(&mut self, user: &UserId) -> Result<Option<Erasure>>;

    /// Returns erasures under way that began before a time, oldest first.
    async fn list_erasures_under_way(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Erasure>>;

    /// Calls off an erasure that has changed nothing.
    async fn delete_erasure(&mut self, pseudonym: &UserId) -> Result<()>;

    /// Records that the erasure is done, and forgets the person. Returns false if it was not under way, because another
    /// process has finished it.
    async fn end_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool>;

    /// Returns the person's redemptions in every organization with an id above `after`, sorted by id.
    async fn redemptions_of_person(
        &mut self,
        user: &UserId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// Returns the data about the person in their redemptions.
    async fn known_of_person(&mut self, user: &UserId) -> Result<BTreeSet<PersonKnown>>;

    /// Returns the organizations whose events name the person, or whose tokens are assigned to them. It reads every
    /// event and invitation.
    async fn organizations_that_know(
        &mut self,
        user: &UserId,
        known: &[PersonKnown],
    ) -> Result<BTreeSet<OrganizationId>>;

    /// Gives redemptions to the named users, deletes their names, addresses and school ids, and forgets the request ids
    /// that they answer.
    async fn give_redemptions(&mut self, to: &[(Uuid, UserId)]) -> Result<()>;

    /// Assigns the person's tokens in these organizations, which the caller has locked, to the pseudonym, and so to
    /// nobody.
    async fn assign_to_nobody(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        known: &[PersonKnown],
        pseudonym: &UserId,
    ) -> Result<()>;

    /// Replaces the person by the pseudonym in these organizations' events, which the caller has locked, in the refused
    /// attempts and in the audit trail. Forgets the person's request ids, and the answers to other users that hold one
    /// of the marks.
    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
        marks: &[Mark],
    ) -> Result<()>;
}
