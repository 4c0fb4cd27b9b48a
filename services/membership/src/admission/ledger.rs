//! What admissions and the decisions on join requests read and write: one statement that locks, one that
//! reads every fact, and one that saves, for however many redemptions there are in hand.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};
use uuid::Uuid;

use crate::{
    domain::{
        access::ClassStanding, admission::Outcome, join_request::JoinRequest, member::Member,
        seat::Seats,
    },
    store::Result,
};

/// A person and where they are, want to be, or were.
pub type PersonAt = (Place, UserId);

/// What a redemption was answered, for ever (P1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAdmission {
    /// The last part of the redemption's resource name: the key.
    pub redemption: Uuid,
    /// Where to.
    pub place: Place,
    /// Whom.
    pub user: UserId,
    /// Resource name of the invitation.
    pub invitation: String,
    /// The invitation's epoch.
    pub epoch: i64,
    /// The answer.
    pub outcome: Outcome,
    /// The request, where QUEUED or `ALREADY_PENDING`.
    pub join_request: Option<Uuid>,
    /// When it was answered.
    pub create_time: DateTime<Utc>,
}

/// An organization as admissions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationKnown {
    /// What people call it.
    pub display_name: String,
    /// Its licence and what is used of it.
    pub seats: Seats,
}

/// A person of whom everything is wanted that decides whether they are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Who, and where to.
    pub person: PersonAt,
    /// The redemption and the resource name of its invitation, where it is one that is decided.
    pub redemption: Option<(Uuid, String)>,
}

impl Wanted {
    /// Wants what is known of a person, whatever they come with.
    #[must_use]
    pub const fn person(person: PersonAt) -> Self {
        Self {
            person,
            redemption: None,
        }
    }
}

/// What is known of persons, places and redemptions; what is absent from a map does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Organizations that have not been deleted.
    pub organizations: BTreeMap<OrganizationId, OrganizationKnown>,
    /// Classes that have not been deleted.
    pub classes: BTreeMap<ClassName, ClassStanding>,
    /// Memberships of the places asked for, and of their organizations.
    pub members: BTreeMap<PersonAt, Member>,
    /// PENDING requests at the places asked for, and at their organizations. Their time may be over.
    pub open_requests: BTreeMap<PersonAt, JoinRequest>,
    /// Removals from the places asked for, and from their organizations.
    pub removals: BTreeMap<PersonAt, DateTime<Utc>>,
    /// The latest denial of each person at the places asked for.
    pub denials: BTreeMap<PersonAt, DateTime<Utc>>,
    /// The fences of the invitations. An invitation without one stands at 0.
    pub fences: BTreeMap<String, i64>,
    /// What the redemptions were answered.
    pub admissions: BTreeMap<Uuid, StoredAdmission>,
    /// The requests that these answers led to, and the open ones.
    pub requests: BTreeMap<Uuid, JoinRequest>,
}

/// By how much an organization's counters move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatChange {
    /// Seats more, or where negative fewer, that are held.
    pub used: i64,
    /// Requests more, or where negative fewer, that wait.
    pub waiting: i64,
}

/// What admissions and decisions change, to be written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// New memberships of organizations and classes.
    pub members: Vec<Member>,
    /// New requests.
    pub filed: Vec<JoinRequest>,
    /// Requests that have changed or come to an end, as they are now.
    pub changed: Vec<JoinRequest>,
    /// Members of organizations with what was told of them, as they are now.
    pub told: BTreeMap<PersonAt, Member>,
    /// Removals that an approval lifts (R8).
    pub lifted: Vec<PersonAt>,
    /// Answers to redemptions.
    pub admissions: Vec<StoredAdmission>,
    /// The counters.
    pub seats: BTreeMap<OrganizationId, SeatChange>,
}

/// Whether a transaction waits for locks that others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// It takes those that nobody else holds and leaves the rest. For a fence that another transaction
    /// makes at the same time it waits 100 milliseconds; then it fails as unavailable.
    Free,
    /// It waits for all of them.
    All,
}

/// The locks that a transaction holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked {
    /// Fences, by their invitations.
    pub fences: BTreeSet<String>,
    /// Organizations.
    pub organizations: BTreeSet<OrganizationId>,
}

/// Locks, reads and writes what admissions and decisions need.
///
/// A writer first locks, and then reads in a later statement what it decides by (P6).
#[async_trait]
pub trait Ledger: Send {
    /// Locks the fences against raising, making those that are missing, and then the organizations'
    /// seat rows, both in the order of their names, until the transaction ends. Returns the locks that it
    /// took: an organization that does not exist is not among them.
    ///
    /// With [`Locks::All`] it fails as a conflict if a fence was made at the same time: the next
    /// transaction sees it.
    async fn lock(
        &mut self,
        fences: &BTreeSet<String>,
        organizations: &BTreeSet<OrganizationId>,
        locks: Locks,
        now: DateTime<Utc>,
    ) -> Result<Locked>;

    /// Locks organizations alone, and waits for them.
    async fn lock_organizations(&mut self, organizations: &BTreeSet<OrganizationId>) -> Result<()> {
        // No fence is made, so the time does not matter.
        let now = DateTime::UNIX_EPOCH;
        self.lock(&BTreeSet::new(), organizations, Locks::All, now)
            .await?;
        Ok(())
    }

    /// Reads everything that is known of these, in one statement.
    async fn facts(&mut self, wanted: &[Wanted]) -> Result<Known>;

    /// Reads what these redemptions were answered; those that were.
    async fn admissions(&mut self, redemptions: &[Uuid]) -> Result<Vec<StoredAdmission>>;

    /// Writes it all. Conflict if a redemption was answered, or a request ended, in the meantime:
    /// then nothing may be committed.
    async fn save(&mut self, effects: &Effects) -> Result<()>;

    /// Raises a fence to `epoch`, never lowers it; waits for every transaction that shares it. Returns where
    /// it stands.
    async fn raise_fence(
        &mut self,
        invitation: &str,
        epoch: i64,
        now: DateTime<Utc>,
    ) -> Result<i64>;
}
