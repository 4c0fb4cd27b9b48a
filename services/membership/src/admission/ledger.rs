//! What T2 and the decisions on join requests read and write, each in array statements: one for
//! however many redemptions there are in hand (05).

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

/// What a redemption was answered, for ever (03 P1).
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

/// What is known of persons and places; what is absent from a map does not exist.
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
    /// Requests that have come to an end, as they are now.
    pub ended: Vec<JoinRequest>,
    /// Removals that an approval lifts (R8).
    pub lifted: Vec<PersonAt>,
    /// Answers to redemptions.
    pub admissions: Vec<StoredAdmission>,
    /// The counters.
    pub seats: BTreeMap<OrganizationId, SeatChange>,
}

/// Reads and writes what admissions and decisions need.
///
/// A writer locks first (03 P6): fences by `Fences::share_fences`, then the organizations in the
/// order of their ids; only then, in later statements, it reads and writes here.
#[async_trait]
pub trait Admissions: Send {
    /// Locks the organizations' seat rows in the order of their ids until the transaction ends; those
    /// that there are.
    async fn lock_organizations(&mut self, organizations: &BTreeSet<OrganizationId>) -> Result<()>;

    /// From here on the transaction waits for no lock longer than 100 milliseconds: then it fails as
    /// unavailable, and others may try with patience.
    async fn wait_briefly(&mut self) -> Result<()>;

    /// Locks those of the organizations' seat rows that nobody else holds, without waiting, and gives
    /// which those are.
    async fn lock_free_organizations(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
    ) -> Result<BTreeSet<OrganizationId>>;

    /// What these redemptions were answered; those that were.
    async fn admissions(&mut self, redemptions: &[Uuid]) -> Result<Vec<StoredAdmission>>;

    /// What is known of these persons and places.
    async fn known(&mut self, persons: &BTreeSet<PersonAt>) -> Result<Known>;

    /// Writes it all. Conflict if a redemption was answered, or a request ended, in the meantime:
    /// then nothing may be committed.
    async fn save(&mut self, effects: &Effects) -> Result<()>;
}
