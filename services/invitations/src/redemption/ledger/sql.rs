//! `redemptions`, and what redeeming does to `invitations`; one statement for many rows, for both
//! engines. Rows are passed as one JSON text, which both take apart (`json_rows!`).

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::ids::{ClassId, UserId};
use homeroom_kit::{
    clock::micros,
    failpoints::{WrongVariant, is_wrong},
    request_ids::{RequestKey, forgotten_before},
};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    super::Db,
    SqlRepository, corrupt, hex, ids_json, invitation_row,
    invitations::select_invitations,
    redemption_row::{outcome_columns, read, to_json, uuid},
};
use crate::{
    domain::redemption::RedemptionState,
    redemption::ledger::{
        LivingKey, Redemption, RedemptionFilter, RedemptionRequest, Redemptions, Resolved,
        StateChange, UsesChange,
    },
    store::{InvitationRow, Result},
};

macro_rules! redemption_columns {
    () => {
        "SELECT redemptions.redemption_id, redemptions.invitation_id, redemptions.invitation, \
         redemptions.kind, redemptions.epoch, redemptions.organization_id, redemptions.class_id, \
         redemptions.user_id, redemptions.display_name, redemptions.email, redemptions.external_id, \
         redemptions.route, redemptions.queue_cause, redemptions.refuse_if_unknown, \
         redemptions.issue_time, redemptions.allow_rejoin, redemptions.holds_use, redemptions.state, \
         redemptions.outcome, redemptions.refuse_reason, redemptions.join_request, redemptions.tries, \
         redemptions.next_try_time, redemptions.create_time, redemptions.settle_time"
    };
}

macro_rules! select {
    ($($rest:tt)+) => {
        concat!(redemption_columns!(), " FROM ", $($rest)+)
    };
}
pub(super) use {redemption_columns, select as select_redemptions};

const LOCK_INVITATIONS: &str = select_invitations!(
    "WHERE invitation_id IN (SELECT input.value->>'id' FROM ",
    json_rows!("$1"),
    ") ORDER BY invitation_id",
    for_update!()
);

const INSERT: &str = concat!(
    "INSERT INTO redemptions (redemption_id, invitation_id, invitation, kind, epoch, \
     organization_id, class_id, user_id, display_name, email, external_id, route, queue_cause, \
     refuse_if_unknown, issue_time, allow_rejoin, holds_use, state, outcome, refuse_reason, \
     join_request, tries, next_try_time, create_time, settle_time) \
     SELECT input.value->>'redemption_id', input.value->>'invitation_id', \
     input.value->>'invitation', input.value->>'kind', CAST(input.value->>'epoch' AS BIGINT), \
     input.value->>'organization_id', input.value->>'class_id', input.value->>'user_id', \
     input.value->>'display_name', input.value->>'email', input.value->>'external_id', \
     input.value->>'route', input.value->>'queue_cause', input.value->>'refuse_if_unknown', \
     CAST(input.value->>'issue_time' AS BIGINT), CAST(input.value->>'allow_rejoin' AS BOOLEAN), \
     CAST(input.value->>'holds_use' AS BOOLEAN), input.value->>'state', input.value->>'outcome', \
     input.value->>'refuse_reason', input.value->>'join_request', \
     CAST(input.value->>'tries' AS BIGINT), CAST(input.value->>'next_try_time' AS BIGINT), \
     CAST(input.value->>'create_time' AS BIGINT), CAST(input.value->>'settle_time' AS BIGINT) FROM ",
    json_rows!("$1"),
    " WHERE true ON CONFLICT DO NOTHING RETURNING redemption_id"
);

const FIND_LIVING: &str = select!(
    json_rows!("$1"),
    " JOIN redemptions ON redemptions.invitation_id = input.value->>'invitation_id' \
     AND redemptions.epoch = CAST(input.value->>'epoch' AS BIGINT) \
     AND redemptions.user_id = input.value->>'user_id' \
     WHERE redemptions.state IN ('RESERVED', 'QUEUED')"
);

const GET: &str = select!(
    json_rows!("$1"),
    " JOIN redemptions ON redemptions.redemption_id = input.value->>'id'"
);

/// A first outcome stays (P9).
const CHANGE_STATES: &str = concat!(
    "UPDATE redemptions SET state = input.value->>'to', \
     outcome = CASE WHEN outcome = '' THEN input.value->>'outcome' ELSE outcome END, \
     refuse_reason = CASE WHEN outcome = '' THEN input.value->>'refuse_reason' ELSE refuse_reason END, \
     join_request = CASE WHEN input.value->>'join_request' = '' THEN join_request \
     ELSE input.value->>'join_request' END, \
     next_try_time = CAST(input.value->>'next_try_time' AS BIGINT), tries = 0, settle_time = $2 FROM ",
    json_rows!("$1"),
    " WHERE redemptions.redemption_id = input.value->>'id' \
     AND redemptions.state = input.value->>'from' RETURNING redemption_id"
);

/// P4 once more: uses are only taken while there are any, whatever was judged before.
const CHANGE_USES: &str = concat!(
    "UPDATE invitations SET \
     uses_reserved = uses_reserved + CAST(input.value->>'reserved' AS BIGINT), \
     uses_queued = uses_queued + CAST(input.value->>'queued' AS BIGINT), \
     uses_committed = uses_committed + CAST(input.value->>'committed' AS BIGINT) FROM ",
    json_rows!("$1"),
    " WHERE invitations.invitation_id = input.value->>'id' \
     AND (max_uses IS NULL OR CAST(input.value->>'taken' AS BIGINT) <= 0 \
     OR uses_reserved + uses_queued + uses_committed + CAST(input.value->>'taken' AS BIGINT) <= max_uses)"
);

/// A request id and the redemption that it names, in one look.
const RESOLVE: &str = concat!(
    redemption_columns!(),
    ", CAST(input.value->>'index' AS BIGINT) AS request_index, known.body_mac FROM ",
    json_rows!("$1"),
    " JOIN redemption_request_ids AS known ON known.subject = input.value->>'subject' \
     AND known.acting_user = input.value->>'acting_user' \
     AND known.method = input.value->>'method' \
     AND known.request_id = input.value->>'request_id' \
     JOIN redemptions ON redemptions.redemption_id = known.redemption_id \
     WHERE known.create_time >= $2"
);

/// A row that is forgotten but not yet pruned is claimed anew, and one whose redemption was stale
/// is re-pointed. Sorted, so that two batches with
/// request ids in common wait for each other and never in a circle.
const INSERT_REQUESTS: &str = concat!(
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

const PRUNE_REQUESTS: &str = "DELETE FROM redemption_request_ids \
    WHERE (subject, acting_user, method, request_id) IN ( \
    SELECT subject, acting_user, method, request_id FROM redemption_request_ids \
    WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

const TAKE_DUE: &str = concat!(
    "UPDATE redemptions SET next_try_time = $3, tries = tries + 1 WHERE redemption_id IN (\
     SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
     AND next_try_time <= $2 ORDER BY next_try_time LIMIT $4",
    skip_locked!(),
    ") RETURNING redemption_id"
);

/// What a clock that has been stepped back since set too far ahead.
const BRING_BACK: &str = concat!(
    "UPDATE redemptions SET next_try_time = $2 WHERE redemption_id IN (\
     SELECT redemption_id FROM redemptions WHERE state IN ('RESERVED', 'QUEUED') AND state = $1 \
     AND next_try_time > $3 ORDER BY next_try_time LIMIT $4",
    skip_locked!(),
    ")"
);

const SET_NEXT_TRIES: &str = concat!(
    "UPDATE redemptions SET next_try_time = CAST(input.value->>'time' AS BIGINT) FROM ",
    json_rows!("$1"),
    " WHERE redemptions.redemption_id = input.value->>'id' \
     AND redemptions.state IN ('RESERVED', 'QUEUED')"
);

const HASTEN: &str = "UPDATE redemptions SET next_try_time = $1 \
    WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries > 0 AND next_try_time > $1";

const COUNT_STUCK: &str = "SELECT count(*) FROM redemptions \
    WHERE state IN ('RESERVED', 'QUEUED') AND state = 'RESERVED' AND tries >= $1";

macro_rules! list {
    ($scope:literal) => {
        select!(
            "redemptions WHERE organization_id = $1 AND ",
            $scope,
            " AND ($2 = '' OR class_id = $2) AND ($3 = '' OR invitation_id = $3) \
             AND ($4 = '' OR user_id = $4) AND ($5 = '' OR state = $5) \
             AND create_time >= $6 AND create_time < $7 AND redemption_id < $8 \
             ORDER BY redemption_id DESC LIMIT $9"
        )
    };
}

const LIST_BY_ORGANIZATION: &str = list!("true");
const LIST_BY_CLASS: &str = list!("class_id = $2");
const LIST_BY_INVITATION: &str = list!("invitation_id = $3");
const LIST_BY_USER: &str = list!("user_id = $4");

/// Sorts after every id.
const AFTER_EVERY_ID: &str = "g";

pub(super) const STATEMENTS: &[&str] = &[
    LOCK_INVITATIONS,
    INSERT,
    FIND_LIVING,
    GET,
    CHANGE_STATES,
    CHANGE_USES,
    TAKE_DUE,
    BRING_BACK,
    SET_NEXT_TRIES,
    HASTEN,
    COUNT_STUCK,
    LIST_BY_ORGANIZATION,
    LIST_BY_CLASS,
    LIST_BY_INVITATION,
    LIST_BY_USER,
    RESOLVE,
    INSERT_REQUESTS,
    PRUNE_REQUESTS,
];

fn key_json(key: &RequestKey) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("subject".into(), key.subject.as_str().into());
    fields.insert("acting_user".into(), key.acting_user.as_str().into());
    fields.insert("method".into(), key.method.as_str().into());
    fields.insert("request_id".into(), key.request_id.to_string().into());
    fields
}

fn ids_of(texts: &[String]) -> Result<Vec<Uuid>> {
    texts.iter().map(|text| uuid(text)).collect()
}

/// Reads a row. One that this version cannot read is an operator's, who is told which it is.
fn read_or_tell(row: &<Db as sqlx::Database>::Row) -> Result<Redemption> {
    read(row).inspect_err(|cause| {
        let redemption: &str = row.try_get("redemption_id").unwrap_or_default();
        tracing::error!(%cause, redemption, "a redemption cannot be read");
    })
}

#[async_trait]
impl Redemptions for SqlRepository {
    async fn lock_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>> {
        let rows = sqlx::query(LOCK_INVITATIONS)
            .bind(ids_json(ids))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(invitation_row::read).collect()
    }

    async fn insert_redemptions(&mut self, redemptions: &[Redemption]) -> Result<Vec<Uuid>> {
        if redemptions.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Value> = redemptions.iter().map(to_json).collect();
        let inserted: Vec<String> = sqlx::query_scalar(INSERT)
            .bind(Value::Array(rows).to_string())
            .fetch_all(self.connection())
            .await?;
        ids_of(&inserted)
    }

    async fn find_living(&mut self, keys: &[LivingKey]) -> Result<Vec<Redemption>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Value> = keys
            .iter()
            .map(|key| {
                json!({
                    "invitation_id": key.invitation_id.to_string(),
                    "epoch": key.epoch.value(),
                    "user_id": key.user.as_str(),
                })
            })
            .collect();
        let rows = sqlx::query(FIND_LIVING)
            .bind(Value::Array(rows).to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn get_redemptions(&mut self, ids: &[Uuid]) -> Result<Vec<Redemption>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(GET)
            .bind(ids_json(ids))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn change_states(
        &mut self,
        changes: &[StateChange],
        now: DateTime<Utc>,
    ) -> Result<Vec<Uuid>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Value> = changes
            .iter()
            .map(|change| {
                let (outcome, refuse_reason) = outcome_columns(change.outcome);
                json!({
                    "id": change.id.to_string(),
                    "from": change.from.as_str(),
                    "to": change.to.as_str(),
                    "outcome": outcome,
                    "refuse_reason": refuse_reason,
                    "join_request": change.join_request,
                    "next_try_time": micros(change.next_try_time),
                })
            })
            .collect();
        let ids: Vec<String> = sqlx::query_scalar(CHANGE_STATES)
            .bind(Value::Array(rows).to_string())
            .bind(micros(now))
            .fetch_all(self.connection())
            .await?;
        ids_of(&ids)
    }

    async fn change_uses(&mut self, changes: &[(Uuid, UsesChange)]) -> Result<u64> {
        if changes.is_empty() {
            return Ok(0);
        }
        let rows: Vec<Value> = changes
            .iter()
            .map(|(id, change)| {
                // Wrong on purpose, against P4: nothing is counted twice.
                let taken = if is_wrong(WrongVariant::CheckThenAct) {
                    0
                } else {
                    change.reserved + change.queued + change.committed
                };
                json!({
                    "id": id.to_string(),
                    "reserved": change.reserved,
                    "queued": change.queued,
                    "committed": change.committed,
                    "taken": taken,
                })
            })
            .collect();
        let done = sqlx::query(CHANGE_USES)
            .bind(Value::Array(rows).to_string())
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }

    async fn take_due(
        &mut self,
        state: RedemptionState,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        let ahead_max = TimeDelta::seconds(state.try_ahead_seconds_max());
        sqlx::query(BRING_BACK)
            .bind(state.as_str())
            .bind(micros(now))
            .bind(micros(now + ahead_max))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        let taken: Vec<String> = sqlx::query_scalar(TAKE_DUE)
            .bind(state.as_str())
            .bind(micros(now))
            .bind(micros(lease_until))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(GET)
            .bind(ids_json(&taken))
            .fetch_all(self.connection())
            .await?;
        // Those that cannot be read keep their lease.
        Ok(rows.iter().flat_map(read_or_tell).collect())
    }

    async fn set_next_tries(&mut self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()> {
        let rows: Vec<Value> = times
            .iter()
            .map(|(id, time)| json!({"id": id.to_string(), "time": micros(*time)}))
            .collect();
        sqlx::query(SET_NEXT_TRIES)
            .bind(Value::Array(rows).to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn hasten_tries(&mut self, now: DateTime<Utc>) -> Result<u64> {
        let done = sqlx::query(HASTEN)
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }

    async fn count_stuck(&mut self, tries: u32) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(COUNT_STUCK)
            .bind(i64::from(tries))
            .fetch_one(self.connection())
            .await?;
        Ok(count.unsigned_abs())
    }

    async fn list_redemptions(
        &mut self,
        filter: &RedemptionFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        let class = filter.place.class().map_or("", ClassId::as_str);
        let statement = if filter.invitation_id.is_some() {
            LIST_BY_INVITATION
        } else if filter.user.is_some() {
            LIST_BY_USER
        } else if class.is_empty() {
            LIST_BY_ORGANIZATION
        } else {
            LIST_BY_CLASS
        };
        let rows = sqlx::query(statement)
            .bind(filter.place.organization().as_str())
            .bind(class)
            .bind(
                filter
                    .invitation_id
                    .map(|id| id.to_string())
                    .unwrap_or_default(),
            )
            .bind(filter.user.as_ref().map_or("", UserId::as_str))
            .bind(filter.state.map_or("", RedemptionState::as_str))
            .bind(filter.from.map_or(i64::MIN, micros))
            .bind(filter.till.map_or(i64::MAX, micros))
            .bind(before.map_or_else(|| AFTER_EVERY_ID.to_owned(), |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        // All or nothing: who reads a list must not take a part for the whole.
        rows.iter().map(read_or_tell).collect()
    }

    async fn resolve_requests(
        &mut self,
        requests: &[&RedemptionRequest],
        now: DateTime<Utc>,
    ) -> Result<Vec<Resolved>> {
        let mut resolved = vec![Resolved::Unknown; requests.len()];
        if requests.is_empty() {
            return Ok(resolved);
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
        let rows = sqlx::query(RESOLVE)
            .bind(Value::Array(keys).to_string())
            .bind(micros(forgotten_before(now)))
            .fetch_all(self.connection())
            .await?;
        for row in rows {
            let index: i64 = row.try_get("request_index")?;
            let index = usize::try_from(index).map_err(|_| corrupt("an index is negative"))?;
            let body_mac: Vec<u8> = row.try_get("body_mac")?;
            if let (Some(request), Some(slot)) = (requests.get(index), resolved.get_mut(index)) {
                if !request.body.matches(&body_mac) {
                    *slot = Resolved::Conflict;
                    continue;
                }
                let redemption = read(&row)?;
                if redemption.answers() {
                    *slot = Resolved::Names(Box::new(redemption));
                }
            }
        }
        Ok(resolved)
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
        let done = sqlx::query(INSERT_REQUESTS)
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
        let done = sqlx::query(PRUNE_REQUESTS)
            .bind(micros(before))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }
}
