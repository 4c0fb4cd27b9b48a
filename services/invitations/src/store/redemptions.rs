//! Redemptions: one row for each use of an invitation by one person, and the request ids that
//! each of them answers; and the statements on them.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::{Place, RedemptionName},
};
use homeroom_kit::request_ids::{BodyMac, RequestKey};
use uuid::Uuid;

use crate::domain::{
    decide::{Decision, QueueCause},
    invitation::{Epoch, InvitationKind},
    redemption::{Outcome, RedemptionState},
    way::Earlier,
};

use super::{InvitationRow, Result};

/// Who gets in, as the platform knows them; membership shows it to staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The platform's id.
    pub user: UserId,
    /// At most 200 characters.
    pub display_name: String,
    /// In its canonical form; empty if unknown.
    pub email: String,
    /// Empty if unknown, or not believed.
    pub external_id: String,
}

/// The decision of T1, which membership may only tighten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Membership at once.
    AdmitAtOnce,
    /// Into the approval queue.
    Queue(QueueCause),
    /// Only a person who is known already is answered so; anyone else gets this refusal (P3).
    OnlyIfKnown(ErrorReason),
}

impl Route {
    /// Returns the route of a decision, or its refusal where nothing is to be reserved.
    pub const fn of(decision: Decision) -> std::result::Result<Self, ErrorReason> {
        match decision {
            Decision::Admit => Ok(Self::AdmitAtOnce),
            Decision::Queue(cause) => Ok(Self::Queue(cause)),
            Decision::OnlyIfKnown(reason) => Ok(Self::OnlyIfKnown(reason)),
            Decision::Refuse(reason) => Err(reason),
        }
    }
}

/// One redemption, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// T2's key (P1).
    pub id: Uuid,
    /// The invitation that was used.
    pub invitation_id: Uuid,
    /// Its resource name: the fence's key.
    pub invitation: String,
    /// Which way in it was.
    pub kind: InvitationKind,
    /// The invitation's epoch at the reservation.
    pub epoch: Epoch,
    /// Where to, from the invitation's row (P12).
    pub place: Place,
    /// Whom.
    pub person: Person,
    /// When the person was described so by their own token, or by a platform that vouches; None if they were not.
    pub vouch_time: Option<DateTime<Utc>>,
    /// What was decided.
    pub route: Route,
    /// When the invitation was made or last reset (R8).
    pub issue_time: DateTime<Utc>,
    /// It admits at once even whom staff removed.
    pub allow_rejoin: bool,
    /// True if it holds, or held, a use (P3, P4). One that waits may hand it to another of the same person, whose
    /// failure hands it back; one that is under way keeps it.
    pub holds_use: bool,
    /// Where it stands.
    pub state: RedemptionState,
    /// The first outcome (P9); None while it is not known, and for ever if the epoch was stale (P7).
    pub outcome: Option<Outcome>,
    /// Resource name of the join request that it filed or met; empty if none.
    pub join_request: String,
    /// How often recovery has tried (P13).
    pub tries: u32,
    /// When recovery or the sweep looks at it next.
    pub next_try_time: DateTime<Utc>,
    /// When it was reserved.
    pub create_time: DateTime<Utc>,
    /// When its state last changed.
    pub settle_time: Option<DateTime<Utc>>,
}

impl Redemption {
    /// `organizations/{organization}/redemptions/{redemption}`.
    #[must_use]
    pub fn name(&self) -> RedemptionName {
        RedemptionName {
            place: Place::Organization(self.place.organization().clone()),
            id: self.id,
        }
    }

    /// Returns true if it answers its request ids, or will: not one that ended because its epoch was stale (P7).
    #[must_use]
    pub fn answers(&self) -> bool {
        !self.state.is_final() || self.outcome.is_some()
    }

    pub(crate) fn earlier(&self) -> Earlier<&Self> {
        Earlier {
            redemption: self,
            state: self.state,
            epoch: self.epoch,
            holds_use: self.holds_use,
        }
    }

    pub(crate) fn use_key(&self) -> UseKey {
        UseKey {
            invitation_id: self.invitation_id,
            user: self.person.user.clone(),
        }
    }
}

/// A person by an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UseKey {
    /// The invitation.
    pub invitation_id: Uuid,
    /// The person.
    pub user: UserId,
}

/// A change of a redemption's state, made only where it still stands at `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Which redemption.
    pub id: Uuid,
    /// Where it stands.
    pub from: RedemptionState,
    /// Where it goes.
    pub to: RedemptionState,
    /// Whether it holds a use where it stands.
    pub holds_use: bool,
    /// Its first outcome; a stored one stays (P9).
    pub outcome: Option<Outcome>,
    /// The join request; empty leaves the stored one.
    pub join_request: String,
    /// When the sweep looks at it next, if it is queued.
    pub next_try_time: DateTime<Utc>,
}

/// What to add to an invitation's counts; each may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsesChange {
    /// To `uses_reserved`.
    pub reserved: i64,
    /// To `uses_queued`.
    pub queued: i64,
    /// To `uses_committed`.
    pub committed: i64,
}

/// Which redemptions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionFilter {
    /// Of this organization, with all its classes, or of this class.
    pub place: Place,
    /// Only of this invitation.
    pub invitation_id: Option<Uuid>,
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only in this state.
    pub state: Option<RedemptionState>,
    /// Only those made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before.
    pub till: Option<DateTime<Utc>>,
}

/// A request id, with the body it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionRequest {
    /// Whose it is.
    pub key: RequestKey,
    /// The HMAC of the body.
    pub body: BodyMac,
}

/// The meaning of a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Nothing, or a redemption whose epoch was stale and which answers nothing (P7).
    Unknown,
    /// It came with another body.
    Conflict,
    /// This redemption answers it (P9).
    Names(Box<Redemption>),
}

/// Rows of `redemptions` and `redemption_request_ids` (P9), and what redeeming does to `invitations`.
#[async_trait]
pub trait Redemptions: Send {
    /// Locks invitations until the transaction ends, in sorted order whatever the order given, and
    /// returns them as they stand: everything that reserves or settles uses of them waits.
    async fn lock_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>>;

    /// Returns what each request id stands for, in the order given (ids older than 24 hours are forgotten), and
    /// the redemptions of these keys that are living or COMMITTED, the oldest first (P2, P4); in one look.
    async fn standing(
        &mut self,
        requests: &[&RedemptionRequest],
        keys: &[UseKey],
        now: DateTime<Utc>,
    ) -> Result<(Vec<Resolved>, Vec<Redemption>)>;

    /// T1: inserts redemptions, notes their request ids and adds to invitations' counts, more only up to
    /// `max_uses` (P4). Returns false if a part of it was not written: a person has a living redemption (P2) or has
    /// spent a use, a request id is another's, or an invitation has too few uses. Then all of it is to be undone.
    async fn write_reservations(
        &mut self,
        redemptions: &[Redemption],
        requests: &[(&RedemptionRequest, Uuid)],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<bool>;

    /// Takes the uses of QUEUED redemptions, or gives uses to QUEUED and COMMITTED ones that hold none; it counts
    /// nothing. Returns false if one did not stand so. Then all of it is to be undone.
    async fn hand_uses(&mut self, ids: &[Uuid], holds_use: bool) -> Result<bool>;

    /// Locks organizations (as [`OrganizationProfiles::lock_organizations`]) and then invitations, in sorted order
    /// whatever the order given. Returns of each invitation the epoch from which on its uses are counted.
    ///
    /// [`OrganizationProfiles::lock_organizations`]: super::OrganizationProfiles::lock_organizations
    async fn lock_for_settlement(
        &mut self,
        organizations: &[OrganizationId],
        invitations: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<HashMap<Uuid, Epoch>>;

    /// T3: moves redemptions and adds to invitations' counts. Returns whom each redemption is of by now; `None` if
    /// one did not stand where its change says. Then all of it is to be undone.
    async fn write_settlements(
        &mut self,
        changes: &[StateChange],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<Option<HashMap<Uuid, UserId>>>;

    /// Those of `ids` that exist, in no order.
    async fn get_redemptions(&mut self, ids: &[Uuid]) -> Result<Vec<Redemption>>;

    /// Takes redemptions of `state` that are due, oldest first, counting the try and not giving
    /// them to another before `lease_until` (P13). Due is also what lies farther ahead than
    /// [`RedemptionState::try_ahead_seconds_max`]. One that cannot be read is leased and logged, and
    /// holds up no other.
    async fn take_due(
        &mut self,
        state: RedemptionState,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// Sets when living redemptions are looked at next.
    async fn set_next_tries(&mut self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()>;

    /// Brings RESERVED redemptions that recovery has tried before forward to `now`. Returns how many.
    async fn hasten_tries(&mut self, now: DateTime<Utc>) -> Result<u64>;

    /// How many RESERVED redemptions were tried at least `tries` times (P13).
    async fn count_stuck(&mut self, tries: u32) -> Result<u64>;

    /// A page, newest first: those with an id below `before`.
    async fn list_redemptions(
        &mut self,
        filter: &RedemptionFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// Notes which redemption answers each request id. One that points to a redemption whose epoch
    /// was stale, and so to no answer, is re-pointed (P7). Returns how many were noted: fewer than
    /// given if another transaction noted one first.
    async fn insert_redemption_requests(
        &mut self,
        requests: &[(&RedemptionRequest, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// Deletes rows made before a time, at most `limit`. Returns how many.
    async fn prune_redemption_requests(&mut self, before: DateTime<Utc>, limit: u32)
    -> Result<u64>;

    /// Deletes redemptions of people who were members already that were settled before a time, at most `limit`. Returns
    /// how many.
    async fn prune_redemptions(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}

/// Returns the distinct organizations of redemptions, sorted: what to lock.
pub(crate) fn organizations_of<'a>(
    redemptions: impl Iterator<Item = &'a Redemption>,
) -> Vec<OrganizationId> {
    let mut organizations: Vec<OrganizationId> = redemptions
        .map(|redemption| redemption.place.organization().clone())
        .collect();
    organizations.sort();
    organizations.dedup();
    organizations
}
