//! Redemptions, the request ids that they answer, and the operations on both. A redemption is one use of an invitation
//! by one person.

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
    earlier_redemptions::EarlierRedemption,
    invitation::{Epoch, InvitationKind},
    redemption::{Outcome, RedemptionState},
};

use super::{InvitationRow, Result};

/// The person who gets in, as the platform knows them; membership shows this to staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The platform's id.
    pub user: UserId,
    /// The display name: at most 200 characters.
    pub display_name: String,
    /// The canonical address; empty if unknown.
    pub email: String,
    /// The id in the school's own system; empty if unknown or not believed.
    pub external_id: String,
}

/// The decision of T1, which membership may only tighten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The person is admitted at once.
    AdmitAtOnce,
    /// The person is put into the approval queue.
    Queue(QueueCause),
    /// Only a member, or a person who waits already, is answered so; anyone else gets this refusal (P3).
    OnlyIfKnown(ErrorReason),
}

impl Route {
    /// Returns the route of a decision, or its refusal if nothing is to be reserved.
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
    /// The redemption's id, the key of T2 (P1).
    pub id: Uuid,
    /// The invitation that was used.
    pub invitation_id: Uuid,
    /// The invitation's resource name, the key of its fence.
    pub invitation: String,
    /// The kind of the invitation.
    pub kind: InvitationKind,
    /// The invitation's epoch at the reservation.
    pub epoch: Epoch,
    /// The place to join, from the invitation's row (P12).
    pub place: Place,
    /// The person who joins.
    pub person: Person,
    /// The time at which the person's own token, or a platform that vouches, described the person so; None if neither
    /// did.
    pub vouch_time: Option<DateTime<Utc>>,
    /// The decision.
    pub route: Route,
    /// The time at which the invitation was made or last reset (R8).
    pub issue_time: DateTime<Utc>,
    /// True if the invitation admits at once even people whom staff removed.
    pub allow_rejoin: bool,
    /// True if it holds, or held, a use (P3, P4). A redemption that waits may hand its use to another of the same
    /// person, and gets it back if that one fails; a redemption under way keeps its use.
    pub holds_use: bool,
    /// The state.
    pub state: RedemptionState,
    /// The first outcome (P9); None while it is not known, and permanently if the epoch was stale (P7).
    pub outcome: Option<Outcome>,
    /// The resource name of the join request that it filed or met; empty if none.
    pub join_request: String,
    /// The number of tries by recovery (P13).
    pub tries: u32,
    /// The time at which recovery or the sweep looks at it next.
    pub next_try_time: DateTime<Utc>,
    /// The time of the reservation.
    pub create_time: DateTime<Utc>,
    /// The time of the last change of state.
    pub settle_time: Option<DateTime<Utc>>,
}

impl Redemption {
    /// Returns `organizations/{organization}/redemptions/{redemption}`.
    #[must_use]
    pub fn name(&self) -> RedemptionName {
        RedemptionName {
            place: Place::Organization(self.place.organization().clone()),
            id: self.id,
        }
    }

    /// Returns true if the redemption answers its request ids, or will: false if it ended because its epoch was stale
    /// (P7).
    #[must_use]
    pub fn answers(&self) -> bool {
        !self.state.is_final() || self.outcome.is_some()
    }

    pub(crate) fn earlier(&self) -> EarlierRedemption<&Self> {
        EarlierRedemption {
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

/// A person and an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UseKey {
    /// The invitation.
    pub invitation_id: Uuid,
    /// The person.
    pub user: UserId,
}

/// A change of a redemption's state, made only if the redemption is still in the state `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The redemption's id.
    pub id: Uuid,
    /// The state before.
    pub from: RedemptionState,
    /// The state after.
    pub to: RedemptionState,
    /// True if it holds a use in the state before.
    pub holds_use: bool,
    /// The first outcome; one that is stored already stays (P9).
    pub outcome: Option<Outcome>,
    /// The join request; an empty one leaves the stored one.
    pub join_request: String,
    /// The time at which the sweep looks at it next, if it is queued.
    pub next_try_time: DateTime<Utc>,
}

/// The amounts to add to an invitation's counts; each may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsesChange {
    /// The amount to add to `uses_reserved`.
    pub reserved: i64,
    /// The amount to add to `uses_queued`.
    pub queued: i64,
    /// The amount to add to `uses_committed`.
    pub committed: i64,
}

/// The conditions on the redemptions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionFilter {
    /// Only of this organization, with all its classes, or of this class.
    pub place: Place,
    /// Only of this invitation.
    pub invitation_id: Option<Uuid>,
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only in this state.
    pub state: Option<RedemptionState>,
    /// Only those made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before this time.
    pub till: Option<DateTime<Utc>>,
}

/// A request id and the body that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionRequest {
    /// The key: the caller, the method and the request id.
    pub key: RequestKey,
    /// The HMAC of the body.
    pub body: BodyMac,
}

/// The meaning of a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// It means nothing, or a redemption whose epoch was stale and which answers nothing (P7).
    Unknown,
    /// It came with another body.
    Conflict,
    /// This redemption answers it (P9).
    Names(Box<Redemption>),
}

/// Rows of `redemptions` and `redemption_request_ids` (P9), and the changes that redeeming makes to `invitations`.
#[async_trait]
pub trait Redemptions: Send {
    /// Locks invitations until the transaction ends, in sorted order whatever the given order, and returns their
    /// current rows: all other reservations and settlements of their uses wait.
    async fn lock_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>>;

    /// Returns the meaning of each request id, in the given order (ids older than 24 hours are forgotten), and the
    /// redemptions of these keys that are live or COMMITTED, oldest first (P2, P4); in one query.
    async fn standing(
        &mut self,
        requests: &[&RedemptionRequest],
        keys: &[UseKey],
        now: DateTime<Utc>,
    ) -> Result<(Vec<Resolved>, Vec<Redemption>)>;

    /// T1: inserts redemptions, records their request ids and adds to invitations' counts, increasing them only up to
    /// `max_uses` (P4). Returns false if a part was not written: a person has a live redemption (P2) or has spent a
    /// use, a request id belongs to another redemption, or an invitation has too few uses. The caller must then roll
    /// everything back.
    async fn write_reservations(
        &mut self,
        redemptions: &[Redemption],
        requests: &[(&RedemptionRequest, Uuid)],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<bool>;

    /// Takes the uses of QUEUED redemptions, or gives uses to QUEUED and COMMITTED ones that hold none; it changes no
    /// counts. Returns false if one of them was not in such a state. The caller must then roll everything back.
    async fn hand_uses(&mut self, ids: &[Uuid], holds_use: bool) -> Result<bool>;

    /// Locks organizations (as [`OrganizationProfiles::lock_organizations`]) and then invitations, in sorted order
    /// whatever the given order. Returns for each invitation the epoch from which its uses are counted.
    ///
    /// [`OrganizationProfiles::lock_organizations`]: super::OrganizationProfiles::lock_organizations
    async fn lock_for_settlement(
        &mut self,
        organizations: &[OrganizationId],
        invitations: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<HashMap<Uuid, Epoch>>;

    /// T3: moves redemptions and adds to invitations' counts. Returns the current user of each redemption; `None` if
    /// one was not in the state that its change names. The caller must then roll everything back.
    async fn write_settlements(
        &mut self,
        changes: &[StateChange],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<Option<HashMap<Uuid, UserId>>>;

    /// Returns the redemptions of `ids` that exist, in no order.
    async fn get_redemptions(&mut self, ids: &[Uuid]) -> Result<Vec<Redemption>>;

    /// Takes redemptions of `state` that are due, oldest first. It counts the try and gives them to nobody else before
    /// `lease_until` (P13). A redemption whose time is farther ahead than [`RedemptionState::try_ahead_seconds_max`] is
    /// due too. One that cannot be read is leased and logged, and does not hold up the others.
    async fn take_due(
        &mut self,
        state: RedemptionState,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// Sets when live redemptions are looked at next.
    async fn set_next_tries(&mut self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()>;

    /// Moves the next try of RESERVED redemptions that recovery has tried before forward to `now`. Returns their
    /// number.
    async fn hasten_tries(&mut self, now: DateTime<Utc>) -> Result<u64>;

    /// Returns the number of RESERVED redemptions that were tried at least `tries` times (P13).
    async fn count_stuck(&mut self, tries: u32) -> Result<u64>;

    /// Returns a page, newest first: redemptions with an id below `before`.
    async fn list_redemptions(
        &mut self,
        filter: &RedemptionFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>>;

    /// Records which redemption answers each request id. An id that points to a redemption whose epoch was stale, and
    /// so to no answer, is pointed to the new one (P7). Returns the number of recorded ids: fewer than given if another
    /// transaction recorded one first.
    async fn insert_redemption_requests(
        &mut self,
        requests: &[(&RedemptionRequest, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// Deletes at most `limit` rows made before a time. Returns their number.
    async fn prune_redemption_requests(&mut self, before: DateTime<Utc>, limit: u32)
    -> Result<u64>;

    /// Deletes at most `limit` redemptions of people who were members already that were settled before a time. Returns
    /// their number.
    async fn prune_redemptions(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}

/// Returns the distinct organizations of redemptions, sorted, for locking.
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
