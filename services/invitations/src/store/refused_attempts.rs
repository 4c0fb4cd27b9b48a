//! Attempts that were refused and left no redemption: what staff and operators see of guessing.
//! No credential and no address is in them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::Place,
};
use uuid::Uuid;

use super::Result;

/// What the limiter said to an attempt (R10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimiterDecision {
    /// To go on.
    Allowed,
    /// To go on, with a short credential to the queue.
    Guarded,
    /// Not to go on: too many failures of the user.
    RefusedUser,
    /// Not to go on: too many failures from the address.
    RefusedAddress,
    /// Not to go on: too many attempts of the calling service.
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
    /// Whether it let the attempt go on.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Allowed | Self::Guarded)
    }
}

/// One refused attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAttempt {
    /// A UUID of version 7 and of `create_time`, by which it is listed and pruned.
    pub id: Uuid,
    /// What the attempt names, or its living credential is for; None where neither is known.
    pub place: Option<Place>,
    /// The invitation's resource name; empty of what opens nothing (R5).
    pub invitation: String,
    /// Who would have got in.
    pub user: UserId,
    /// The subject of the token that it came with.
    pub calling_service: String,
    /// It was a preview.
    pub preview: bool,
    /// What it was answered.
    pub reason: ErrorReason,
    /// What the limiter said.
    pub limiter_decision: LimiterDecision,
    /// When it was answered.
    pub create_time: DateTime<Utc>,
}

/// Which refused attempts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedAttemptFilter {
    /// Only of this organization; None for every one and none.
    pub organization: Option<OrganizationId>,
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only those refused so.
    pub reason: Option<ErrorReason>,
    /// Only those made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before.
    pub till: Option<DateTime<Utc>>,
}

/// Rows of `refused_attempts`.
#[async_trait]
pub trait RefusedAttempts: Send {
    /// Writes them, all in one statement.
    async fn insert_refused_attempts(&mut self, attempts: &[RefusedAttempt]) -> Result<()>;

    /// Those that the filter takes, newest first, from below `before` on; at most `limit`.
    async fn list_refused_attempts(
        &mut self,
        filter: &RefusedAttemptFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<RefusedAttempt>>;

    /// Deletes rows made before a time, exact to the millisecond, at most `limit`. Gives how many.
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
