//! The ledger: the statements that lock, read and save for admissions. Each handles any number of
//! redemptions.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::{
    clock::micros,
    database::Error,
    failpoints::{WrongVariant, is_wrong},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{LOCK_ALL, LOCK_FREE},
    SqlRepository,
    admission_rows::{of_admission, of_member, of_organization, of_person, of_request},
    facts::{FACTS, learn, of_wanted, stored_admission},
    rows::Row,
};
use crate::{
    domain::member::Member,
    store::{Effects, Known, Ledger, Locked, Locks, Result, SeatChange, StoredAdmission, Wanted},
};

/// Each of these macros inserts the rows of one parameter.
macro_rules! insert_organization_members {
    () => {
        concat!(
            "INSERT INTO organization_members (organization_id, user_id, display_name, email, \
             external_id, told_time, set_by_hand, role, join_time, invitation, redemption, approved_by, \
             method, revision) \
             SELECT m.value->>'o', m.value->>'u', m.value->>'display_name', m.value->>'email', \
             m.value->>'external_id', CAST(m.value->>'told_time' AS BIGINT), \
             CAST(m.value->>'set_by_hand' AS BIGINT), m.value->>'role', CAST(m.value->>'time' AS BIGINT), \
             m.value->>'invitation', m.value->>'redemption', m.value->>'by', m.value->>'method', 1 FROM ",
            json_rows!("$1"),
            " AS m"
        )
    };
}
macro_rules! insert_class_members {
    () => {
        concat!(
            "INSERT INTO class_members (organization_id, class_id, user_id, role, join_time, \
             invitation, redemption, approved_by, method, revision) \
             SELECT m.value->>'o', m.value->>'c', m.value->>'u', m.value->>'role', \
             CAST(m.value->>'time' AS BIGINT), m.value->>'invitation', m.value->>'redemption', \
             m.value->>'by', m.value->>'method', 1 FROM ",
            json_rows!("$2"),
            " AS m"
        )
    };
}
macro_rules! move_seats {
    () => {
        concat!(
            "UPDATE organization_seats SET \
             seats_used = organization_seats.seats_used + moved.used, \
             requests_waiting = organization_seats.requests_waiting + moved.waiting FROM ( \
             SELECT s.value->>'o' AS o, CAST(s.value->>'used' AS BIGINT) AS used, \
             CAST(s.value->>'waiting' AS BIGINT) AS waiting FROM ",
            json_rows!("$3"),
            " AS s) AS moved WHERE organization_seats.organization_id = moved.o"
        )
    };
}
macro_rules! insert_admissions {
    () => {
        concat!(
            "INSERT INTO admissions (redemption_id, organization_id, class_id, user_id, invitation, \
             epoch, outcome, refuse_reason, request_id, create_time) \
             SELECT a.value->>'r', a.value->>'o', a.value->>'c', a.value->>'u', \
             a.value->>'invitation', CAST(a.value->>'epoch' AS BIGINT), a.value->>'outcome', \
             a.value->>'reason', a.value->>'request', CAST(a.value->>'time' AS BIGINT) FROM ",
            json_rows!("$4"),
            " AS a WHERE true ON CONFLICT (redemption_id) DO NOTHING"
        )
    };
}

/// The writes of nearly every admission, and nothing else: one statement if the engine can join
/// them, with the admissions last. A class member is inserted as an organization member first (I2).
pub(super) const SAVE: &[&str] = together!(
    insert_organization_members,
    insert_class_members,
    move_seats,
    insert_admissions
);

homeroom_kit::statements! {
    READ = concat!(
        "SELECT redemption_id, organization_id, class_id, user_id, invitation, epoch, outcome, \
         refuse_reason, request_id, create_time FROM admissions \
         WHERE redemption_id IN (SELECT wanted.value->>'r' FROM ",
        json_rows!("$1"),
        " AS wanted)"
    );

    /// A request ends before another is filed: a person has one open request for each place (P2).
    CHANGE_REQUESTS = concat!(
        "UPDATE join_requests SET display_name = c.value->>'display_name', email = c.value->>'email', \
         external_id = c.value->>'external_id', state = c.value->>'state', \
         decide_note = c.value->>'note', decided_by = c.value->>'by', \
         decide_time = CAST(c.value->>'time' AS BIGINT) FROM ",
        json_rows!("$1"),
        " AS c WHERE join_requests.organization_id = c.value->>'o' \
         AND join_requests.class_id = c.value->>'c' AND join_requests.request_id = c.value->>'r' \
         AND join_requests.state = 'PENDING'"
    );

    FILE_REQUESTS = concat!(
        "INSERT INTO join_requests (organization_id, class_id, request_id, user_id, display_name, \
         email, external_id, state, cause, invitation, redemption, method, decide_note, decided_by, \
         create_time, decide_time, expire_time) \
         SELECT f.value->>'o', f.value->>'c', f.value->>'r', f.value->>'u', f.value->>'display_name', \
         f.value->>'email', f.value->>'external_id', f.value->>'state', f.value->>'cause', \
         f.value->>'invitation', f.value->>'redemption', f.value->>'method', f.value->>'note', \
         f.value->>'by', CAST(f.value->>'create_time' AS BIGINT), \
         CAST(f.value->>'time' AS BIGINT), CAST(f.value->>'expire_time' AS BIGINT) FROM ",
        json_rows!("$1"),
        " AS f"
    );

    CHANGE_MEMBERS = concat!(
        "UPDATE organization_members SET role = m.value->>'role', \
         display_name = m.value->>'display_name', email = m.value->>'email', \
         external_id = m.value->>'external_id', told_time = CAST(m.value->>'told_time' AS BIGINT), \
         set_by_hand = CAST(m.value->>'set_by_hand' AS BIGINT), \
         revision = organization_members.revision + 1 FROM ",
        json_rows!("$1"),
        " AS m WHERE organization_members.organization_id = m.value->>'o' \
         AND organization_members.user_id = m.value->>'u'"
    );

    LIFT_REMOVALS = concat!(
        "DELETE FROM removals WHERE (organization_id, class_id, user_id) IN ( \
         SELECT l.value->>'o', l.value->>'c', l.value->>'u' FROM ",
        json_rows!("$1"),
        " AS l)"
    );

    /// The statement waits for transactions that share the row, and then compares with the latest
    /// row.
    RAISE_FENCE = "INSERT INTO fences (invitation, epoch, update_time) VALUES ($1, $2, $3) \
         ON CONFLICT (invitation) DO UPDATE SET \
         epoch = CASE WHEN excluded.epoch > fences.epoch THEN excluded.epoch ELSE fences.epoch END, \
         update_time = excluded.update_time \
         RETURNING epoch";
}

fn json_array(rows: impl Iterator<Item = Value>) -> String {
    Value::Array(rows.collect()).to_string()
}

impl SqlRepository {
    pub(super) async fn rows(&mut self, text: &'static str, bound: &str) -> Result<Vec<Row>> {
        Ok(sqlx::query(text)
            .bind(bound)
            .fetch_all(self.connection())
            .await?)
    }

    /// Runs the statement for these rows, unless there are none, and returns how many rows it
    /// wrote.
    pub(super) async fn write_rows(
        &mut self,
        text: &'static str,
        rows: impl Iterator<Item = Value> + Send,
    ) -> Result<usize> {
        let rows: Vec<Value> = rows.collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(text)
            .bind(Value::Array(rows).to_string())
            .execute(self.connection())
            .await?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }

    /// Writes memberships, counters and answers. Returns how many answers it stored.
    async fn save_together(
        &mut self,
        members: &[Member],
        seats: &BTreeMap<OrganizationId, SeatChange>,
        admissions: &[StoredAdmission],
    ) -> Result<u64> {
        let (of_classes, of_organizations): (Vec<&Member>, Vec<&Member>) = members
            .iter()
            .partition(|member| member.place.class().is_some());
        let moved = seats
            .iter()
            .filter(|(_, change)| **change != SeatChange::default())
            .map(|(id, change)| {
                json!({ "o": id.as_str(), "used": change.used, "waiting": change.waiting })
            });
        let bound = [
            json_array(of_organizations.into_iter().map(of_member)),
            json_array(of_classes.into_iter().map(of_member)),
            json_array(moved),
            json_array(admissions.iter().map(of_admission)),
        ];
        if bound.iter().all(|rows| rows == "[]") {
            return Ok(0);
        }
        let mut stored = 0;
        for text in SAVE {
            let mut save = sqlx::query(*text);
            for rows in &bound {
                save = save.bind(rows.as_str());
            }
            stored = save.execute(self.connection()).await?.rows_affected();
        }
        Ok(stored)
    }

    /// Writes role and particulars of members of organizations.
    pub(super) async fn change_members<'members>(
        &mut self,
        members: impl Iterator<Item = &'members Member> + Send,
    ) -> Result<()> {
        self.write_rows(CHANGE_MEMBERS, members.map(of_member))
            .await?;
        Ok(())
    }

    /// Adds memberships alone.
    pub(super) async fn save_members(&mut self, members: &[Member]) -> Result<()> {
        self.save_together(members, &BTreeMap::new(), &[]).await?;
        Ok(())
    }
}

#[async_trait]
impl Ledger for SqlRepository {
    async fn lock(
        &mut self,
        fences: &BTreeSet<String>,
        organizations: &BTreeSet<OrganizationId>,
        locks: Locks,
        now: DateTime<Utc>,
    ) -> Result<Locked> {
        let text = match locks {
            Locks::Free => LOCK_FREE,
            Locks::All => LOCK_ALL,
        };
        let rows: Vec<(Option<String>, Option<String>)> = sqlx::query_as(text)
            .bind(json_array(fences.iter().map(|name| json!({ "i": name }))))
            .bind(json_array(organizations.iter().map(of_organization)))
            .bind(micros(now))
            .fetch_all(self.connection())
            .await?;
        let mut locked = Locked::default();
        for (fence, organization) in rows {
            locked.fences.extend(fence);
            let id = organization
                .map(|id| OrganizationId::parse(&id))
                .transpose();
            locked
                .organizations
                .extend(id.map_err(|_| Error::corrupt("a stored organization_id does not parse"))?);
        }
        if locks == Locks::All && locked.fences.len() < fences.len() {
            return Err(met_another());
        }
        Ok(locked)
    }

    async fn facts(&mut self, wanted: &[Wanted]) -> Result<Known> {
        let mut known = Known::default();
        let wanted = json_array(wanted.iter().map(of_wanted));
        for row in &self.rows(FACTS, &wanted).await? {
            learn(row, &mut known)?;
        }
        Ok(known)
    }

    async fn admissions(&mut self, redemptions: &[Uuid]) -> Result<Vec<StoredAdmission>> {
        let wanted = redemptions.iter().map(|id| json!({ "r": id.to_string() }));
        let rows = self.rows(READ, &json_array(wanted)).await?;
        rows.iter().map(stored_admission).collect()
    }

    async fn save(&mut self, effects: &Effects) -> Result<()> {
        let changed = self
            .write_rows(CHANGE_REQUESTS, effects.changed.iter().map(of_request))
            .await?;
        if changed != effects.changed.len() {
            return Err(met_another());
        }
        self.write_rows(FILE_REQUESTS, effects.filed.iter().map(of_request))
            .await?;
        self.write_rows(LIFT_REMOVALS, effects.lifted.iter().map(of_person))
            .await?;
        let stored = self
            .save_together(&effects.members, &effects.seats, &effects.admissions)
            .await?;
        self.change_members(effects.told.values()).await?;
        let all = usize::try_from(stored).is_ok_and(|stored| stored == effects.admissions.len());
        // This variant is wrong on purpose (against P1): the key refuses nothing.
        if all || is_wrong(WrongVariant::NoAdmissionKey) {
            Ok(())
        } else {
            Err(met_another())
        }
    }

    async fn raise_fence(
        &mut self,
        invitation: &str,
        epoch: i64,
        now: DateTime<Utc>,
    ) -> Result<i64> {
        Ok(sqlx::query_scalar(RAISE_FENCE)
            .bind(invitation)
            .bind(epoch)
            .bind(micros(now))
            .fetch_one(self.connection())
            .await?)
    }
}

/// Returns the error of a transaction that met an earlier one and must be rolled back.
fn met_another() -> Error {
    Error::conflict("another transaction was there first")
}
