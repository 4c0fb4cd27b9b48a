//! Attempts that were refused and left no redemption, which show guessing to staff and operators. They hold no
//! credential and no address.

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

homeroom_kit::named! {
    /// The decision of the limiter about an attempt (R10).
    pub enum LimiterDecision: as_str, from_name {
        /// The attempt may go on.
        Allowed = "ALLOWED",
        /// The attempt may go on, but a short credential leads to the queue.
        Guarded = "GUARDED",
        /// The attempt is refused: too many failures of the user.
        RefusedUser = "REFUSED_USER",
        /// The attempt is refused: too many failures from the address.
        RefusedAddress = "REFUSED_ADDRESS",
        /// The attempt is refused: too many attempts of the calling service.
        RefusedCallingService = "REFUSED_CALLING_SERVICE",
    }
}

impl LimiterDecision {
    /// Returns true if the attempt may go on.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Allowed | Self::Guarded)
    }
}

/// One refused attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAttempt {
    /// A version 7 UUID made from `create_time`, by which attempts are listed and pruned.
    #[serde(rename = "attempt_id")]
    pub id: Uuid,
    /// The place that the attempt names, or that its usable credential is for; None if neither is known.
    #[serde(flatten, with = "columns::optional_place")]
    pub place: Option<Place>,
    /// The invitation's resource name; empty if the credential opens nothing (R5).
    pub invitation: String,
    /// The person who would have got in.
    #[serde(rename = "user_id", with = "columns::text")]
    pub user: UserId,
    /// The subject of the access token that the attempt came with.
    pub calling_service: String,
    /// True if it was a preview.
    #[serde(with = "columns::flag")]
    pub preview: bool,
    /// The reason that was answered.
    #[serde(with = "columns::reason")]
    pub reason: ErrorReason,
    /// The decision of the limiter.
    pub limiter_decision: LimiterDecision,
    /// The time of the answer.
    #[serde(with = "columns::time")]
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
