//! Redemptions and the request ids that they answer. A redemption is one use of an invitation by one person.
//! `redemption/ledger/sql.rs` has the operations.

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::{Place, RedemptionName},
};
use homeroom_kit::{
    request_ids::{BodyMac, RequestKey},
    store::{Table, columns},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    decide::{Decision, QueueCause},
    earlier_redemptions::EarlierRedemption,
    invitation::{Epoch, InvitationKind},
    redemption::{Outcome, RedemptionState},
};

/// The person who gets in, as the platform knows them; membership shows this to staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The platform's id.
    #[serde(rename = "user_id", with = "columns::text")]
    pub user: UserId,
    /// The display name: at most 200 characters.
    pub display_name: String,
    /// The canonical address; empty if unknown.
    pub email: String,
    /// The id in the school's own system; empty if unknown or not believed.
    pub external_id: String,
}

/// The decision of T1, which membership may only tighten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RouteColumns", into = "RouteColumns")]
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

/// The columns of a route: its name, the cause of queueing, and the refusal of people who are not known.
#[derive(Serialize, Deserialize)]
struct RouteColumns {
    route: String,
    queue_cause: String,
    #[serde(with = "columns::optional_reason")]
    refuse_if_unknown: Option<ErrorReason>,
}

impl From<Route> for RouteColumns {
    fn from(route: Route) -> Self {
        let (route, queue_cause, refuse_if_unknown) = match route {
            Route::AdmitAtOnce => ("ADMIT_AT_ONCE", None, None),
            Route::Queue(cause) => ("QUEUE", Some(cause.as_str()), None),
            Route::OnlyIfKnown(reason) => ("ADMIT_AT_ONCE", None, Some(reason)),
        };
        Self {
            route: route.to_owned(),
            queue_cause: queue_cause.unwrap_or_default().to_owned(),
            refuse_if_unknown,
        }
    }
}

impl TryFrom<RouteColumns> for Route {
    type Error = &'static str;

    fn try_from(columns: RouteColumns) -> std::result::Result<Self, Self::Error> {
        let cause = QueueCause::from_name(&columns.queue_cause);
        let refusal = columns.refuse_if_unknown;
        match (columns.route.as_str(), cause, refusal) {
            ("ADMIT_AT_ONCE", _, None) => Ok(Self::AdmitAtOnce),
            ("ADMIT_AT_ONCE", _, Some(reason)) => Ok(Self::OnlyIfKnown(reason)),
            ("QUEUE", Some(cause), _) => Ok(Self::Queue(cause)),
            _ => Err("a route of redemptions is unknown"),
        }
    }
}

/// The columns of an outcome: its name, and the reason of a refusal; both are empty for none.
#[derive(Serialize, Deserialize)]
pub(crate) struct OutcomeColumns {
    outcome: String,
    #[serde(with = "columns::optional_reason")]
    refuse_reason: Option<ErrorReason>,
}

impl From<Option<Outcome>> for OutcomeColumns {
    fn from(outcome: Option<Outcome>) -> Self {
        let (outcome, refuse_reason) = match outcome {
            None => ("", None),
            Some(Outcome::Admitted) => ("ADMITTED", None),
            Some(Outcome::PendingApproval) => ("PENDING_APPROVAL", None),
            Some(Outcome::AlreadyMember) => ("ALREADY_MEMBER", None),
            Some(Outcome::Refused(reason)) => ("REFUSED", Some(reason)),
        };
        Self {
            outcome: outcome.to_owned(),
            refuse_reason,
        }
    }
}

/// The outcome in its columns, for serde's attribute `with`.
mod outcome {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::{Outcome, OutcomeColumns};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        outcome: &Option<Outcome>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        OutcomeColumns::from(*outcome).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Outcome>, D::Error> {
        let columns = OutcomeColumns::deserialize(from)?;
        match (columns.outcome.as_str(), columns.refuse_reason) {
            ("", _) => Ok(None),
            ("ADMITTED", _) => Ok(Some(Outcome::Admitted)),
            ("PENDING_APPROVAL", _) => Ok(Some(Outcome::PendingApproval)),
            ("ALREADY_MEMBER", _) => Ok(Some(Outcome::AlreadyMember)),
            ("REFUSED", Some(reason)) => Ok(Some(Outcome::Refused(reason))),
            _ => Err(D::Error::custom("an outcome of redemptions is unknown")),
        }
    }
}

pub(super) const REDEMPTIONS: Table = Table {
    texts: &[
        "redemption_id",
        "invitation_id",
        "invitation",
        "kind",
        "organization_id",
        "class_id",
        "user_id",
        "display_name",
        "email",
        "external_id",
        "route",
        "queue_cause",
        "refuse_if_unknown",
        "state",
        "outcome",
        "refuse_reason",
        "join_request",
    ],
    numbers: &[
        "epoch",
        "vouch_time",
        "issue_time",
        "tries",
        "next_try_time",
        "create_time",
        "settle_time",
    ],
    flags: &["allow_rejoin", "holds_use"],
    ..Table::new("redemptions")
};

/// One redemption, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// The redemption's id, the key of T2 (P1).
    #[serde(rename = "redemption_id")]
    pub id: Uuid,
    /// The invitation that was used.
    pub invitation_id: Uuid,
    /// The invitation's resource name, the key of its fence.
    pub invitation: String,
    /// The kind of the invitation.
    #[serde(with = "columns::kind")]
    pub kind: InvitationKind,
    /// The invitation's epoch at the reservation.
    pub epoch: Epoch,
    /// The place to join, from the invitation's row (P12).
    #[serde(flatten, with = "columns::place")]
    pub place: Place,
    /// The person who joins.
    #[serde(flatten)]
    pub person: Person,
    /// The time at which the person's own token, or a platform that vouches, described the person so; None if neither
    /// did.
    #[serde(with = "columns::optional_time")]
    pub vouch_time: Option<DateTime<Utc>>,
    /// The decision.
    #[serde(flatten)]
    pub route: Route,
    /// The time at which the invitation was made or last reset (R8).
    #[serde(with = "columns::time")]
    pub issue_time: DateTime<Utc>,
    /// True if the invitation admits at once even people whom staff removed.
    #[serde(with = "columns::flag")]
    pub allow_rejoin: bool,
    /// True if it holds, or held, a use (P3, P4). A redemption that waits may hand its use to another of the same
    /// person, and gets it back if that one fails; a redemption under way keeps its use.
    #[serde(with = "columns::flag")]
    pub holds_use: bool,
    /// The state.
    pub state: RedemptionState,
    /// The first outcome (P9); None while it is not known, and permanently if the epoch was stale (P7).
    #[serde(flatten, with = "outcome")]
    pub outcome: Option<Outcome>,
    /// The resource name of the join request that it filed or met; empty if none.
    pub join_request: String,
    /// The number of tries by recovery (P13).
    pub tries: u32,
    /// The time at which recovery or the sweep looks at it next.
    #[serde(with = "columns::time")]
    pub next_try_time: DateTime<Utc>,
    /// The time of the reservation.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
    /// The time of the last change of state.
    #[serde(with = "columns::optional_time")]
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
