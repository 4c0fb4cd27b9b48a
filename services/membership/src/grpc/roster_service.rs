//! `RosterService`: imports of the rosters of other systems.

use homeroom_api::{
    ids::UserId,
    membership::v1::{self as api, roster_service_server::RosterService},
    names::{ClassName, OrganizationName, Place},
};
use homeroom_kit::{Result, auth::Caller, person, validation::Violations};
use prost::Message as _;

use super::member_service::{IN_CLASS_BUT_OWNER, IN_ORGANIZATION, role};
use crate::{
    app::{
        App,
        rosters::{self, Committed, Import, Planned},
    },
    domain::{
        member::{Particulars, Role},
        organization::SEAT_LIMIT_MAX,
        roster::{
            Change, Outcome, REMOVALS_PERCENT_MAX, REPLACED_TOLD_MAX, ROSTER_ROWS_MAX, Replaced,
            RosterRow, Stated,
        },
    },
};

homeroom_kit::rpcs! {
    RosterService for pub(crate) struct RosterApi(pub(crate) App) {
        plan_import: api::PlanImportRequest => api::PlanImportResponse;
        commit_import: api::CommitImportRequest => api::CommitImportResponse = change(to_commit, rosters::commit);
    }
}

impl RosterApi {
    async fn plan_import(
        &self,
        caller: &Caller,
        request: api::PlanImportRequest,
    ) -> Result<api::PlanImportResponse> {
        let seats_planned = request.seats_planned;
        let mut violations = Violations::new();
        violations.check(
            (0..=SEAT_LIMIT_MAX).contains(&seats_planned),
            "seats_planned",
            format!("must be from 0 to {SEAT_LIMIT_MAX}"),
        );
        let read = import(&mut violations, request);
        let (parent, import) = violations.finish_with(read)?;
        let planned = self.0.plan_import(caller, parent, &import, seats_planned);
        Ok(planned.await?.into())
    }
}

fn to_commit(
    v: &mut Violations,
    request: &api::CommitImportRequest,
) -> Option<(OrganizationName, (Import, String))> {
    v.check(!request.revision.is_empty(), "revision", "is required");
    let planned = api::PlanImportRequest {
        parent: request.parent.clone(),
        rows: request.rows.clone(),
        removals_percent_max: request.removals_percent_max,
        ..Default::default()
    };
    let (parent, import) = import(v, planned)?;
    Some((parent, (import, request.revision.clone())))
}

/// Parses the rows of a plan, and what they may do. A row that does not parse fails alone.
fn import(
    v: &mut Violations,
    request: api::PlanImportRequest,
) -> Option<(OrganizationName, Import)> {
    let parent = v.take("parent", OrganizationName::parse(&request.parent));
    v.check(
        (1..=ROSTER_ROWS_MAX).contains(&request.rows.len()),
        "rows",
        format!("must hold 1 to {ROSTER_ROWS_MAX} rows"),
    );
    let removals_percent_max = i64::from(request.removals_percent_max);
    v.check(
        (0..=REMOVALS_PERCENT_MAX).contains(&removals_percent_max),
        "removals_percent_max",
        format!("must be from 0 to {REMOVALS_PERCENT_MAX}"),
    );
    let parent = parent?;
    let rows = request.rows.iter().map(|sent| row(&parent, sent)).collect();
    let sent = api::PlanImportRequest {
        parent: request.parent,
        rows: request.rows,
        ..Default::default()
    };
    let import = Import {
        rows,
        sent: sent.encode_to_vec(),
        removals_percent_max,
    };
    Some((parent, import))
}

/// Parses one row.
fn row(parent: &OrganizationName, sent: &api::RosterRow) -> Result<RosterRow> {
    let mut v = Violations::new();
    let class = v.optional("class", &sent.class, ClassName::parse);
    let elsewhere = class
        .as_ref()
        .is_some_and(|class| class.organization != parent.0);
    let place = match class {
        Some(class) => Place::Class(class),
        None => Place::Organization(parent.0.clone()),
    };
    v.check(!elsewhere, "class", "must be a class of the parent");
    let user = v.take("user", UserId::parse_person(&sent.user));
    let stated = if sent.remove {
        Stated::Absent
    } else {
        let roles: &[Role] = if sent.class.is_empty() {
            &IN_ORGANIZATION
        } else {
            &IN_CLASS_BUT_OWNER
        };
        let role = role(&mut v, "role", sent.role, roles);
        let email = v.email("email", &sent.email);
        let particulars = Particulars {
            display_name: person::display_name(&sent.display_name),
            email: email.map_or_else(String::new, |email| email.canonical()),
            external_id: v.external_id("external_id", &sent.external_id),
        };
        Stated::Member(role, particulars)
    };
    let user = v.finish_with(user)?;
    Ok(RosterRow {
        place,
        user,
        stated,
    })
}

impl From<Planned> for api::PlanImportResponse {
    fn from(planned: Planned) -> Self {
        Self {
            results: results(planned.outcomes),
            revision: planned.revision,
            seats_taken: planned.seats_taken,
        }
    }
}

impl From<Committed> for api::CommitImportResponse {
    fn from(Committed(outcomes): Committed) -> Self {
        Self {
            results: results(outcomes),
        }
    }
}

fn results(outcomes: Vec<Result<Outcome>>) -> Vec<api::RosterResult> {
    let results = (0_i32..)
        .zip(outcomes)
        .map(|(index, outcome)| match outcome {
            Ok(outcome) => api::RosterResult {
                index,
                change: change(outcome.change).into(),
                display_name: outcome.display_name,
                replaced: outcome
                    .replaced
                    .into_iter()
                    .take(REPLACED_TOLD_MAX)
                    .map(replaced)
                    .collect(),
                ..Default::default()
            },
            Err(error) => api::RosterResult {
                index,
                status: Some(error.into_row_status()),
                ..Default::default()
            },
        });
    results.collect()
}

fn replaced(replaced: Replaced) -> api::roster_result::Replaced {
    api::roster_result::Replaced {
        parent: replaced.place.to_string(),
        field: replaced.field.to_owned(),
        from: replaced.from,
        to: replaced.to,
    }
}

fn change(change: Change) -> api::roster_result::Change {
    api::roster_result::Change::from_str_name(change.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_on_the_wire_are_those_of_the_domain() {
        for each in Change::ALL {
            assert_eq!(change(each).as_str_name(), each.as_str());
        }
    }
    #[test]
    fn a_result_tells_the_first_10_replaced_values() {
        for (count, told) in [(REPLACED_TOLD_MAX, 10), (REPLACED_TOLD_MAX + 1, 10)] {
            let place = |number| format!("organizations/hamilton/classes/class-{number}");
            let value = |number| Replaced {
                place: Place::parse(&place(number)).unwrap(),
                field: "role",
                from: "CO_TEACHER".to_owned(),
                to: "STUDENT".to_owned(),
            };
            let outcome = Outcome {
                replaced: (0..count).map(value).collect(),
                ..Outcome::new(Change::Updated)
            };
            let result = results(vec![Ok(outcome)]).remove(0);
            assert_eq!(result.replaced.len(), told);
            assert_eq!(result.replaced[9].parent, place(9));
        }
    }
}
