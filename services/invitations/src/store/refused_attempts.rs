//! Attempts that were refused and left no redemption.

use chrono::{DateTime, Utc};
use homeroom_kit::{
    args,
    clock::micros,
    store::{Table, json_rows},
};
use uuid::Uuid;

use super::{
    Repository, Result,
    by_time::{id_bounds, least_id},
};
use crate::domain::refused_attempt::{RefusedAttempt, RefusedAttemptFilter};

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
