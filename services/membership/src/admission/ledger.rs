//! The data of the database operations of admissions and of decisions on join requests: the locks, the facts and the
//! effects, for any number of redemptions. `store/ledger.rs` has the operations.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    access::ClassStanding, admission::Outcome, join_request::JoinRequest, member::Member,
    seat::Seats,
};

/// A person and the place where they are a member, want to be, or were.
pub type PersonAt = (Place, UserId);

/// The permanent answer to a redemption (P1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAdmission {
    /// The last part of the redemption's resource name: the key.
    #[serde(rename = "redemption_id")]
    pub redemption: Uuid,
    /// The place to join.
    #[serde(flatten, with = "columns::place")]
    pub place: Place,
    /// The person.
    #[serde(rename = "user_id", with = "columns::text")]
    pub user: UserId,
    /// Resource name of the invitation.
    pub invitation: String,
    /// The invitation's epoch.
    pub epoch: i64,
    /// The answer.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The request, where QUEUED or `ALREADY_PENDING`.
    #[serde(rename = "request_id", with = "columns::optional_text")]
    pub join_request: Option<Uuid>,
    /// When it was answered.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
}

/// An organization as admissions see it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OrganizationKnown {
    /// The name shown to people.
    pub display_name: String,
    /// The seat limit and the seats in use.
    #[serde(flatten)]
    pub seats: Seats,
}

/// A person whose facts are to be read, as far as they decide whether the person is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The person and the place to join.
    pub person: PersonAt,
    /// The redemption to decide, if any, and the resource name of its invitation.
    pub redemption: Option<(Uuid, String)>,
}

impl Wanted {
    /// Asks for the facts of a person without a redemption.
    #[must_use]
    pub const fn person(person: PersonAt) -> Self {
        Self {
            person,
            redemption: None,
        }
    }
}

/// The facts that were read of persons, places and redemptions; a key that a map lacks does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Organizations that have not been deleted.
    pub organizations: BTreeMap<OrganizationId, OrganizationKnown>,
    /// Classes that have not been deleted.
    pub classes: BTreeMap<ClassName, ClassStanding>,
    /// Memberships in the requested places and in their organizations.
    pub members: BTreeMap<PersonAt, Member>,
    /// PENDING requests at the requested places and at their organizations. They may have expired already.
    pub open_requests: BTreeMap<PersonAt, JoinRequest>,
    /// Removals from the requested places and from their organizations.
    pub removals: BTreeMap<PersonAt, DateTime<Utc>>,
    /// The latest denial of each person at the requested places.
    pub denials: BTreeMap<PersonAt, DateTime<Utc>>,
    /// The fences of the invitations. An invitation without one stands at 0.
    pub fences: BTreeMap<String, i64>,
    /// The stored answers to the redemptions.
    pub admissions: BTreeMap<Uuid, StoredAdmission>,
    /// The requests that these answers led to, and the open requests.
    pub requests: BTreeMap<Uuid, JoinRequest>,
}

/// The changes to an organization's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeatChange {
    /// The change in seats held; negative if there are fewer.
    pub used: i64,
    /// The change in waiting requests; negative if there are fewer.
    pub waiting: i64,
}

/// The changes that admissions and decisions make, to be written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// New memberships of organizations and classes.
    pub members: Vec<Member>,
    /// New requests.
    pub filed: Vec<JoinRequest>,
    /// Requests that have changed or ended, in their new state.
    pub changed: Vec<JoinRequest>,
    /// Members of organizations whose role or particulars have changed, in their new state.
    pub updated: BTreeMap<PersonAt, Member>,
    /// Members of classes whose role has changed, in their new state.
    pub roles: BTreeMap<PersonAt, Member>,
    /// Memberships that end, before any is made.
    pub ended: BTreeSet<PersonAt>,
    /// The times of removals by staff (R8).
    pub removed: BTreeMap<PersonAt, DateTime<Utc>>,
    /// Removals that are lifted (R8), before any is made.
    pub lifted: Vec<PersonAt>,
    /// Answers to redemptions.
    pub admissions: Vec<StoredAdmission>,
    /// The changes to the organizations' counters.
    pub seats: BTreeMap<OrganizationId, SeatChange>,
}

/// The treatment of locks that other transactions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// It takes the locks that are free and leaves the rest. It waits 100 milliseconds for a fence that another
    /// transaction is inserting, then fails as unavailable.
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
