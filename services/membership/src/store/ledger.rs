//! The ledger: the statements that lock, read and save for admissions, imports and decisions on join requests. Each handles
//! any number of redemptions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::{
    args,
    database::{Engine, Error},
    failpoints::{WrongVariant, is_wrong},
    store::{Arg, Statement, Table, columns::class_id, json_ids, json_rows},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Effects, Locked, Locks, Repository, Result, SeatChange, StoredAdmission,
    join_requests::JOIN_REQUESTS,
    members::{CLASS_MEMBERS, ORGANIZATION_MEMBERS},
};
use crate::domain::{member::Member, organization::FIRST_REVISION};

pub(super) const ADMISSIONS: Table = Table {
    texts: &[
        "redemption_id",
        "organization_id",
        "class_id",
        "user_id",
        "invitation",
        "outcome",
        "refuse_reason",
        "request_id",
    ],
    numbers: &["epoch", "create_time"],
    ..Table::new("admissions")
};

/// Locks fences `$1` in shared mode and then organizations `$2`, each in the order of their names, and returns those
/// that it holds. `$3` is the time.
///
/// On PostgreSQL a missing fence is inserted, since only an existing row can be locked against raising. A fence that
/// another transaction inserted after the statement began is not returned. Each step uses the result of the previous
/// one, so that they run in this order. On SQLite there is nothing to lock or to wait for.
fn lock(on: Engine, first: &str, skip: &str) -> String {
    let (fences, organizations) = (on.rows("$1", "wanted"), on.rows("$2", "wanted"));
    match on {
        Engine::Postgres => format!(
            "WITH made AS (INSERT INTO fences (invitation, epoch, update_time) \
             SELECT wanted.value->>'id', 0, $3 FROM {fences} WHERE {first}\
             NOT EXISTS (SELECT 1 FROM fences WHERE invitation = wanted.value->>'id') \
             ORDER BY 1 ON CONFLICT (invitation) DO NOTHING RETURNING invitation), \
             shared AS (SELECT invitation FROM fences WHERE (SELECT count(*) FROM made) >= 0 \
             AND invitation IN (SELECT wanted.value->>'id' FROM {fences}) ORDER BY invitation FOR SHARE{skip}), \
             locked AS (SELECT organization_id FROM organization_seats \
             WHERE (SELECT count(*) FROM shared) >= 0 \
             AND organization_id IN (SELECT wanted.value->>'id' FROM {organizations}) \
             ORDER BY organization_id FOR UPDATE{skip}) \
             SELECT invitation, NULL AS organization_id FROM made \
             UNION ALL SELECT invitation, NULL FROM shared \
             UNION ALL SELECT NULL, organization_id FROM locked"
        ),
        Engine::Sqlite => format!(
            "SELECT wanted.value->>'id' AS invitation, NULL AS organization_id FROM {fences} \
             UNION ALL SELECT NULL, organization_id FROM organization_seats \
             WHERE organization_id IN (SELECT wanted.value->>'id' FROM {organizations})"
        ),
    }
}

fn move_seats(on: Engine, parameter: &str) -> String {
    format!(
        "UPDATE organization_seats SET \
         seats_used = organization_seats.seats_used + moved.used, \
         requests_waiting = organization_seats.requests_waiting + moved.waiting FROM ( \
         SELECT s.value->>'o' AS o, CAST(s.value->>'used' AS BIGINT) AS used, \
         CAST(s.value->>'waiting' AS BIGINT) AS waiting FROM {}) AS moved \
         WHERE organization_seats.organization_id = moved.o",
        on.rows(parameter, "s")
    )
}

fn insert_admissions(on: Engine, parameter: &str) -> String {
    ADMISSIONS.insert(on, parameter) + " WHERE true ON CONFLICT (redemption_id) DO NOTHING"
}

homeroom_kit::statements! {
    /// Waits for every lock.
    LOCK_ALL(on) = lock(on, "", "");

    /// Takes the locks that are free. It waits, briefly, only for a fence that another transaction is inserting; then
    /// the statement fails as unavailable.
    LOCK_FREE(on) = lock(
        on,
        "(SELECT set_config('lock_timeout', '100ms', true)) IS NOT NULL AND ",
        " SKIP LOCKED",
    );

    READ(on) = format!(
        "SELECT {} FROM admissions WHERE redemption_id IN (SELECT wanted.value->>'id' FROM {})",
        ADMISSIONS.of("admissions"),
        on.rows("$1", "wanted")
    );

    INSERT_ORGANIZATION_MEMBERS(on) = ORGANIZATION_MEMBERS.insert(on, "$1");
    INSERT_CLASS_MEMBERS(on) = CLASS_MEMBERS.insert(on, "$1");
    MOVE_SEATS(on) = move_seats(on, "$1");
    /// Writes what nearly every admission writes, and nothing else: on PostgreSQL in one statement, with the answers
    /// last; on SQLite the answers alone, after the others. A class member is inserted as an organization member first (I2).
    SAVE(on) = match on {
        Engine::Postgres => format!(
            "WITH first AS ({}), second AS ({}), third AS ({}) {}",
            ORGANIZATION_MEMBERS.insert(on, "$1"),
            CLASS_MEMBERS.insert(on, "$2"),
            move_seats(on, "$3"),
            insert_admissions(on, "$4")
        ),
        Engine::Sqlite => insert_admissions(on, "$1"),
    };

    /// A request ends before another is filed: a person has one open request for each place (P2).
    CHANGE_REQUESTS(on) = format!(
        "UPDATE join_requests SET {} FROM {} \
         WHERE join_requests.organization_id = input.value->>'organization_id' \
         AND join_requests.class_id = input.value->>'class_id' \
         AND join_requests.request_id = input.value->>'request_id' AND join_requests.state = 'PENDING'",
        JOIN_REQUESTS.but(&[
            "organization_id",
            "class_id",
            "request_id",
            "user_id",
            "cause",
            "invitation",
            "redemption",
            "method",
            "create_time",
            "expire_time",
        ]).assign(on),
        on.rows("$1", "input")
    );

    FILE_REQUESTS(on) = JOIN_REQUESTS.insert(on, "$1");

    CHANGE_MEMBERS(on) = format!(
        "UPDATE organization_members SET {}, revision = organization_members.revision + 1 FROM {} \
         WHERE organization_members.organization_id = input.value->>'organization_id' \
         AND organization_members.user_id = input.value->>'user_id'",
        ORGANIZATION_MEMBERS.but(&[
            "organization_id",
            "user_id",
            "invitation",
            "redemption",
            "approved_by",
            "method",
            "join_time",
            "revision",
        ]).assign(on),
        on.rows("$1", "input")
    );

    LIFT_REMOVALS(on) = format!(
        "DELETE FROM removals WHERE (organization_id, class_id, user_id) IN ( \
         SELECT l.value->>'organization_id', l.value->>'class_id', l.value->>'user_id' FROM {})",
        on.rows("$1", "l")
    );

    /// The statement waits for transactions that share the row, and then compares with the latest
    /// row.
    RAISE_FENCE = "INSERT INTO fences (invitation, epoch, update_time) VALUES ($1, $2, $3) \
         ON CONFLICT (invitation) DO UPDATE SET \
         epoch = CASE WHEN excluded.epoch > fences.epoch THEN excluded.epoch ELSE fences.epoch END, \
         update_time = excluded.update_time \
         RETURNING epoch";
}

/// Returns a new membership as a row, with the first revision.
fn new_member(member: &Member) -> Value {
    json!(Member {
        revision: FIRST_REVISION,
        ..member.clone()
    })
}

impl Repository {
    /// Runs the statement for these rows, unless there are none, and returns how many rows it
    /// wrote.
    pub(super) async fn write_rows(
        &mut self,
        statement: &'static Statement,
        rows: Arg,
    ) -> Result<usize> {
        if rows.is_no_rows() {
            return Ok(0);
        }
        let written = self.0.run(statement, vec![rows]).await?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
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
            .filter(|(_, change)| **change != SeatChange::default());
        let moved: Vec<Value> = moved
            .map(|(id, change)| {
                json!({ "o": id.as_str(), "used": change.used, "waiting": change.waiting })
            })
            .collect();
        if members.is_empty() && moved.is_empty() && admissions.is_empty() {
            return Ok(0);
        }
        let bound = args![
            json_rows(of_organizations.into_iter().map(new_member)),
            json_rows(of_classes.into_iter().map(new_member)),
            json_rows(moved),
            json_rows(admissions),
        ];
        if self.0.engine() == Engine::Postgres {
            return self.0.run(&SAVE, bound).await;
        }
        let each = [
            &INSERT_ORGANIZATION_MEMBERS,
            &INSERT_CLASS_MEMBERS,
            &MOVE_SEATS,
            &SAVE,
        ];
        let mut stored = 0;
        for (statement, rows) in each.into_iter().zip(bound) {
            stored = self.0.run(statement, vec![rows]).await?;
        }
        Ok(stored)
    }

    /// Writes role and particulars of members of organizations.
    pub(super) async fn change_members(&mut self, members: &[&Member]) -> Result<()> {
        self.write_rows(&CHANGE_MEMBERS, json_rows(members)).await?;
        Ok(())
    }

    /// Inserts memberships of organizations, then of classes, each with the first revision. A class member must be a
    /// member of the organization (I2), which keeps the particulars.
    pub async fn insert_members(&mut self, members: &[Member]) -> Result<()> {
        self.save_together(members, &BTreeMap::new(), &[]).await?;
        Ok(())
    }

    /// Locks the fences in shared mode, inserting those that are missing, and then the organizations' seat rows, both
    /// in the order of their names, until the transaction ends. Returns the locks that it took: an organization that
    /// does not exist is not among them.
    ///
    /// With [`Locks::All`] it fails with a conflict if another transaction inserted a fence at the same time; the next
    /// transaction sees that fence.
    pub async fn lock(
        &mut self,
        fences: &BTreeSet<String>,
        organizations: &BTreeSet<OrganizationId>,
        locks: Locks,
        now: DateTime<Utc>,
    ) -> Result<Locked> {
        let lock = match locks {
            Locks::Free => &LOCK_FREE,
            Locks::All => &LOCK_ALL,
        };
        let bound = args![json_ids(fences), json_ids(organizations), now];
        let rows: Vec<(Option<String>, Option<String>)> = self.0.all(lock, bound).await?;
        let mut locked = Locked::default();
        for (fence, organization) in rows {
            locked.fences.extend(fence);
            let id = organization.map(|id| id.parse()).transpose();
            locked
                .organizations
                .extend(id.map_err(|_| Error::corrupt("a stored organization_id does not parse"))?);
        }
        if locks == Locks::All && locked.fences.len() < fences.len() {
            return Err(met_another());
        }
        Ok(locked)
    }

    /// Locks organizations only, and waits for the locks.
    pub async fn lock_organizations(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
    ) -> Result<()> {
        // No fence is inserted, so the time does not matter.
        let now = DateTime::UNIX_EPOCH;
        self.lock(&BTreeSet::new(), organizations, Locks::All, now)
            .await?;
        Ok(())
    }

    /// Returns the stored answers to these redemptions, of those that have one.
    pub async fn admissions(&mut self, redemptions: &[Uuid]) -> Result<Vec<StoredAdmission>> {
        self.0.all(&READ, args![json_ids(redemptions)]).await
    }

    /// Writes all changes. Fails with a conflict if a redemption was answered or a request ended in the meantime; then
    /// nothing may be committed.
    pub async fn save(&mut self, effects: &Effects) -> Result<()> {
        let changed = self
            .write_rows(&CHANGE_REQUESTS, json_rows(&effects.changed))
            .await?;
        if changed != effects.changed.len() {
            return Err(met_another());
        }
        self.write_rows(&FILE_REQUESTS, json_rows(&effects.filed))
            .await?;
        let lifted = effects.lifted.iter().map(|(place, user)| {
            json!({
                "organization_id": place.organization().as_str(),
                "class_id": class_id(place),
                "user_id": user.as_str(),
            })
        });
        let lifted = json_rows(lifted);
        self.write_rows(&LIFT_REMOVALS, lifted).await?;
        self.end_memberships(&effects.ended).await?;
        let stored = self
            .save_together(&effects.members, &effects.seats, &effects.admissions)
            .await?;
        let updated: Vec<&Member> = effects.updated.values().collect();
        self.change_members(&updated).await?;
        self.change_roles(effects.roles.values()).await?;
        self.record_all_removals(&effects.removed).await?;
        let all = usize::try_from(stored).is_ok_and(|stored| stored == effects.admissions.len());
        // This variant is wrong on purpose (against P1): the key refuses nothing.
        if all || is_wrong(WrongVariant::NoAdmissionKey) {
            Ok(())
        } else {
            Err(met_another())
        }
    }

    /// Raises a fence to `epoch` but never lowers it; waits for every transaction that holds it in shared mode. Returns
    /// its value afterwards.
    pub async fn raise_fence(
        &mut self,
        invitation: &str,
        epoch: i64,
        now: DateTime<Utc>,
    ) -> Result<i64> {
        self.0
            .one(&RAISE_FENCE, args![invitation, epoch, now])
            .await
    }
}

/// Returns the error of a transaction that met an earlier one and must be rolled back.
fn met_another() -> Error {
    Error::conflict("another transaction was there first")
}
