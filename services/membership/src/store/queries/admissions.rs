//! Admissions, and what decides them: array statements, each one for however many redemptions.

use std::collections::BTreeSet;

use async_trait::async_trait;
use homeroom_api::{ids::OrganizationId, names::Place};
use homeroom_kit::{
    clock::from_micros,
    database::Error,
    failpoints::{WrongVariant, is_wrong},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::WAIT_BRIEFLY,
    SqlRepository,
    admission_rows::{of_admission, of_person, of_place, of_request},
    join_requests::{columns, join_request},
    members,
    rows::{self, Row, get},
};
use crate::{
    domain::{access::ClassStanding, admission::Outcome, class::ClassState, seat::Seats},
    store::{
        Admissions, Effects, Known, Members as _, OrganizationKnown, PersonAt, Result, SeatChange,
        StoredAdmission,
    },
};

const LOCK_ORGANIZATIONS: &str = concat!(
    "SELECT organization_id FROM organization_seats \
     WHERE organization_id IN (SELECT wanted.value->>'o' FROM ",
    json_rows!(),
    " AS wanted) ORDER BY organization_id",
    for_update!()
);

const LOCK_FREE_ORGANIZATIONS: &str = concat!(
    "SELECT organization_id FROM organization_seats \
     WHERE organization_id IN (SELECT wanted.value->>'o' FROM ",
    json_rows!(),
    " AS wanted) ORDER BY organization_id",
    for_update_of_free!()
);

const READ: &str = concat!(
    "SELECT redemption_id, organization_id, class_id, user_id, invitation, epoch, outcome, \
     refuse_reason, request_id, create_time FROM admissions \
     WHERE redemption_id IN (SELECT wanted.value->>'r' FROM ",
    json_rows!(),
    " AS wanted)"
);

const ORGANIZATIONS: &str = concat!(
    "SELECT organizations.organization_id, organizations.display_name, \
     organization_seats.seat_limit, organization_seats.seats_used, \
     organization_seats.requests_waiting FROM ",
    json_rows!(),
    " AS wanted \
     JOIN organizations ON organizations.organization_id = wanted.value->>'o' \
     JOIN organization_seats \
     ON organization_seats.organization_id = organizations.organization_id \
     WHERE organizations.delete_time IS NULL"
);

const CLASSES: &str = concat!(
    "SELECT classes.organization_id, classes.class_id, classes.display_name, classes.state FROM ",
    json_rows!(),
    " AS wanted JOIN classes ON classes.organization_id = wanted.value->>'o' \
     AND classes.class_id = wanted.value->>'c' WHERE classes.delete_time IS NULL"
);

const ORGANIZATION_MEMBERS: &str = concat!(
    "SELECT m.organization_id, '' AS class_id, m.user_id, m.display_name, m.email, m.external_id, \
     m.role, m.join_time, m.invitation, m.redemption, m.approved_by, m.method, m.revision FROM ",
    json_rows!(),
    " AS wanted JOIN organization_members m ON m.organization_id = wanted.value->>'o' \
     AND m.user_id = wanted.value->>'u' WHERE wanted.value->>'c' = ''"
);

/// A class's members show the particulars kept with the organization's.
const CLASS_MEMBERS: &str = concat!(
    "SELECT c.organization_id, c.class_id, c.user_id, m.display_name, m.email, m.external_id, \
     c.role, c.join_time, c.invitation, c.redemption, c.approved_by, c.method, \
     c.revision + m.revision AS revision FROM ",
    json_rows!(),
    " AS wanted JOIN class_members c ON c.organization_id = wanted.value->>'o' \
     AND c.class_id = wanted.value->>'c' AND c.user_id = wanted.value->>'u' \
     JOIN organization_members m ON m.organization_id = c.organization_id \
     AND m.user_id = c.user_id"
);

const OPEN_REQUESTS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM ",
    json_rows!(),
    " AS wanted JOIN join_requests ON join_requests.organization_id = wanted.value->>'o' \
     AND join_requests.class_id = wanted.value->>'c' \
     AND join_requests.user_id = wanted.value->>'u' AND join_requests.state = 'PENDING'"
);

const DENIALS: &str = concat!(
    "SELECT j.organization_id, j.class_id, j.user_id, max(j.decide_time) AS time FROM ",
    json_rows!(),
    " AS wanted JOIN join_requests j ON j.organization_id = wanted.value->>'o' \
     AND j.class_id = wanted.value->>'c' AND j.user_id = wanted.value->>'u' \
     AND j.state = 'DENIED' AND j.decide_time IS NOT NULL \
     GROUP BY j.organization_id, j.class_id, j.user_id"
);

const REMOVALS: &str = concat!(
    "SELECT r.organization_id, r.class_id, r.user_id, r.remove_time AS time FROM ",
    json_rows!(),
    " AS wanted JOIN removals r ON r.organization_id = wanted.value->>'o' \
     AND r.class_id = wanted.value->>'c' AND r.user_id = wanted.value->>'u'"
);

/// The request ends before another is filed: one open request per person and place (03 P2).
const END_REQUESTS: &str = concat!(
    "UPDATE join_requests SET state = ended.state, decide_note = ended.decide_note, \
     decided_by = ended.decided_by, decide_time = ended.decide_time FROM ( \
     SELECT e.value->>'o' AS o, e.value->>'c' AS c, e.value->>'r' AS r, \
     e.value->>'state' AS state, e.value->>'note' AS decide_note, e.value->>'by' AS decided_by, \
     CAST(e.value->>'time' AS BIGINT) AS decide_time FROM ",
    json_rows!(),
    " AS e) AS ended WHERE join_requests.organization_id = ended.o \
     AND join_requests.class_id = ended.c AND join_requests.request_id = ended.r \
     AND join_requests.state = 'PENDING'"
);

const FILE_REQUESTS: &str = concat!(
    "INSERT INTO join_requests (organization_id, class_id, request_id, user_id, display_name, \
     email, external_id, state, cause, invitation, redemption, method, decide_note, decided_by, \
     create_time, decide_time, expire_time) \
     SELECT f.value->>'o', f.value->>'c', f.value->>'r', f.value->>'u', f.value->>'display_name', \
     f.value->>'email', f.value->>'external_id', f.value->>'state', f.value->>'cause', \
     f.value->>'invitation', f.value->>'redemption', f.value->>'method', f.value->>'note', \
     f.value->>'by', CAST(f.value->>'create_time' AS BIGINT), \
     CAST(f.value->>'time' AS BIGINT), CAST(f.value->>'expire_time' AS BIGINT) FROM ",
    json_rows!(),
    " AS f"
);

const LIFT_REMOVALS: &str = concat!(
    "DELETE FROM removals WHERE (organization_id, class_id, user_id) IN ( \
     SELECT l.value->>'o', l.value->>'c', l.value->>'u' FROM ",
    json_rows!(),
    " AS l)"
);

const INSERT_ADMISSIONS: &str = concat!(
    "INSERT INTO admissions (redemption_id, organization_id, class_id, user_id, invitation, \
     epoch, outcome, refuse_reason, request_id, create_time) \
     SELECT a.value->>'r', a.value->>'o', a.value->>'c', a.value->>'u', a.value->>'invitation', \
     CAST(a.value->>'epoch' AS BIGINT), a.value->>'outcome', a.value->>'reason', \
     a.value->>'request', CAST(a.value->>'time' AS BIGINT) FROM ",
    json_rows!(),
    " AS a WHERE true ON CONFLICT (redemption_id) DO NOTHING"
);

const MOVE_SEATS: &str = concat!(
    "UPDATE organization_seats SET \
     seats_used = organization_seats.seats_used + moved.used, \
     requests_waiting = organization_seats.requests_waiting + moved.waiting FROM ( \
     SELECT s.value->>'o' AS o, CAST(s.value->>'used' AS BIGINT) AS used, \
     CAST(s.value->>'waiting' AS BIGINT) AS waiting FROM ",
    json_rows!(),
    " AS s) AS moved WHERE organization_seats.organization_id = moved.o"
);

/// For the test that prepares them.
pub(super) const STATEMENTS: &[&str] = &[
    LOCK_ORGANIZATIONS,
    LOCK_FREE_ORGANIZATIONS,
    WAIT_BRIEFLY,
    READ,
    ORGANIZATIONS,
    CLASSES,
    ORGANIZATION_MEMBERS,
    CLASS_MEMBERS,
    OPEN_REQUESTS,
    DENIALS,
    REMOVALS,
    END_REQUESTS,
    FILE_REQUESTS,
    LIFT_REMOVALS,
    INSERT_ADMISSIONS,
    MOVE_SEATS,
];

fn stored_admission(row: &Row) -> Result<StoredAdmission> {
    let corrupt = || Error::corrupt("a row of admissions does not parse");
    let join_request: &str = get(row, "request_id")?;
    Ok(StoredAdmission {
        redemption: rows::parse(row, "redemption_id", |text| Uuid::try_parse(text).ok())?,
        place: rows::place(row)?,
        user: rows::user_id(row, "user_id")?,
        invitation: get(row, "invitation")?,
        epoch: get(row, "epoch")?,
        outcome: Outcome::parse(get(row, "outcome")?, get(row, "refuse_reason")?)
            .ok_or_else(corrupt)?,
        join_request: match join_request {
            "" => None,
            id => Some(Uuid::try_parse(id).map_err(|_| corrupt())?),
        },
        create_time: from_micros(get(row, "create_time")?),
    })
}

fn person(row: &Row) -> Result<PersonAt> {
    Ok((rows::place(row)?, rows::user_id(row, "user_id")?))
}

impl SqlRepository {
    pub(super) async fn rows(&mut self, text: &'static str, bound: &str) -> Result<Vec<Row>> {
        Ok(sqlx::query(text)
            .bind(bound)
            .fetch_all(self.connection())
            .await?)
    }

    /// Runs the statement for these rows, unless there are none, and gives how many it wrote.
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

    async fn known_places(&mut self, places: &BTreeSet<Place>, known: &mut Known) -> Result<()> {
        let organizations: BTreeSet<&OrganizationId> =
            places.iter().map(Place::organization).collect();
        let wanted = organizations
            .into_iter()
            .map(|id| json!({ "o": id.as_str() }));
        let wanted = Value::Array(wanted.collect()).to_string();
        for row in self.rows(ORGANIZATIONS, &wanted).await? {
            let id = rows::organization_id(&row)?;
            let organization = OrganizationKnown {
                display_name: get(&row, "display_name")?,
                seats: Seats {
                    limit: get(&row, "seat_limit")?,
                    used: get(&row, "seats_used")?,
                    waiting: get(&row, "requests_waiting")?,
                },
            };
            known.organizations.insert(id, organization);
        }
        let classes = places.iter().filter(|place| place.class().is_some());
        let wanted: Vec<Value> = classes.map(of_place).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted = Value::Array(wanted).to_string();
        for row in self.rows(CLASSES, &wanted).await? {
            let name = rows::class_name(&row)?;
            let standing = ClassStanding {
                display_name: get(&row, "display_name")?,
                state: rows::parse(&row, "state", ClassState::parse)?,
            };
            known.classes.insert(name, standing);
        }
        Ok(())
    }
}

#[async_trait]
impl Admissions for SqlRepository {
    async fn lock_organizations(&mut self, organizations: &BTreeSet<OrganizationId>) -> Result<()> {
        let wanted = organizations.iter().map(|id| json!({ "o": id.as_str() }));
        let wanted = Value::Array(wanted.collect()).to_string();
        sqlx::query(LOCK_ORGANIZATIONS)
            .bind(wanted)
            .fetch_all(self.connection())
            .await?;
        Ok(())
    }

    async fn wait_briefly(&mut self) -> Result<()> {
        sqlx::query(WAIT_BRIEFLY).execute(self.connection()).await?;
        Ok(())
    }

    async fn lock_free_organizations(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
    ) -> Result<BTreeSet<OrganizationId>> {
        let wanted = organizations.iter().map(|id| json!({ "o": id.as_str() }));
        let wanted = Value::Array(wanted.collect()).to_string();
        let locked = self.rows(LOCK_FREE_ORGANIZATIONS, &wanted).await?;
        locked.iter().map(rows::organization_id).collect()
    }

    async fn admissions(&mut self, redemptions: &[Uuid]) -> Result<Vec<StoredAdmission>> {
        let wanted = redemptions.iter().map(|id| json!({ "r": id.to_string() }));
        let wanted = Value::Array(wanted.collect()).to_string();
        let rows = self.rows(READ, &wanted).await?;
        rows.iter().map(stored_admission).collect()
    }

    async fn known(&mut self, persons: &BTreeSet<PersonAt>) -> Result<Known> {
        let mut known = Known::default();
        let places: BTreeSet<Place> = persons.iter().map(|(place, _)| place.clone()).collect();
        self.known_places(&places, &mut known).await?;
        let at_organizations = persons.iter().map(|(place, user)| {
            let organization = Place::Organization(place.organization().clone());
            (organization, user.clone())
        });
        let everywhere: BTreeSet<PersonAt> =
            persons.iter().cloned().chain(at_organizations).collect();
        let wanted = Value::Array(everywhere.iter().map(of_person).collect()).to_string();
        let mut joined = self.rows(ORGANIZATION_MEMBERS, &wanted).await?;
        if places.iter().any(|place| place.class().is_some()) {
            joined.extend(self.rows(CLASS_MEMBERS, &wanted).await?);
        }
        for row in &joined {
            known.members.insert(person(row)?, members::read(row)?);
        }
        for row in &self.rows(OPEN_REQUESTS, &wanted).await? {
            known.open_requests.insert(person(row)?, join_request(row)?);
        }
        for row in &self.rows(REMOVALS, &wanted).await? {
            known
                .removals
                .insert(person(row)?, from_micros(get(row, "time")?));
        }
        for row in &self.rows(DENIALS, &wanted).await? {
            known
                .denials
                .insert(person(row)?, from_micros(get(row, "time")?));
        }
        Ok(known)
    }

    async fn save(&mut self, effects: &Effects) -> Result<()> {
        let ended = self
            .write_rows(END_REQUESTS, effects.ended.iter().map(of_request))
            .await?;
        if ended != effects.ended.len() {
            return Err(met_another());
        }
        self.write_rows(FILE_REQUESTS, effects.filed.iter().map(of_request))
            .await?;
        self.insert_members(&effects.members).await?;
        self.write_rows(LIFT_REMOVALS, effects.lifted.iter().map(of_person))
            .await?;
        let stored = self
            .write_rows(
                INSERT_ADMISSIONS,
                effects.admissions.iter().map(of_admission),
            )
            .await?;
        // Wrong on purpose, against P1: the key turns nobody away.
        if stored != effects.admissions.len() && !is_wrong(WrongVariant::NoAdmissionKey) {
            return Err(met_another());
        }
        let seats = effects
            .seats
            .iter()
            .filter(|(_, change)| **change != SeatChange::default());
        self.write_rows(
            MOVE_SEATS,
            seats.map(|(id, change)| {
                json!({ "o": id.as_str(), "used": change.used, "waiting": change.waiting })
            }),
        )
        .await?;
        Ok(())
    }
}

/// Another transaction was there first; nothing here may stand.
fn met_another() -> Error {
    Error::Conflict(std::sync::Arc::new(sqlx::Error::RowNotFound))
}
