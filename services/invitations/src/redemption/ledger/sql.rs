//! Runs the statements on redemptions, for both engines.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::ids::{ClassId, OrganizationId, UserId};
use homeroom_kit::{
    clock::micros,
    failpoints::{WrongVariant, is_wrong},
    request_ids::{RequestKey, forgotten_before},
};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use super::{
    super::{Db, writes},
    SqlRepository, before_text, corrupt, hex, ids_json, invitation_row,
    redemption_row::{outcome_columns, read, to_json, uuid},
    redemption_statements::{
        BRING_BACK, COUNT_STUCK, GET, HAND_USES, HASTEN, LIST_BY_CLASS, LIST_BY_INVITATION,
        LIST_BY_ORGANIZATION, LIST_BY_USER, LOCK_FOR_SETTLEMENT, LOCK_INVITATIONS, NOTE_REQUESTS,
        PRUNE_REDEMPTIONS, PRUNE_REQUESTS, SET_NEXT_TRIES, STANDING, TAKE_DUE,
    },
    rows_json, user_id,
};
use crate::{
    domain::{invitation::Epoch, redemption::RedemptionState},
    redemption::ledger::{
        Redemption, RedemptionFilter, RedemptionRequest, Redemptions, Resolved, StateChange,
        UseKey, UsesChange,
    },
    store::{InvitationRow, OrganizationProfiles as _, Result},
};

fn key_json(key: &RequestKey) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("subject".into(), key.subject.as_str().into());
    fields.insert("acting_user".into(), key.acting_user.as_str().into());
    fields.insert("method".into(), key.method.as_str().into());
    fields.insert("request_id".into(), key.request_id.to_string().into());
    fields
}

fn requests_json(requests: &[(&RedemptionRequest, Uuid)]) -> String {
    let rows = requests.iter().map(|(request, redemption)| {
        let mut fields = key_json(&request.key);
        fields.insert("body_mac".into(), hex(request.body.stored()).into());
        fields.insert("redemption_id".into(), redemption.to_string().into());
        Value::Object(fields)
    });
    rows_json(rows)
}

fn uses_json(changes: &[(Uuid, UsesChange)]) -> String {
    let rows = changes.iter().map(|(id, change)| {
        // Deliberately wrong, against P4: the statement's own check of the counts is skipped.
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
    });
    rows_json(rows)
}

/// Reads a row. If this version cannot read it, the operator is told which one it is.
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

    async fn standing(
        &mut self,
        requests: &[&RedemptionRequest],
        keys: &[UseKey],
        now: DateTime<Utc>,
    ) -> Result<(Vec<Resolved>, Vec<Redemption>)> {
        let mut resolved = vec![Resolved::Unknown; requests.len()];
        let mut standing = Vec::new();
        let requests_json = requests.iter().enumerate().map(|(index, request)| {
            let mut fields = key_json(&request.key);
            fields.insert("index".into(), index.into());
            Value::Object(fields)
        });
        let keys_json = keys.iter().map(|key| {
            json!({
                "invitation_id": key.invitation_id.to_string(),
                "user_id": key.user.as_str(),
            })
        });
        let rows = sqlx::query(STANDING)
            .bind(rows_json(requests_json))
            .bind(micros(forgotten_before(now)))
            .bind(rows_json(keys_json))
            .fetch_all(self.connection())
            .await?;
        for row in rows {
            let Some(index) = row.try_get::<Option<i64>, _>("request_index")? else {
                standing.push(read(&row)?);
                continue;
            };
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
        standing.sort_by_key(|redemption: &Redemption| redemption.id);
        Ok((resolved, standing))
    }

    async fn write_reservations(
        &mut self,
        redemptions: &[Redemption],
        requests: &[(&RedemptionRequest, Uuid)],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let written = writes::reserve(
            self.connection(),
            rows_json(redemptions.iter().map(to_json)),
            (
                requests_json(requests),
                micros(now),
                micros(forgotten_before(now)),
            ),
            uses_json(uses),
        );
        let counts = [redemptions.len(), requests.len(), uses.len()];
        Ok(written.await? == counts.map(|count| count as u64))
    }

    async fn hand_uses(&mut self, ids: &[Uuid], holds_use: bool) -> Result<bool> {
        let done = sqlx::query(HAND_USES)
            .bind(ids_json(ids))
            .bind(holds_use)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == ids.len() as u64)
    }

    async fn lock_for_settlement(
        &mut self,
        organizations: &[OrganizationId],
        invitations: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<HashMap<Uuid, Epoch>> {
        loop {
            let rows: Vec<(String, Option<i64>)> = sqlx::query_as(LOCK_FOR_SETTLEMENT)
                .bind(ids_json(organizations))
                .bind(ids_json(invitations))
                .fetch_all(self.connection())
                .await?;
            let (invitations, locked): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|(_, epoch)| epoch.is_some());
            if locked.len() < organizations.len() {
                // Makes the missing rows.
                self.lock_organizations(organizations, now).await?;
                continue;
            }
            return invitations
                .iter()
                .map(|(id, epoch)| Ok((uuid(id)?, Epoch::new(epoch.unwrap_or_default()))))
                .collect();
        }
    }

    async fn write_settlements(
        &mut self,
        changes: &[StateChange],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<Option<HashMap<Uuid, UserId>>> {
        let rows = changes.iter().map(|change| {
            let (outcome, refuse_reason) = outcome_columns(change.outcome);
            json!({
                "id": change.id.to_string(),
                "from": change.from.as_str(),
                "holds_use": change.holds_use,
                "to": change.to.as_str(),
                "outcome": outcome,
                "refuse_reason": refuse_reason,
                "join_request": change.join_request,
                "next_try_time": micros(change.next_try_time),
            })
        });
        let rows = (rows_json(rows), changes.len());
        let (moved, counted) =
            writes::settle(self.connection(), rows, micros(now), uses_json(uses)).await?;
        if moved.len() < changes.len() || counted < uses.len() as u64 {
            return Ok(None);
        }
        let moved = moved
            .iter()
            .map(|(id, user)| Ok((uuid(id)?, user_id(user)?)));
        moved.collect::<Result<_>>().map(Some)
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
        // Rows that cannot be read keep their lease.
        Ok(rows.iter().flat_map(read_or_tell).collect())
    }

    async fn set_next_tries(&mut self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()> {
        let rows = times
            .iter()
            .map(|(id, time)| json!({"id": id.to_string(), "time": micros(*time)}));
        sqlx::query(SET_NEXT_TRIES)
            .bind(rows_json(rows))
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
            .bind(before_text(before))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        // It is all or nothing: a reader of a list must not take a part for the whole.
        rows.iter().map(read_or_tell).collect()
    }

    async fn insert_redemption_requests(
        &mut self,
        requests: &[(&RedemptionRequest, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let done = sqlx::query(NOTE_REQUESTS)
            .bind(requests_json(requests))
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

    async fn prune_redemptions(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let done = sqlx::query(PRUNE_REDEMPTIONS)
            .bind(micros(before))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }
}
