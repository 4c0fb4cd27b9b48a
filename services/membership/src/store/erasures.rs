//! Operations on all records of a person (R13).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    args,
    database::Engine,
    erasure::{Mark, Replacement},
    store::{columns, json_ids},
};
use serde::Deserialize;

use super::{Repository, Result, one_of};
use crate::domain::member::Particulars;

/// Returns the condition for the organizations `$1`.
fn in_organizations(on: Engine) -> String {
    " AND ".to_owned() + &one_of(on, "organization_id", "$1")
}

homeroom_kit::statements! {
    INSERT = "INSERT INTO erasures (pseudonym, create_time) VALUES ($1, $2) \
        ON CONFLICT (pseudonym) DO NOTHING";

    PARTICULARS = "SELECT organization_id, display_name, email, external_id \
        FROM organization_members WHERE user_id = $1 \
        UNION SELECT organization_id, display_name, email, external_id FROM join_requests \
        WHERE user_id = $1";

    ORGANIZATIONS = "SELECT organization_id FROM organization_members \
        WHERE user_id = $1 OR approved_by = $1 \
        UNION SELECT organization_id FROM class_members WHERE user_id = $1 OR approved_by = $1 \
        UNION SELECT organization_id FROM classes WHERE owner_user_id = $1 \
        UNION SELECT organization_id FROM join_requests WHERE user_id = $1 OR decided_by = $1 \
        UNION SELECT organization_id FROM admissions WHERE user_id = $1 \
        UNION SELECT organization_id FROM removals WHERE user_id = $1";

    // Each of these is for the organizations `$1`: `$2` is the person, `$3` the other id.
    FORGET_REMOVALS(on) = "DELETE FROM removals WHERE user_id = $2".to_owned() + &in_organizations(on);
    // A note of staff to the person may contain their name.
    FORGET_PARTICULARS(on) = "UPDATE join_requests SET display_name = '', email = '', external_id = '', \
        decide_note = '' WHERE user_id = $2".to_owned() + &in_organizations(on);
    MOVE_REMOVALS(on) = format!(
        "INSERT INTO removals (organization_id, class_id, user_id, remove_time) \
         SELECT organization_id, class_id, CAST($3 AS TEXT), remove_time FROM removals WHERE user_id = $2{} \
         ON CONFLICT (organization_id, class_id, user_id) DO UPDATE SET remove_time = CASE \
         WHEN excluded.remove_time > removals.remove_time THEN excluded.remove_time ELSE removals.remove_time END",
        in_organizations(on)
    );
    REQUESTS(on) = "UPDATE join_requests SET user_id = $3 WHERE user_id = $2".to_owned()
        + &in_organizations(on);
    DECISIONS(on) = "UPDATE join_requests SET decided_by = $3 WHERE decided_by = $2".to_owned()
        + &in_organizations(on);
    // Key and outcome stay (P1).
    ADMISSIONS(on) = "UPDATE admissions SET user_id = $3 WHERE user_id = $2".to_owned()
        + &in_organizations(on);
    APPROVALS(on) = "UPDATE organization_members SET approved_by = $3 WHERE approved_by = $2".to_owned()
        + &in_organizations(on);
    CLASS_APPROVALS(on) = "UPDATE class_members SET approved_by = $3 WHERE approved_by = $2".to_owned()
        + &in_organizations(on);
    OWNED_CLASSES(on) = "UPDATE classes SET owner_user_id = $3, revision = revision + 1 WHERE owner_user_id = $2"
        .to_owned() + &in_organizations(on);
    WAITING = "SELECT organization_id, class_id FROM join_requests \
        WHERE organization_id = $1 AND user_id = $2 AND state = 'PENDING' ORDER BY class_id";
}

#[derive(Deserialize)]
struct ParticularsRow {
    #[serde(with = "columns::text")]
    organization_id: OrganizationId,
    #[serde(flatten)]
    particulars: Particulars,
}

#[derive(Deserialize)]
struct PlaceRow {
    #[serde(flatten, with = "columns::place")]
    place: Place,
}

impl Repository {
    /// Records an erasure by its pseudonym, or a move by its id, in the transaction of its changes. Returns true if it
    /// is new, false if it was done before.
    pub async fn insert_erasure(&mut self, id: &UserId, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.0.run(&INSERT, args![id, now]).await? == 1)
    }

    /// Returns the places of an organization where a request of the user waits.
    pub async fn places_waited_for(
        &mut self,
        organization: &OrganizationId,
        user: &UserId,
    ) -> Result<BTreeSet<Place>> {
        let rows: Vec<PlaceRow> = self.0.all(&WAITING, args![organization, user]).await?;
        Ok(rows.into_iter().map(|row| row.place).collect())
    }

    /// Returns the particulars that each organization has of the person, as a member or as one who asked to be.
    pub async fn particulars_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<(OrganizationId, Particulars)>> {
        let rows: Vec<ParticularsRow> = self.0.all(&PARTICULARS, args![user]).await?;
        let known = |row: ParticularsRow| (row.organization_id, row.particulars);
        Ok(rows.into_iter().map(known).collect())
    }

    /// Returns the organizations that keep anything of the person. Reads every event.
    pub async fn organizations_that_know(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<OrganizationId>> {
        let ids = self.0.ids(&ORGANIZATIONS, args![user]).await?;
        let mut organizations: BTreeSet<OrganizationId> = ids.into_iter().collect();
        let told = self.0.organizations_with_events_of(user).await?;
        organizations.extend(told);
        Ok(organizations)
    }

    /// Deletes names, addresses, school ids and notes of the person's requests, and forgets removals, in these
    /// organizations, whose locks the caller must hold.
    pub async fn forget_particulars(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        user: &UserId,
    ) -> Result<()> {
        for statement in [&FORGET_REMOVALS, &FORGET_PARTICULARS] {
            let bound = args![json_ids(organizations), user];
            self.0.run(statement, bound).await?;
        }
        Ok(())
    }

    /// Gives the user's removals to another account, where the later one counts (R8). The caller must hold the
    /// organizations' locks.
    pub async fn move_removals(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        Replacement { user, by }: &Replacement,
    ) -> Result<()> {
        let ids = json_ids(organizations);
        self.0
            .run(&MOVE_REMOVALS, args![ids.clone(), user, by])
            .await?;
        self.0.run(&FORGET_REMOVALS, args![ids, user]).await?;
        Ok(())
    }

    /// Puts the other id in place of the person's in what these organizations keep, except memberships and removals. The
    /// caller must hold the organizations' locks.
    pub async fn replace(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<()> {
        let Replacement { user, by } = replacement;
        let ids = json_ids(organizations);
        for statement in [
            &REQUESTS,
            &DECISIONS,
            &ADMISSIONS,
            &APPROVALS,
            &CLASS_APPROVALS,
            &OWNED_CLASSES,
        ] {
            self.0.run(statement, args![ids.clone(), user, by]).await?;
        }
        self.0.replace_in_events(organizations, replacement).await?;
        Ok(())
    }

    /// Forgets the person's request ids, and the stored answers to other requests that contain one of the marks.
    pub async fn forget_requests_of(&mut self, user: &UserId, marks: &[Mark]) -> Result<()> {
        self.0.forget_person(user, marks).await?;
        Ok(())
    }
}
