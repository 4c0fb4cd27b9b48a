//! Operations on redemptions, on the request ids that they answer (P9), and on the invitations that they use.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    args,
    clock::micros,
    database::Engine,
    failpoints::{WrongVariant, is_wrong},
    request_ids::{RequestKey, forgotten_before},
    store::{Arg, columns, hex, json_ids, json_rows},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Error, InvitationRow, Redemption, RedemptionFilter, RedemptionRequest, Repository, Resolved,
    Result, StateChange, UseKey, UsesChange, before_text,
    redemption_statements::{
        BRING_BACK, CHANGE_STATES, CHANGE_USES, COUNT_STUCK, GET, HAND_USES, HASTEN,
        INSERT_REDEMPTIONS, IS_ANY_DUE, LIST_BY_CLASS, LIST_BY_INVITATION, LIST_BY_ORGANIZATION,
        LIST_BY_USER, LOCK_FOR_SETTLEMENT, LOCK_INVITATIONS, NOTE_REQUESTS, PRUNE_REDEMPTIONS,
        PRUNE_REQUESTS, SET_NEXT_TRIES, STANDING, TAKE_DUE,
    },
    redemption_writes::{RESERVE, SETTLE},
    redemptions::OutcomeColumns,
};
use crate::domain::{invitation::Epoch, redemption::RedemptionState};

/// A row of [`STANDING`].
#[derive(Deserialize)]
struct StandingRow {
    request_index: Option<usize>,
    #[serde(with = "columns::optional_bytes")]
    body_mac: Option<Vec<u8>>,
    #[serde(flatten)]
    redemption: Redemption,
}

/// A change of a state, as a row of a statement's input.
#[derive(Serialize)]
struct ChangeRow<'change> {
    id: Uuid,
    from: RedemptionState,
    to: RedemptionState,
    holds_use: bool,
    #[serde(flatten)]
    outcome: OutcomeColumns,
    join_request: &'change str,
    #[serde(with = "columns::time")]
    next_try_time: DateTime<Utc>,
}

/// The id and the current user of a redemption that moved.
type MovedRow = (Uuid, String);

fn key_json(key: &RequestKey) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("subject".into(), key.subject.as_str().into());
    fields.insert("acting_user".into(), key.acting_user.as_str().into());
    fields.insert("method".into(), key.method.as_str().into());
    fields.insert("request_id".into(), key.request_id.to_string().into());
    fields
}

fn requests_json(requests: &[(&RedemptionRequest, Uuid)]) -> Arg {
    json_rows(requests.iter().map(|(request, redemption)| {
        let mut fields = key_json(&request.key);
        fields.insert("body_mac".into(), hex(request.body.stored()).into());
        fields.insert("redemption_id".into(), redemption.to_string().into());
        Value::Object(fields)
    }))
}

fn uses_json(changes: &[(Uuid, UsesChange)]) -> Arg {
    json_rows(changes.iter().map(|(id, change)| {
        // Deliberately wrong, against P4: the statement's own check of the counts is skipped.
        let taken = if is_wrong(WrongVariant::CheckThenAct) {
            0
        } else {
            change.reserved + change.queued + change.committed
        };
        json!({
            "id": id,
            "reserved": change.reserved,
            "queued": change.queued,
            "committed": change.committed,
            "taken": taken,
        })
    }))
}

/// Reads a row. If this version cannot read it, the operator is told which one it is.
fn read_or_tell(row: Map<String, Value>) -> Result<Redemption> {
    let id = row.get("redemption_id").and_then(Value::as_str);
    let redemption = id.unwrap_or_default().to_owned();
    serde_json::from_value(Value::Object(row)).map_err(|_| {
        tracing::error!(redemption, "a redemption cannot be read");
        Error::corrupt("a redemption cannot be read")
    })
}

/// Returns the latest time of a next try that is plausible now.
fn ahead_max(state: RedemptionState, now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(state.try_ahead_seconds_max())
}

impl Repository {
    /// Locks invitations until the transaction ends, in sorted order whatever the given order, and returns their
    /// current rows: all other reservations and settlements of their uses wait.
    pub async fn lock_invitations(&mut self, ids: &[Uuid]) -> Result<Vec<InvitationRow>> {
        self.0.all(&LOCK_INVITATIONS, args![json_ids(ids)]).await
    }

    /// Returns the meaning of each request id, in the given order (ids older than 24 hours are forgotten), and the
    /// redemptions of these keys that are live or COMMITTED, oldest first (P2, P4); in one query.
    pub async fn standing(
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
                "invitation_id": key.invitation_id,
                "user_id": key.user.as_str(),
            })
        });
        let bound = args![
            json_rows(requests_json),
            forgotten_before(now),
            json_rows(keys_json),
        ];
        let rows: Vec<StandingRow> = self.0.all(&STANDING, bound).await?;
        for row in rows {
            let (Some(index), Some(body_mac)) = (row.request_index, row.body_mac) else {
                standing.push(row.redemption);
                continue;
            };
            if let (Some(request), Some(slot)) = (requests.get(index), resolved.get_mut(index)) {
                if !request.body.matches(&body_mac) {
                    *slot = Resolved::Conflict;
                } else if row.redemption.answers() {
                    *slot = Resolved::Names(Box::new(row.redemption));
                }
            }
        }
        standing.sort_by_key(|redemption: &Redemption| redemption.id);
        Ok((resolved, standing))
    }

    /// T1: inserts redemptions, records their request ids and adds to invitations' counts, increasing them only up to
    /// `max_uses` (P4). Returns false if a part was not written: a person has a live redemption (P2) or has spent a
    /// use, a request id belongs to another redemption, or an invitation has too few uses. The caller must then roll
    /// everything back.
    pub async fn write_reservations(
        &mut self,
        redemptions: &[Redemption],
        requests: &[(&RedemptionRequest, Uuid)],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let inserted = args![json_rows(redemptions)];
        let noted = args![requests_json(requests), now, forgotten_before(now)];
        let counted = args![uses_json(uses)];
        let written: [u64; 3] = match self.0.engine() {
            Engine::Postgres => {
                let bound = [inserted, noted, counted].concat();
                self.0.one(&RESERVE, bound).await?
            }
            Engine::Sqlite => [
                self.0.run(&INSERT_REDEMPTIONS, inserted).await?,
                self.0.run(&NOTE_REQUESTS, noted).await?,
                self.0.run(&CHANGE_USES, counted).await?,
            ],
        };
        let counts = [redemptions.len(), requests.len(), uses.len()];
        Ok(written == counts.map(|count| count as u64))
    }

    /// Takes the uses of QUEUED redemptions, or gives uses to QUEUED and COMMITTED ones that hold none; it changes no
    /// counts. Returns false if one of them was not in such a state. The caller must then roll everything back.
    pub async fn hand_uses(&mut self, ids: &[Uuid], holds_use: bool) -> Result<bool> {
        let bound = args![json_ids(ids), holds_use];
        Ok(self.0.run(&HAND_USES, bound).await? == ids.len() as u64)
    }

    /// Locks organizations (as [`Repository::lock_organizations`]) and then invitations, in sorted order
    /// whatever the given order. Returns for each invitation the epoch from which its uses are counted.
    pub async fn lock_for_settlement(
        &mut self,
        organizations: &[OrganizationId],
        invitations: &[Uuid],
        now: DateTime<Utc>,
    ) -> Result<HashMap<Uuid, Epoch>> {
        loop {
            let bound = args![json_ids(organizations), json_ids(invitations)];
            let rows: Vec<(String, Option<Epoch>)> =
                self.0.all(&LOCK_FOR_SETTLEMENT, bound).await?;
            let (invitations, locked): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|(_, epoch)| epoch.is_some());
            if locked.len() < organizations.len() {
                // Makes the missing rows.
                self.lock_organizations(organizations, now).await?;
                continue;
            }
            let id = |id: &str| Uuid::try_parse(id).map_err(|_| Error::corrupt("an id is no UUID"));
            return invitations
                .iter()
                .filter_map(|(text, epoch)| epoch.map(|epoch| Ok((id(text)?, epoch))))
                .collect();
        }
    }

    /// T3: moves redemptions and adds to invitations' counts. Returns the current user of each redemption; `None` if
    /// one was not in the state that its change names. The caller must then roll everything back.
    pub async fn write_settlements(
        &mut self,
        changes: &[StateChange],
        uses: &[(Uuid, UsesChange)],
        now: DateTime<Utc>,
    ) -> Result<Option<HashMap<Uuid, UserId>>> {
        let rows = changes.iter().map(|change| ChangeRow {
            id: change.id,
            from: change.from,
            to: change.to,
            holds_use: change.holds_use,
            outcome: change.outcome.into(),
            join_request: &change.join_request,
            next_try_time: change.next_try_time,
        });
        let (states, counts) = (args![json_rows(rows), now], args![uses_json(uses)]);
        let (moved, counted): (Vec<MovedRow>, u64) = match self.0.engine() {
            Engine::Postgres => {
                let bound = [states, counts, args![changes.len()]].concat();
                let rows: Vec<(Uuid, String, u64)> = self.0.all(&SETTLE, bound).await?;
                let counted = rows.first().map_or(0, |(.., counted)| *counted);
                let moved = rows.into_iter().map(|(id, user, _)| (id, user));
                (moved.collect(), counted)
            }
            Engine::Sqlite => {
                let moved: Vec<MovedRow> = self.0.all(&CHANGE_STATES, states).await?;
                if moved.len() < changes.len() {
                    return Ok(None);
                }
                (moved, self.0.run(&CHANGE_USES, counts).await?)
            }
        };
        if moved.len() < changes.len() || counted < uses.len() as u64 {
            return Ok(None);
        }
        let parse = |text: &str| {
            UserId::parse(text).map_err(|_| Error::corrupt("a user id does not parse"))
        };
        let moved = moved.iter().map(|(id, text)| Ok((*id, parse(text)?)));
        moved.collect::<Result<_>>().map(Some)
    }

    /// Returns the redemptions of `ids` that exist, in no order.
    pub async fn get_redemptions(&mut self, ids: &[Uuid]) -> Result<Vec<Redemption>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.0.all(&GET, args![json_ids(ids)]).await
    }

    /// Returns true if [`Self::take_due`] would take or bring back a redemption now.
    pub async fn is_any_due(&mut self, state: RedemptionState, now: DateTime<Utc>) -> Result<bool> {
        let bound = args![state.as_str(), now, ahead_max(state, now)];
        self.0.flag(&IS_ANY_DUE, bound).await
    }

    /// Takes redemptions of `state` that are due, oldest first. It counts the try and gives them to nobody else before
    /// `lease_until` (P13). A redemption whose time is farther ahead than [`RedemptionState::try_ahead_seconds_max`] is
    /// due too. One that cannot be read is leased and logged, and does not hold up the others.
    pub async fn take_due(
        &mut self,
        state: RedemptionState,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        let bound = args![state.as_str(), now, ahead_max(state, now), limit];
        self.0.run(&BRING_BACK, bound).await?;
        let bound = args![state.as_str(), now, lease_until, limit];
        let taken: Vec<String> = self.0.all(&TAKE_DUE, bound).await?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Map<String, Value>> = self.0.all(&GET, args![json_ids(taken)]).await?;
        // Rows that cannot be read keep their lease.
        Ok(rows.into_iter().flat_map(read_or_tell).collect())
    }

    /// Sets when live redemptions are looked at next.
    pub async fn set_next_tries(&mut self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()> {
        let rows = times
            .iter()
            .map(|(id, time)| json!({"id": id, "time": micros(*time)}));
        self.0.run(&SET_NEXT_TRIES, args![json_rows(rows)]).await?;
        Ok(())
    }

    /// Moves the next try of RESERVED redemptions that recovery has tried before forward to `now`. Returns their
    /// number.
    pub async fn hasten_tries(&mut self, now: DateTime<Utc>) -> Result<u64> {
        self.0.run(&HASTEN, args![now]).await
    }

    /// Returns the number of RESERVED redemptions that were tried at least `tries` times (P13).
    pub async fn count_stuck(&mut self, tries: u32) -> Result<u64> {
        self.0.one(&COUNT_STUCK, args![tries]).await
    }

    /// Returns a page, newest first: redemptions with an id below `before`.
    pub async fn list_redemptions(
        &mut self,
        filter: &RedemptionFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        let list = if filter.invitation_id.is_some() {
            &LIST_BY_INVITATION
        } else if filter.user.is_some() {
            &LIST_BY_USER
        } else if filter.place.class().is_none() {
            &LIST_BY_ORGANIZATION
        } else {
            &LIST_BY_CLASS
        };
        let bound = args![
            filter.place.organization(),
            filter.place.class(),
            filter.invitation_id,
            filter.user.as_ref(),
            filter.state.map(RedemptionState::as_str),
            filter.from.map_or(i64::MIN, micros),
            filter.till.map_or(i64::MAX, micros),
            before_text(before),
            limit,
        ];
        let rows: Vec<Map<String, Value>> = self.0.all(list, bound).await?;
        // It is all or nothing: a reader of a list must not take a part for the whole.
        rows.into_iter().map(read_or_tell).collect()
    }

    /// Records which redemption answers each request id. An id that points to a redemption whose epoch was stale, and
    /// so to no answer, is pointed to the new one (P7). Returns the number of recorded ids: fewer than given if another
    /// transaction recorded one first.
    pub async fn insert_redemption_requests(
        &mut self,
        requests: &[(&RedemptionRequest, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let bound = args![requests_json(requests), now, forgotten_before(now)];
        self.0.run(&NOTE_REQUESTS, bound).await
    }

    /// Deletes at most `limit` rows made before a time. Returns their number.
    pub async fn prune_redemption_requests(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64> {
        self.0.run(&PRUNE_REQUESTS, args![before, limit]).await
    }

    /// Deletes at most `limit` redemptions of people who were members already that were settled before a time. Returns
    /// their number.
    pub async fn prune_redemptions(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        self.0.run(&PRUNE_REDEMPTIONS, args![before, limit]).await
    }
}
