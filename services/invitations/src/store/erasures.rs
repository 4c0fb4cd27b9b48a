//! Erasures, and what is kept of a person, wherever it is (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::erasure::{Mark, Replacement};
use uuid::Uuid;

use super::{Redemption, Result};

/// What an organization knows of a person, and by which its tokens are assigned to them.
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
    /// Who is replaced by which pseudonym, in both services.
    pub replacement: Replacement,
    /// What is known of the person.
    pub known: Vec<PersonKnown>,
    /// Who asked for it; the pseudonym, if it was the person.
    pub actor: String,
    /// When it was begun.
    pub create_time: DateTime<Utc>,
}

/// Where an erasure stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureState {
    /// It is to be finished.
    UnderWay(Box<Erasure>),
    /// Nothing is left of the person.
    Done,
}

/// The table `erasures`, and what an erasure changes in all others.
#[async_trait]
pub trait Erasures: Send {
    /// Notes an erasure that begins; false, and nothing noted, where one of the person is under way.
    async fn insert_erasure(&mut self, erasure: &Erasure) -> Result<bool>;

    /// Where the erasure stands; None where there is none, or it was called off.
    async fn get_erasure(&mut self, pseudonym: &UserId) -> Result<Option<ErasureState>>;

    /// The person's erasure under way, if there is one.
    async fn find_erasure_of(&mut self, user: &UserId) -> Result<Option<Erasure>>;

    /// Erasures under way that began before a time, the oldest first.
    async fn list_erasures_under_way(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Erasure>>;

    /// Calls off an erasure that has changed nothing.
    async fn delete_erasure(&mut self, pseudonym: &UserId) -> Result<()>;

    /// Notes that the erasure is done, and forgets whom it was about. Whether it was under way:
    /// false if another process has done it.
    async fn end_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool>;

    /// The person's redemptions in every organization, in the order of their ids, after `after`.
    async fn redemptions_of_person(
        &mut self,
        user: &UserId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// What the person's redemptions say of them.
    async fn known_of_person(&mut self, user: &UserId) -> Result<BTreeSet<PersonKnown>>;

    /// The organizations whose events tell of the person, or whose tokens are assigned to them. Reads
    /// every event and invitation.
    async fn organizations_that_know(
        &mut self,
        user: &UserId,
        known: &[PersonKnown],
    ) -> Result<BTreeSet<OrganizationId>>;

    /// Gives redemptions to the users named, without names, addresses and school ids, and forgets
    /// the request ids that they answer.
    async fn give_redemptions(&mut self, to: &[(Uuid, UserId)]) -> Result<()>;

    /// Assigns the person's tokens in these organizations, which the caller holds, to the pseudonym: to nobody.
    async fn assign_to_nobody(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        known: &[PersonKnown],
        pseudonym: &UserId,
    ) -> Result<()>;

    /// Puts the pseudonym where the person stands in these organizations' events, which the caller holds, and in
    /// the logs of attempts and of who did what; forgets the person's request ids, and the answers to
    /// others that hold one of the marks.
    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
        marks: &[Mark],
    ) -> Result<()>;
}
