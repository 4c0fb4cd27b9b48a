//! What an import reads besides the facts of its rows, and what it writes besides the changes of admissions: each in one
//! statement for any number of rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    args,
    clock::micros,
    store::{
        Arg, Table,
        columns::{self, class_id},
        json_ids, json_rows,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PersonAt, Repository, Result, join_requests::JOIN_REQUESTS};
use crate::domain::{join_request::JoinRequest, member::Member};

const REMOVALS: Table = Table {
    texts: &["organization_id", "class_id", "user_id"],
    numbers: &["remove_time"],
    ..Table::new("removals")
};

homeroom_kit::statements! {
    OPEN_REQUESTS_OF(on) = format!(
        "SELECT {} FROM join_requests WHERE organization_id = $1 AND state = 'PENDING' \
         AND user_id IN (SELECT wanted.value->>'id' FROM {})",
        JOIN_REQUESTS.of("join_requests"),
        on.rows("$2", "wanted")
    );
    /// Counts the members of classes, and of the organization itself for an empty id.
    COUNTS(on) = format!(
        "SELECT $1 AS organization_id, wanted.value->>'id' AS class_id, CASE WHEN wanted.value->>'id' = '' \
         THEN (SELECT count(*) FROM organization_members m WHERE m.organization_id = $1) \
         ELSE (SELECT count(*) FROM class_members m WHERE m.organization_id = $1 \
         AND m.class_id = wanted.value->>'id') END AS members FROM {}",
        on.rows("$2", "wanted")
    );
    END_IN_CLASSES(on) = format!(
        "DELETE FROM class_members WHERE (organization_id, class_id, user_id) IN (SELECT \
         ended.value->>'organization_id', ended.value->>'class_id', ended.value->>'user_id' FROM {})",
        on.rows("$1", "ended")
    );
    END_IN_ORGANIZATIONS(on) = format!(
        "DELETE FROM organization_members WHERE (organization_id, user_id) IN (SELECT \
         ended.value->>'organization_id', ended.value->>'user_id' FROM {})",
        on.rows("$1", "ended")
    );
    CHANGE_ROLES(on) = format!(
        "UPDATE class_members SET role = input.value->>'role', revision = class_members.revision + 1 FROM {} \
         WHERE class_members.organization_id = input.value->>'organization_id' \
         AND class_members.class_id = input.value->>'class_id' \
         AND class_members.user_id = input.value->>'user_id'",
        on.rows("$1", "input")
    );
    RECORD_ALL(on) = REMOVALS.insert(on, "$1") + " WHERE true \
        ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = excluded.remove_time";
}

#[derive(Deserialize)]
struct CountRow {
    #[serde(flatten, with = "columns::place")]
    place: Place,
    members: i64,
}

fn key((place, user): &PersonAt) -> Value {
    json!({
        "organization_id": place.organization().as_str(),
        "class_id": class_id(place),
        "user_id": user.as_str(),
    })
}

fn keys<'persons>(persons: impl IntoIterator<Item = &'persons PersonAt>) -> Arg {
    json_rows(persons.into_iter().map(key))
}

impl Repository {
    /// Returns the PENDING requests of these users at the organization and at its classes, in no order.
    pub async fn open_requests_of(
        &mut self,
        organization: &OrganizationId,
        users: &BTreeSet<UserId>,
    ) -> Result<Vec<JoinRequest>> {
        let bound = args![organization, json_ids(users)];
        self.0.all(&OPEN_REQUESTS_OF, bound).await
    }

    /// Returns the number of members of each of these places, all of one organization.
    pub async fn member_counts(
        &mut self,
        organization: &OrganizationId,
        places: &BTreeSet<Place>,
    ) -> Result<BTreeMap<Place, i64>> {
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let bound = args![organization, json_ids(places.iter().map(class_id))];
        let rows: Vec<CountRow> = self.0.all(&COUNTS, bound).await?;
        let counts = rows.into_iter().map(|row| (row.place, row.members));
        Ok(counts.collect())
    }

    /// Deletes memberships of classes, and then those of organizations.
    pub(super) async fn end_memberships(&mut self, ended: &BTreeSet<PersonAt>) -> Result<()> {
        let in_class = |person: &&PersonAt| person.0.class().is_some();
        let (of_classes, of_organizations): (Vec<&PersonAt>, Vec<&PersonAt>) =
            ended.iter().partition(in_class);
        self.write_rows(&END_IN_CLASSES, keys(of_classes)).await?;
        self.write_rows(&END_IN_ORGANIZATIONS, keys(of_organizations))
            .await?;
        Ok(())
    }

    /// Writes the roles of members of classes.
    pub(super) async fn change_roles(
        &mut self,
        members: impl IntoIterator<Item = &Member>,
    ) -> Result<()> {
        self.write_rows(&CHANGE_ROLES, json_rows(members)).await?;
        Ok(())
    }

    /// Records removals by staff; a later one replaces an earlier one.
    pub(super) async fn record_all_removals(
        &mut self,
        removed: &BTreeMap<PersonAt, DateTime<Utc>>,
    ) -> Result<()> {
        let rows = removed.iter().map(|((place, user), time)| {
            json!({
                "organization_id": place.organization().as_str(),
                "class_id": class_id(place),
                "user_id": user.as_str(),
                "remove_time": micros(*time),
            })
        });
        self.write_rows(&RECORD_ALL, json_rows(rows)).await?;
        Ok(())
    }
}
