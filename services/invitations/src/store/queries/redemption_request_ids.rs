//! `redemption_request_ids`, for both engines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::{
    clock::micros,
    request_ids::{RequestKey, forgotten_before},
};
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

use super::{SqlRepository, corrupt, hex, redemption_row::uuid};
use crate::store::{KnownRequest, RedemptionRequest, RedemptionRequests, Result};

const FIND: &str = concat!(
    "SELECT CAST(input.value->>'index' AS BIGINT) AS request_index, \
     known.body_mac, known.redemption_id FROM ",
    json_rows!("$1"),
    " JOIN redemption_request_ids AS known ON known.subject = input.value->>'subject' \
     AND known.acting_user = input.value->>'acting_user' \
     AND known.method = input.value->>'method' \
     AND known.request_id = input.value->>'request_id' \
     WHERE known.create_time >= $2"
);

/// A row that is forgotten but not yet pruned is claimed anew, and one whose redemption was stale
/// is re-pointed. Sorted, so that two batches with
/// request ids in common wait for each other and never in a circle.
const INSERT: &str = concat!(
    "INSERT INTO redemption_request_ids \
     (subject, acting_user, method, request_id, body_mac, redemption_id, create_time) \
     SELECT input.value->>'subject', input.value->>'acting_user', input.value->>'method', \
     input.value->>'request_id', ",
    from_hex!("input.value->>'body_mac'"),
    ", input.value->>'redemption_id', $2 FROM ",
    json_rows!("$1"),
    " WHERE true ORDER BY 1, 2, 3, 4 \
     ON CONFLICT (subject, acting_user, method, request_id) DO UPDATE \
     SET body_mac = excluded.body_mac, redemption_id = excluded.redemption_id, \
     create_time = excluded.create_time WHERE redemption_request_ids.create_time < $3 \
     OR EXISTS (SELECT 1 FROM redemptions \
     WHERE redemptions.redemption_id = redemption_request_ids.redemption_id \
     AND redemptions.state = 'RELEASED' AND redemptions.outcome = '')"
);

const PRUNE: &str = "DELETE FROM redemption_request_ids \
    WHERE (subject, acting_user, method, request_id) IN ( \
    SELECT subject, acting_user, method, request_id FROM redemption_request_ids \
    WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

pub(super) const STATEMENTS: &[&str] = &[FIND, INSERT, PRUNE];

fn key_json(key: &RequestKey) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("subject".into(), key.subject.as_str().into());
    fields.insert("acting_user".into(), key.acting_user.as_str().into());
    fields.insert("method".into(), key.method.as_str().into());
    fields.insert("request_id".into(), key.request_id.to_string().into());
    fields
}

#[async_trait]
impl RedemptionRequests for SqlRepository {
    async fn find_redemption_requests(
        &mut self,
        requests: &[&RedemptionRequest],
        now: DateTime<Utc>,
    ) -> Result<Vec<Option<KnownRequest>>> {
        let mut known = vec![None; requests.len()];
        if requests.is_empty() {
            return Ok(known);
        }
        let keys: Vec<Value> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| {
                let mut fields = key_json(&request.key);
                fields.insert("index".into(), index.into());
                Value::Object(fields)
            })
            .collect();
        let rows = sqlx::query(FIND)
            .bind(Value::Array(keys).to_string())
            .bind(micros(forgotten_before(now)))
            .fetch_all(self.connection())
            .await?;
        for row in rows {
            let index: i64 = row.try_get("request_index")?;
            let body_mac: Vec<u8> = row.try_get("body_mac")?;
            let redemption = uuid(row.try_get("redemption_id")?)?;
            let index = usize::try_from(index).map_err(|_| corrupt("an index is negative"))?;
            if let (Some(request), Some(slot)) = (requests.get(index), known.get_mut(index)) {
                *slot = Some(if request.body.matches(&body_mac) {
                    KnownRequest::Answered(redemption)
                } else {
                    KnownRequest::Conflict
                });
            }
        }
        Ok(known)
    }

    async fn insert_redemption_requests(
        &mut self,
        requests: &[(&RedemptionRequest, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        if requests.is_empty() {
            return Ok(0);
        }
        let rows: Vec<Value> = requests
            .iter()
            .map(|(request, redemption)| {
                let mut fields = key_json(&request.key);
                fields.insert("body_mac".into(), hex(request.body.stored()).into());
                fields.insert("redemption_id".into(), redemption.to_string().into());
                Value::Object(fields)
            })
            .collect();
        let done = sqlx::query(INSERT)
            .bind(Value::Array(rows).to_string())
            .bind(micros(now))
            .bind(micros(forgotten_before(now)))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }

    async fn prune_redemption_requests(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64> {
        let done = sqlx::query(PRUNE)
            .bind(micros(before))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }
}
