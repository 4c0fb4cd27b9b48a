//! Statements on `refused_attempts`, for both engines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, ids::UserId};
use homeroom_kit::clock::{from_micros, micros};
use serde_json::{Value, json};
use sqlx::{Database, Row as _};
use uuid::Uuid;

use super::{
    super::Db,
    SqlRepository,
    by_time::{id_bounds, least_id, place, place_columns},
    corrupt,
    redemption_row::uuid,
    rows_json, user_id,
};
use crate::store::{
    LimiterDecision, RefusedAttempt, RefusedAttemptFilter, RefusedAttempts, Result,
};

/// Selects a page by the range of one index, as the list of redemptions does.
macro_rules! list {
    ($range:literal, $order:literal) => {
        concat!(
            "SELECT attempt_id, organization_id, class_id, invitation, user_id, calling_service, \
             preview, reason, limiter_decision, create_time FROM refused_attempts WHERE ",
            $range,
            " AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR user_id = $2) \
             AND ($3 = '' OR reason = $3) AND create_time >= $4 AND create_time < $5 \
             AND attempt_id >= $6 AND attempt_id < $7 ORDER BY ",
            $order,
            "attempt_id DESC LIMIT $8"
        )
    };
}

homeroom_kit::statements! {
    INSERT = concat!(
        "INSERT INTO refused_attempts (attempt_id, organization_id, class_id, invitation, user_id, \
         calling_service, preview, reason, limiter_decision, create_time) \
         SELECT input.value->>'attempt_id', input.value->>'organization_id', input.value->>'class_id', \
         input.value->>'invitation', input.value->>'user_id', input.value->>'calling_service', \
         CAST(input.value->>'preview' AS BOOLEAN), input.value->>'reason', \
         input.value->>'limiter_decision', CAST(input.value->>'create_time' AS BIGINT) FROM ",
        json_rows!("$1"),
    );

    LIST = list!("true", "");

    LIST_BY_ORGANIZATION = list!(
        "organization_id >= $1 AND (organization_id, attempt_id) < ($1, $7)",
        "organization_id DESC, "
    );

    LIST_BY_USER = list!("user_id >= $2 AND (user_id, attempt_id) < ($2, $7)", "user_id DESC, ");

    PRUNE = "DELETE FROM refused_attempts WHERE attempt_id IN \
        (SELECT attempt_id FROM refused_attempts WHERE attempt_id < $1 ORDER BY attempt_id LIMIT $2)";
}

fn to_json(attempt: &RefusedAttempt) -> Value {
    let (organization, class) = place_columns(attempt.place.as_ref());
    json!({
        "attempt_id": attempt.id.to_string(),
        "organization_id": organization,
        "class_id": class,
        "invitation": attempt.invitation,
        "user_id": attempt.user.as_str(),
        "calling_service": attempt.calling_service,
        "preview": attempt.preview,
        "reason": attempt.reason.as_str_name(),
        "limiter_decision": attempt.limiter_decision.as_str(),
        "create_time": micros(attempt.create_time),
    })
}

fn read(row: &<Db as Database>::Row) -> Result<RefusedAttempt> {
    Ok(RefusedAttempt {
        id: uuid(row.try_get("attempt_id")?)?,
        place: place(row.try_get("organization_id")?, row.try_get("class_id")?)?,
        invitation: row.try_get("invitation")?,
        user: user_id(row.try_get("user_id")?)?,
        calling_service: row.try_get("calling_service")?,
        preview: row.try_get("preview")?,
        reason: ErrorReason::from_str_name(row.try_get("reason")?)
            .ok_or_else(|| corrupt("a refusal's reason is unknown"))?,
        limiter_decision: LimiterDecision::from_name(row.try_get("limiter_decision")?)
            .ok_or_else(|| corrupt("a limiter's decision is unknown"))?,
        create_time: from_micros(row.try_get("create_time")?),
    })
}

#[async_trait]
impl RefusedAttempts for SqlRepository {
    async fn insert_refused_attempts(&mut self, attempts: &[RefusedAttempt]) -> Result<()> {
        sqlx::query(INSERT)
            .bind(rows_json(attempts.iter().map(to_json)))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn list_refused_attempts(
        &mut self,
        filter: &RefusedAttemptFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<RefusedAttempt>> {
        let statement = match (&filter.user, &filter.organization) {
            (Some(_), _) => LIST_BY_USER,
            (None, Some(_)) => LIST_BY_ORGANIZATION,
            (None, None) => LIST,
        };
        let (least, end) = id_bounds(filter.from, filter.till, before);
        let organization = filter.organization.as_ref();
        let rows = sqlx::query(statement)
            .bind(organization.map_or("", OrganizationId::as_str))
            .bind(filter.user.as_ref().map_or("", UserId::as_str))
            .bind(filter.reason.map_or("", |reason| reason.as_str_name()))
            .bind(filter.from.map_or(i64::MIN, micros))
            .bind(filter.till.map_or(i64::MAX, micros))
            .bind(least)
            .bind(end)
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn prune_refused_attempts(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let done = sqlx::query(PRUNE)
            .bind(least_id(before))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }
}
