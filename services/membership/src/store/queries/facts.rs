//! Reads everything that admissions need for their decision, in one statement: a row for each
//! requested person, whose columns hold the rows that concern them.
//!
//! Each column is a subquery by a key, which no planner can turn into a join that reads a whole
//! table.

use std::collections::BTreeMap;

use homeroom_api::names::Place;
use homeroom_kit::{clock::from_micros, database::Error};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    join_requests::join_request,
    members,
    rows::{self, Fields, Row, class_text, fact},
};
use crate::{
    domain::{access::ClassStanding, admission::Outcome, class::ClassState, seat::Seats},
    store::{Known, OrganizationKnown, Result, StoredAdmission, Wanted},
};

/// Builds a JSON object of columns, and of further names and values.
macro_rules! fact {
    ($first_row:ident.$first:ident $(, $row:ident.$column:ident)* $(; $more:literal)?) => {
        concat!(
            "SELECT CAST(", json_object!(), "('", stringify!($first), "', ",
            stringify!($first_row), ".", stringify!($first),
            $(", '", stringify!($column), "', ", stringify!($row), ".", stringify!($column),)*
            $(", ", $more,)?
            ") AS TEXT) "
        )
    };
}

#[rustfmt::skip]
macro_rules! request_fact {
    () => {
        fact!(
            j.organization_id, j.class_id, j.request_id, j.user_id, j.display_name, j.email,
            j.external_id, j.state, j.cause, j.invitation, j.redemption, j.method, j.decide_note,
            j.decided_by, j.create_time, j.decide_time, j.expire_time
        )
    };
}

/// Ends a subquery about the requested person in this class.
#[rustfmt::skip]
macro_rules! of_person_at {
    ($row:literal, $class:literal) => {
        concat!(
            "WHERE ", $row, ".organization_id = wanted.value->>'o' AND ", $row, ".class_id = ", $class,
            " AND ", $row, ".user_id = wanted.value->>'u'"
        )
    };
}

#[rustfmt::skip]
pub(super) const FACTS: &str = concat!(
    "SELECT wanted.value->>'o' AS organization_id, wanted.value->>'c' AS class_id, \
     wanted.value->>'u' AS user_id, wanted.value->>'i' AS invitation, \
     (SELECT f.epoch FROM fences f WHERE f.invitation = wanted.value->>'i') AS fence, (",
    fact!(
        a.redemption_id, a.organization_id, a.class_id, a.user_id, a.invitation, a.epoch,
        a.outcome, a.refuse_reason, a.request_id, a.create_time
    ),
    "FROM admissions a WHERE a.redemption_id = wanted.value->>'r') AS admission, (",
    request_fact!(),
    "FROM admissions a JOIN join_requests j ON j.organization_id = a.organization_id \
     AND j.class_id = a.class_id AND j.request_id = a.request_id \
     WHERE a.redemption_id = wanted.value->>'r') AS admission_request, (",
    fact!(o.display_name, s.seat_limit, s.seats_used, s.requests_waiting),
    "FROM organizations o JOIN organization_seats s ON s.organization_id = o.organization_id \
     WHERE o.organization_id = wanted.value->>'o' AND o.delete_time IS NULL) AS organization, (",
    fact!(c.display_name, c.state),
    "FROM classes c WHERE c.organization_id = wanted.value->>'o' \
     AND c.class_id = wanted.value->>'c' AND c.delete_time IS NULL) AS class, (",
    fact!(
        m.organization_id, m.user_id, m.display_name, m.email, m.external_id, m.told_time,
        m.set_by_hand, m.role, m.join_time, m.invitation, m.redemption, m.approved_by, m.method,
        m.revision; "'class_id', ''"
    ),
    "FROM organization_members m WHERE m.organization_id = wanted.value->>'o' \
     AND m.user_id = wanted.value->>'u') AS organization_member, (",
    // A class member's personal data is stored with the organization membership.
    fact!(
        c.organization_id, c.class_id, c.user_id, m.display_name, m.email, m.external_id, m.told_time,
        m.set_by_hand, c.role, c.join_time, c.invitation, c.redemption, c.approved_by, c.method;
        "'revision', c.revision + m.revision"
    ),
    "FROM class_members c JOIN organization_members m ON m.organization_id = c.organization_id \
     AND m.user_id = c.user_id ",
    of_person_at!("c", "wanted.value->>'c'"),
    ") AS class_member, (",
    request_fact!(),
    "FROM join_requests j ", of_person_at!("j", "wanted.value->>'c'"),
    " AND j.state = 'PENDING') AS open_request, (",
    request_fact!(),
    "FROM join_requests j ", of_person_at!("j", "''"),
    " AND j.state = 'PENDING') AS open_request_at_organization, (\
     SELECT max(j.decide_time) FROM join_requests j ", of_person_at!("j", "wanted.value->>'c'"),
    " AND j.state = 'DENIED') AS denial, (\
     SELECT r.remove_time FROM removals r ", of_person_at!("r", "wanted.value->>'c'"),
    ") AS removal, (\
     SELECT r.remove_time FROM removals r ", of_person_at!("r", "''"),
    ") AS removal_from_organization FROM ",
    json_rows!("$1"),
    " AS wanted"
);

/// Returns the parameters of [`FACTS`] for one person.
pub(super) fn of_wanted(wanted: &Wanted) -> Value {
    let (place, user) = &wanted.person;
    let redemption = wanted.redemption.as_ref();
    json!({
        "o": place.organization().as_str(),
        "c": class_text(place),
        "u": user.as_str(),
        "r": redemption.map(|(id, _)| id.to_string()),
        "i": redemption.map(|(_, invitation)| invitation),
    })
}

/// Adds the contents of one row.
pub(super) fn learn(row: &Row, known: &mut Known) -> Result<()> {
    let person = (rows::place(row)?, rows::user_id(row, "user_id")?);
    let organization = person.0.organization().clone();
    let at_organization = (Place::Organization(organization.clone()), person.1.clone());
    if let Some(epoch) = row.optional_number("fence")? {
        known
            .fences
            .insert(row.text("invitation")?.to_owned(), epoch);
    }
    if let Some(stored) = fact(row, "admission")? {
        let stored = stored_admission(&stored)?;
        known.admissions.insert(stored.redemption, stored);
    }
    if let Some(found) = fact(row, "organization")? {
        let found = OrganizationKnown {
            display_name: found.text("display_name")?.to_owned(),
            seats: Seats {
                limit: found.number("seat_limit")?,
                used: found.number("seats_used")?,
                waiting: found.number("requests_waiting")?,
            },
        };
        known.organizations.insert(organization, found);
    }
    if let (Place::Class(name), Some(class)) = (&person.0, fact(row, "class")?) {
        let standing = ClassStanding {
            display_name: class.text("display_name")?.to_owned(),
            state: rows::parse(&class, "state", ClassState::parse)?,
        };
        known.classes.insert(name.clone(), standing);
    }
    for (column, at) in [
        ("organization_member", &at_organization),
        ("class_member", &person),
    ] {
        if let Some(member) = fact(row, column)? {
            known.members.insert(at.clone(), members::read(&member)?);
        }
    }
    for (column, at) in [
        ("open_request_at_organization", Some(&at_organization)),
        ("open_request", Some(&person)),
        ("admission_request", None),
    ] {
        if let Some(request) = fact(row, column)? {
            let request = join_request(&request)?;
            if let Some(at) = at {
                known.open_requests.insert(at.clone(), request.clone());
            }
            known.requests.insert(request.id, request);
        }
    }
    let learn_time = |column, times: &mut BTreeMap<_, _>, at: &_| -> Result<()> {
        if let Some(time) = row.optional_number(column)? {
            times.insert(Clone::clone(at), from_micros(time));
        }
        Ok(())
    };
    learn_time(
        "removal_from_organization",
        &mut known.removals,
        &at_organization,
    )?;
    learn_time("removal", &mut known.removals, &person)?;
    learn_time("denial", &mut known.denials, &person)
}

/// Reads a row of `admissions`.
pub(super) fn stored_admission(row: &impl Fields) -> Result<StoredAdmission> {
    let corrupt = || Error::corrupt("a row of admissions does not parse");
    Ok(StoredAdmission {
        redemption: rows::parse(row, "redemption_id", |text| Uuid::try_parse(text).ok())?,
        place: rows::place(row)?,
        user: rows::user_id(row, "user_id")?,
        invitation: row.text("invitation")?.to_owned(),
        epoch: row.number("epoch")?,
        outcome: Outcome::parse(row.text("outcome")?, row.text("refuse_reason")?)
            .ok_or_else(corrupt)?,
        join_request: match row.text("request_id")? {
            "" => None,
            id => Some(Uuid::try_parse(id).map_err(|_| corrupt())?),
        },
        create_time: from_micros(row.number("create_time")?),
    })
}
