//! Attempts that were refused and left no redemption, which show guessing to staff and operators. They hold no
//! credential and no address.

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    args,
    clock::micros,
    store::{Table, columns, json_rows},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Repository, Result,
    by_time::{id_bounds, least_id},
};

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

const REFUSED_ATTEMPTS: Table = Table {
    texts: &[
        "attempt_id",
        "organization_id",
        "class_id",
        "invitation",
        "user_id",
        "calling_service",
        "reason",
        "limiter_decision",
    ],
    numbers: &["create_time"],
    flags: &["preview"],
    ..Table::new("refused_attempts")
};

/// Returns the selection of a page by the range of one index, as the list of redemptions does.
fn list(range: &str, order: &str) -> String {
    format!(
        "SELECT {} FROM refused_attempts WHERE {range} \
         AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR user_id = $2) \
         AND ($3 = '' OR reason = $3) AND create_time >= $4 AND create_time < $5 \
         AND attempt_id >= $6 AND attempt_id < $7 ORDER BY {order}attempt_id DESC LIMIT $8",
        REFUSED_ATTEMPTS.of("refused_attempts")
    )
}

homeroom_kit::statements! {
    INSERT(on) = REFUSED_ATTEMPTS.insert(on, "$1");

    LIST = list("true", "");

    LIST_BY_ORGANIZATION = list(
        "organization_id >= $1 AND (organization_id, attempt_id) < ($1, $7)",
        "organization_id DESC, "
    );

    LIST_BY_USER = list("user_id >= $2 AND (user_id, attempt_id) < ($2, $7)", "user_id DESC, ");

    PRUNE = "DELETE FROM refused_attempts WHERE attempt_id IN \
        (SELECT attempt_id FROM refused_attempts WHERE attempt_id < $1 ORDER BY attempt_id LIMIT $2)";
}

impl Repository {
    /// Writes all attempts in one statement.
    pub async fn insert_refused_attempts(&mut self, attempts: &[RefusedAttempt]) -> Result<()> {
        self.0.run(&INSERT, args![json_rows(attempts)]).await?;
        Ok(())
    }

    /// Returns the attempts that match the filter and have an id below `before`, newest first; at most `limit`.
    pub async fn list_refused_attempts(
        &mut self,
        filter: &RefusedAttemptFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<RefusedAttempt>> {
        let list = match (&filter.user, &filter.organization) {
            (Some(_), _) => &LIST_BY_USER,
            (None, Some(_)) => &LIST_BY_ORGANIZATION,
            (None, None) => &LIST,
        };
        let (least, end) = id_bounds(filter.from, filter.till, before);
        let bound = args![
            filter.organization.as_ref(),
            filter.user.as_ref(),
            filter.reason.map(|reason| reason.as_str_name()),
            filter.from.map_or(i64::MIN, micros),
            filter.till.map_or(i64::MAX, micros),
            least,
            end,
            limit,
        ];
        self.0.all(list, bound).await
    }

    /// Deletes at most `limit` rows made before a time, exact to the millisecond. Returns their number.
    pub async fn prune_refused_attempts(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64> {
        self.0.run(&PRUNE, args![least_id(before), limit]).await
    }
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
