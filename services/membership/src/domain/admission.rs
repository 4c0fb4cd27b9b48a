//! T2: the decision on a redemption.
//!
//! [`decide`] holds the whole rule in order. Admit, its batch and its preview all use it.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use serde::{Deserialize, Serialize};

use super::{
    join_request::{Cause, denied_recently},
    removal::Removals,
};

/// Maximum number of redemptions in one batch.
pub const ADMISSIONS_MAX: usize = 500;

/// The decision of the invitations service in T1; membership may only make it stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Admit at once.
    AtOnce,
    /// Send to the approval queue, for this cause.
    Queue(Cause),
}

/// The request that a redemption makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The invitation's epoch when the redemption was reserved.
    pub epoch: i64,
    /// The decision to admit at once or to queue.
    pub route: Route,
    /// The reason to refuse, if the invitation has no use left for it or is no longer valid (P3).
    pub refuse_reason: Option<ErrorReason>,
    /// When the invitation was made or last reset.
    pub invitation_issue_time: DateTime<Utc>,
    /// True if the invitation admits at once even a person whom staff removed.
    pub allow_rejoin: bool,
}

/// The class that a redemption leads to, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassStanding {
    /// The redemption leads into the organization only.
    NotAskedFor,
    /// The class does not exist, or no longer.
    Absent,
    /// The class is in use.
    Active,
    /// The class is archived: nobody can join.
    Archived,
}

/// The memberships that a person has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The person is not a member of the organization.
    Nothing,
    /// The person is a member of the organization, but not of the class that the redemption leads to.
    OrganizationOnly,
    /// The person is a member of the place that the redemption leads to.
    Place,
}

/// The facts that membership knows, read after the locks were taken (P6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The earlier answer to this redemption, if any.
    pub stored: Option<Outcome>,
    /// The invitation's fence: epochs below it are stale.
    pub fence: i64,
    /// True if the organization exists.
    pub organization_exists: bool,
    /// The class.
    pub class: ClassStanding,
    /// The person's memberships, in any role.
    pub membership: Membership,
    /// True if a request of the person waits there.
    pub has_open_request: bool,
    /// When staff removed the person.
    pub removals: Removals,
    /// When a request of the person was last denied there.
    pub denied_at: Option<DateTime<Utc>>,
    /// True if the organization has a seat for one more Student.
    pub seat_is_free: bool,
}

/// The permanent answer to a redemption (P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "OutcomeColumns", into = "OutcomeColumns")]
pub enum Outcome {
    /// The person is a member now.
    Admitted,
    /// A request was filed.
    Queued,
    /// A request was waiting already.
    AlreadyPending,
    /// The person was a member already.
    AlreadyMember,
    /// The invitation has been reset, revoked, switched off or deleted since.
    StaleEpoch,
    /// The person is not let in.
    Refused(ErrorReason),
}

/// The columns of an outcome.
#[derive(Serialize, Deserialize)]
struct OutcomeColumns {
    outcome: String,
    refuse_reason: String,
}

impl From<Outcome> for OutcomeColumns {
    fn from(outcome: Outcome) -> Self {
        let reason = outcome.refuse_reason();
        Self {
            outcome: outcome.as_str().to_owned(),
            refuse_reason: reason.map_or("", |reason| reason.as_str_name()).to_owned(),
        }
    }
}

impl TryFrom<OutcomeColumns> for Outcome {
    type Error = &'static str;

    fn try_from(columns: OutcomeColumns) -> Result<Self, Self::Error> {
        Self::parse(&columns.outcome, &columns.refuse_reason).ok_or("an outcome is unknown")
    }
}

impl Outcome {
    /// Returns the outcome's name in the contract and the database, without the reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "ADMITTED",
            Self::Queued => "QUEUED",
            Self::AlreadyPending => "ALREADY_PENDING",
            Self::AlreadyMember => "ALREADY_MEMBER",
            Self::StaleEpoch => "STALE_EPOCH",
            Self::Refused(_) => "REFUSED",
        }
    }

    /// Returns the outcome with this name and reason.
    #[must_use]
    pub fn parse(outcome: &str, refuse_reason: &str) -> Option<Self> {
        Some(match outcome {
            "ADMITTED" => Self::Admitted,
            "QUEUED" => Self::Queued,
            "ALREADY_PENDING" => Self::AlreadyPending,
            "ALREADY_MEMBER" => Self::AlreadyMember,
            "STALE_EPOCH" => Self::StaleEpoch,
            "REFUSED" => Self::Refused(ErrorReason::from_str_name(refuse_reason)?),
            _ => return None,
        })
    }

    /// Returns the reason of a refusal.
    #[must_use]
    pub const fn refuse_reason(self) -> Option<ErrorReason> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The action to take for a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Do nothing: it was answered before.
    Stored(Outcome),
    /// Make the person a member, and close their waiting requests there (P8).
    Admit,
    /// File a request.
    Queue(Cause),
    /// Store this answer and do nothing else.
    Answer(Outcome),
}

impl Decision {
    /// Returns the answer to the redemption.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Stored(outcome) | Self::Answer(outcome) => outcome,
            Self::Admit => Outcome::Admitted,
            Self::Queue(_) => Outcome::Queued,
        }
    }
}

/// Decides one redemption.
#[must_use]
pub fn decide(facts: &Facts, attempt: &Attempt, now: DateTime<Utc>) -> Decision {
    let refuse = |reason| Decision::Answer(Outcome::Refused(reason));
    // P1: a redemption is answered once.
    if let Some(outcome) = facts.stored {
        return Decision::Stored(outcome);
    }
    // P7: nothing below an answered fence is admitted.
    if attempt.epoch < facts.fence {
        return Decision::Answer(Outcome::StaleEpoch);
    }
    if !facts.organization_exists {
        return refuse(ErrorReason::OrganizationNotFound);
    }
    if facts.class == ClassStanding::Absent {
        return refuse(ErrorReason::ClassNotFound);
    }
    // R2: a member's redemption spends nothing, even on a used-up or expired invitation.
    if facts.membership == Membership::Place {
        return Decision::Answer(Outcome::AlreadyMember);
    }
    // R8: an invitation older than the removal leads to the queue.
    let removed = !attempt.allow_rejoin && facts.removals.outlive(attempt.invitation_issue_time);
    let route = if removed {
        Route::Queue(Cause::RemovedBefore)
    } else {
        attempt.route
    };
    // R2, P2: sent to the queue again, the person keeps the same request; admitted at once, P8 closes it.
    let queues = matches!(route, Route::Queue(_));
    if facts.has_open_request && (queues || attempt.refuse_reason.is_some()) {
        return Decision::Answer(Outcome::AlreadyPending);
    }
    // P3: without a use, the only answer left is the refusal.
    if let Some(reason) = attempt.refuse_reason {
        return refuse(reason);
    }
    if facts.class == ClassStanding::Archived {
        return refuse(ErrorReason::ClassArchived);
    }
    match route {
        // R9
        Route::Queue(_) if facts.denied_at.is_some_and(|at| denied_recently(at, now)) => {
            refuse(ErrorReason::DeniedRecently)
        }
        // X9: a waiting request holds no seat, so a full organization queues too.
        Route::Queue(cause) => Decision::Queue(cause),
        // B13, B14: only a person new to the organization takes a seat.
        Route::AtOnce if facts.membership == Membership::Nothing && !facts.seat_is_free => {
            refuse(ErrorReason::NoSeats)
        }
        Route::AtOnce => Decision::Admit,
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
