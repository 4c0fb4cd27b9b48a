//! Reads everything that admissions need for their decision, in one statement: a row for each
//! requested person, whose columns hold the rows that concern them as JSON.
//!
//! Each column is a subquery by a key, which no planner can turn into a join that reads a whole
//! table.

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::{
    args,
    database::Engine,
    store::{
        columns::{self, class_id},
        json_rows,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Known, OrganizationKnown, Repository, Result, StoredAdmission, Wanted,
    join_requests::JOIN_REQUESTS,
    ledger::ADMISSIONS,
    members::{ORGANIZATION_MEMBERS, in_class},
};
use crate::domain::{access::ClassStanding, join_request::JoinRequest, member::Member};

/// Returns the end of a subquery about the requested person in this class.
fn of_person(row: &str, class: &str) -> String {
    format!(
        "WHERE {row}.organization_id = wanted.value->>'o' AND {row}.class_id = {class} \
         AND {row}.user_id = wanted.value->>'u'"
    )
}

fn facts(on: Engine) -> String {
    let class_member =
        ORGANIZATION_MEMBERS.each(|column| format!("'{column}', {}", in_class(column)));
    format!(
        "SELECT wanted.value->>'o' AS organization_id, wanted.value->>'c' AS class_id, \
         wanted.value->>'u' AS user_id, wanted.value->>'i' AS invitation, \
         (SELECT f.epoch FROM fences f WHERE f.invitation = wanted.value->>'i') AS fence, \
         (SELECT {admission} FROM admissions a WHERE a.redemption_id = wanted.value->>'r') AS admission, \
         (SELECT {request} FROM admissions a JOIN join_requests j ON j.organization_id = a.organization_id \
         AND j.class_id = a.class_id AND j.request_id = a.request_id \
         WHERE a.redemption_id = wanted.value->>'r') AS admission_request, \
         (SELECT {organization} FROM organizations o \
         JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE o.organization_id = wanted.value->>'o' AND o.delete_time IS NULL) AS organization, \
         (SELECT {class} FROM classes c WHERE c.organization_id = wanted.value->>'o' \
         AND c.class_id = wanted.value->>'c' AND c.delete_time IS NULL) AS class, \
         (SELECT {organization_member} FROM organization_members m \
         WHERE m.organization_id = wanted.value->>'o' AND m.user_id = wanted.value->>'u') AS organization_member, \
         (SELECT {class_member} FROM class_members m JOIN organization_members p \
         ON p.organization_id = m.organization_id AND p.user_id = m.user_id {class_member_here}) AS class_member, \
         (SELECT {request} FROM join_requests j {request_here} AND j.state = 'PENDING') AS open_request, \
         (SELECT {request} FROM join_requests j {request_at_organization} AND j.state = 'PENDING') \
         AS open_request_at_organization, \
         (SELECT max(j.decide_time) FROM join_requests j {request_here} AND j.state = 'DENIED') AS denial, \
         (SELECT r.remove_time FROM removals r {removal_here}) AS removal, \
         (SELECT r.remove_time FROM removals r {removal_from_organization}) AS removal_from_organization \
         FROM {wanted}",
        admission = on.object(&[ADMISSIONS.pairs("a")]),
        request = on.object(&[JOIN_REQUESTS.pairs("j")]),
        organization = on.object(&[
            "'display_name', o.display_name, 'seat_limit', s.seat_limit, 'seats_used', s.seats_used, \
             'requests_waiting', s.requests_waiting"
                .to_owned()
        ]),
        class = on.object(&["'display_name', c.display_name, 'state', c.state".to_owned()]),
        organization_member =
            on.object(&[ORGANIZATION_MEMBERS.pairs("m"), "'class_id', ''".to_owned()]),
        class_member = on.object(&[class_member, "'class_id', m.class_id".to_owned()]),
        class_member_here = of_person("m", "wanted.value->>'c'"),
        request_here = of_person("j", "wanted.value->>'c'"),
        request_at_organization = of_person("j", "''"),
        removal_here = of_person("r", "wanted.value->>'c'"),
        removal_from_organization = of_person("r", "''"),
        wanted = on.rows("$1", "wanted"),
    )
}

homeroom_kit::statements! {
    FACTS(on) = facts(on);
}

/// Returns the parameters of [`FACTS`] for one person.
fn of_wanted(wanted: &Wanted) -> Value {
    let (place, user) = &wanted.person;
    let redemption = wanted.redemption.as_ref();
    json!({
        "o": place.organization().as_str(),
        "c": class_id(place),
        "u": user.as_str(),
        "r": redemption.map(|(id, _)| id),
        "i": redemption.map(|(_, invitation)| invitation),
    })
}

/// The facts about one person.
#[derive(Deserialize)]
struct FactsRow {
    #[serde(flatten, with = "columns::place")]
    place: Place,
    #[serde(with = "columns::text")]
    user_id: UserId,
    invitation: Option<String>,
    fence: Option<i64>,
    #[serde(with = "columns::optional_json")]
    admission: Option<StoredAdmission>,
    #[serde(with = "columns::optional_json")]
    admission_request: Option<JoinRequest>,
    #[serde(with = "columns::optional_json")]
    organization: Option<OrganizationKnown>,
    #[serde(with = "columns::optional_json")]
    class: Option<ClassStanding>,
    #[serde(with = "columns::optional_json")]
    organization_member: Option<Member>,
    #[serde(with = "columns::optional_json")]
    class_member: Option<Member>,
    #[serde(with = "columns::optional_json")]
    open_request: Option<JoinRequest>,
    #[serde(with = "columns::optional_json")]
    open_request_at_organization: Option<JoinRequest>,
    #[serde(with = "columns::optional_time")]
    denial: Option<DateTime<Utc>>,
    #[serde(with = "columns::optional_time")]
    removal: Option<DateTime<Utc>>,
    #[serde(with = "columns::optional_time")]
    removal_from_organization: Option<DateTime<Utc>>,
}

impl FactsRow {
    /// Adds the facts to those that are known.
    fn learn(self, known: &mut Known) {
        let organization = self.place.organization().clone();
        let at_organization = (Place::from(organization.clone()), self.user_id.clone());
        let person = (self.place, self.user_id);
        known.fences.extend(self.invitation.zip(self.fence));
        let admission = self.admission.map(|stored| (stored.redemption, stored));
        known.admissions.extend(admission);
        let found = self.organization.map(|found| (organization, found));
        known.organizations.extend(found);
        if let (Place::Class(name), Some(class)) = (&person.0, self.class) {
            known.classes.insert(name.clone(), class);
        }
        let requests = [
            &self.open_request_at_organization,
            &self.open_request,
            &self.admission_request,
        ];
        let requests = requests.into_iter().flatten();
        known
            .requests
            .extend(requests.map(|request| (request.id, request.clone())));
        for (at, member, request, removal) in [
            (
                &at_organization,
                self.organization_member,
                self.open_request_at_organization,
                self.removal_from_organization,
            ),
            (&person, self.class_member, self.open_request, self.removal),
        ] {
            let at = || at.clone();
            known.members.extend(member.map(|member| (at(), member)));
            let request = request.map(|request| (at(), request));
            known.open_requests.extend(request);
            known.removals.extend(removal.map(|time| (at(), time)));
        }
        known.denials.extend(self.denial.map(|time| (person, time)));
    }
}

impl Repository {
    /// Reads all facts of these, in one statement.
    pub async fn facts(&mut self, wanted: &[Wanted]) -> Result<Known> {
        let bound = args![json_rows(wanted.iter().map(of_wanted))];
        let rows: Vec<FactsRow> = self.0.all(&FACTS, bound).await?;
        let mut known = Known::default();
        for row in rows {
            row.learn(&mut known);
        }
        Ok(known)
    }
}
