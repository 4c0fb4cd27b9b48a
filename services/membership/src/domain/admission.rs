//! T2: whether a redemption lets its person in (03, the redemption protocol).
//!
//! [`decide`] is the whole rule, from the first question to the last. It serves Admit, its batch and
//! its preview alike.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;

use super::{
    join_request::{Cause, denied_recently},
    removal::Removals,
};

/// Redemptions in one batch.
pub const ADMISSIONS_MAX: usize = 500;

/// What invitations decided in T1; membership may only tighten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// In at once.
    AtOnce,
    /// Into the approval queue, for this cause.
    Queue(Cause),
}

/// What a redemption asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The invitation's epoch when the redemption was reserved.
    pub epoch: i64,
    /// At once, or into the queue.
    pub route: Route,
    /// Set where the invitation holds no use for it, or is no longer valid (03 P3).
    pub refuse_reason: Option<ErrorReason>,
    /// When the invitation was made or last reset.
    pub invitation_issue_time: DateTime<Utc>,
    /// The invitation lets in at once even whom staff removed.
    pub allow_rejoin: bool,
}

/// The class that a redemption leads to, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassStanding {
    /// The redemption leads into the organization only.
    NotAskedFor,
    /// There is none, or no longer.
    Absent,
    /// In use.
    Active,
    /// Nobody joins.
    Archived,
}

/// Of what a person is a member already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Of nothing here.
    Nothing,
    /// Of the organization, but not of the class that the redemption leads to.
    OrganizationOnly,
    /// Of what the redemption leads to.
    Place,
}

/// What membership knows, read after the locks were taken (03 P6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What this very redemption was answered before.
    pub stored: Option<Outcome>,
    /// The invitation's fence: epochs below it are stale.
    pub fence: i64,
    /// Whether the organization exists.
    pub organization_exists: bool,
    /// The class.
    pub class: ClassStanding,
    /// Of what the person is a member, in any role.
    pub membership: Membership,
    /// Whether a request of the person waits there.
    pub has_open_request: bool,
    /// Whom staff removed.
    pub removals: Removals,
    /// When a request of the person was last denied there.
    pub denied_at: Option<DateTime<Utc>>,
    /// Whether the organization has a seat for one more Student.
    pub seat_is_free: bool,
}

/// What a redemption is answered, for ever the same (03 P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A member now.
    Admitted,
    /// A request was filed.
    Queued,
    /// A request was waiting already.
    AlreadyPending,
    /// Was a member already.
    AlreadyMember,
    /// The invitation has been reset, revoked, switched off or deleted since.
    StaleEpoch,
    /// Not let in.
    Refused(ErrorReason),
}

impl Outcome {
    /// As the contract and the database write it; the reason stands apart.
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

    /// The outcome of that name and reason.
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

    /// Why, where it is a refusal.
    #[must_use]
    pub const fn refuse_reason(self) -> Option<ErrorReason> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

/// What is to be done with a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it was answered before.
    Stored(Outcome),
    /// Make the person a member, and close what they have waiting there (P8).
    Admit,
    /// File a request.
    Queue(Cause),
    /// Nothing but to store this answer.
    Answer(Outcome),
}

impl Decision {
    /// What the redemption is answered.
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
    // R2: nothing is spent, also on a used-up or expired invitation.
    if facts.membership == Membership::Place {
        return Decision::Answer(Outcome::AlreadyMember);
    }
    // R8: a removal sends to the queue whatever is older than it.
    let removed = !attempt.allow_rejoin && facts.removals.outlive(attempt.invitation_issue_time);
    let route = if removed {
        Route::Queue(Cause::RemovedBefore)
    } else {
        attempt.route
    };
    // R2, P2: led to the queue again, it is the same request; admitted at once, P8 closes it.
    let queues = matches!(route, Route::Queue(_));
    if facts.has_open_request && (queues || attempt.refuse_reason.is_some()) {
        return Decision::Answer(Outcome::AlreadyPending);
    }
    // P3: without a use nothing else may be answered.
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
        // B13, B14: only who is new to the organization takes a seat.
        Route::AtOnce if facts.membership == Membership::Nothing && !facts.seat_is_free => {
            refuse(ErrorReason::NoSeats)
        }
        Route::AtOnce => Decision::Admit,
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
