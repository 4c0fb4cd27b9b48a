//! Attempts that were refused and left no redemption, which show guessing to staff and operators. They hold no
//! credential and no address.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::Place,
};
use uuid::Uuid;

use super::Result;

/// The decision of the limiter about an attempt (R10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimiterDecision {
    /// The attempt may go on.
    Allowed,
    /// The attempt may go on, but a short credential leads to the queue.
    Guarded,
    /// The attempt is refused: too many failures of the user.
    RefusedUser,
    /// The attempt is refused: too many failures from the address.
    RefusedAddress,
    /// The attempt is refused: too many attempts of the calling service.
    RefusedCallingService,
}

homeroom_kit::named! {
    LimiterDecision, as_str, from_name:
    Allowed = "ALLOWED",
    Guarded = "GUARDED",
    RefusedUser = "REFUSED_USER",
    RefusedAddress = "REFUSED_ADDRESS",
    RefusedCallingService = "REFUSED_CALLING_SERVICE",
}

impl LimiterDecision {
    /// Returns true if the attempt may go on.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Allowed | Self::Guarded)
    }
}

/// One refused attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAttempt {
    /// A version 7 UUID made from `create_time`, by which attempts are listed and pruned.
    pub id: Uuid,
    /// The place that the attempt names, or that its usable credential is for; None if neither is known.
    pub place: Option<Place>,
    /// The invitation's resource name; empty if the credential opens nothing (R5).
    pub invitation: String,
    /// The person who would have got in.
    pub user: UserId,
    /// The subject of the access token that the attempt came with.
    pub calling_service: String,
    /// True if it was a preview.
    pub preview: bool,
    /// The reason that was answered.
    pub reason: ErrorReason,
    /// The decision of the limiter.
    pub limiter_decision: LimiterDecision,
    /// The time of the answer.
    pub create_time: DateTime<Utc>,
}

/// The conditions on the refused attempts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedAttemptFilter {
    /// Only of this organization; None for all attempts, with or without an organization.
    pub organization: Option<OrganizationId>,
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only those refused with this reason.
    pub reason: Option<ErrorReason>,
    /// Only those made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before this time.
    pub till: Option<DateTime<Utc>>,
}

/// Rows of `refused_attempts`.
#[async_trait]
pub trait RefusedAttempts: Send {
    /// Writes all attempts in one statement.
    async fn insert_refused_attempts(&mut self, attempts: &[RefusedAttempt]) -> Result<()>;

    /// Returns the attempts that match the filter and have an id below `before`, newest first; at most `limit`.
    async fn list_refused_attempts(
        &mut self,
        filter: &RefusedAttemptFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<RefusedAttempt>>;

    /// Deletes at most `limit` rows made before a time, exact to the millisecond. Returns their number.
    async fn prune_refused_attempts(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}

#[cfg(test)]
mod tests {
    use homeroom_api::invitations::v1::refused_attempt;

    use super::*;

    #[test]
    fn each_decision_is_stored_under_its_name_in_the_contract() {
        for decision in LimiterDecision::ALL {
            let name = decision.as_str();
            assert_eq!(LimiterDecision::from_name(name), Some(decision));
            assert!(
                refused_attempt::LimiterDecision::from_str_name(name).is_some(),
                "{name}"
            );
        }
    }
}
