//! Operations on all records of a person (R13).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
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

    // Each of these is for the organizations `$1`: `$2` is the person, `$3` the pseudonym.
    FORGET_REMOVALS(on) = "DELETE FROM removals WHERE user_id = $2".to_owned() + &in_organizations(on);
    // A note of staff to the person may contain their name.
    REQUESTS(on) = "UPDATE join_requests SET user_id = $3, display_name = '', email = '', external_id = '', \
        decide_note = '' WHERE user_id = $2".to_owned() + &in_organizations(on);
    DECISIONS(on) = "UPDATE join_requests SET decided_by = $3 WHERE decided_by = $2".to_owned()
        + &in_organizations(on);
    // Key and outcome stay (P1).
    ADMISSIONS(on) = "UPDATE admissions SET user_id = $3 WHERE user_id = $2".to_owned()
        + &in_organizations(on);
    APPROVALS(on) = "UPDATE organization_members SET approved_by = $3 WHERE approved_by = $2".to_owned()
        + &in_organizations(on);
    CLASS_APPROVALS(on) = "UPDATE class_members SET approved_by = $3 WHERE approved_by = $2".to_owned()
        + &in_organizations(on);
    DELETED_CLASSES(on) = "UPDATE classes SET owner_user_id = $3 WHERE owner_user_id = $2 \
        AND delete_time IS NOT NULL".to_owned() + &in_organizations(on);
}

#[derive(Deserialize)]
struct ParticularsRow {
    #[serde(with = "columns::text")]
    organization_id: OrganizationId,
    #[serde(flatten)]
    particulars: Particulars,
}

impl Repository {
    /// Records the erasure in the transaction of its changes. Returns true if it is new, false if it was done before.
    pub async fn insert_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.0.run(&INSERT, args![pseudonym, now]).await? == 1)
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

    /// Replaces the person by the pseudonym in what these organizations keep, except memberships, which the caller
    /// ends; deletes names, addresses and school ids; forgets removals. The caller must hold the organizations' locks.
    pub async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<()> {
        let Replacement { user, pseudonym } = replacement;
        let ids = json_ids(organizations);
        self.0
            .run(&FORGET_REMOVALS, args![ids.clone(), user])
            .await?;
        for statement in [
            &REQUESTS,
            &DECISIONS,
            &ADMISSIONS,
            &APPROVALS,
            &CLASS_APPROVALS,
            &DELETED_CLASSES,
        ] {
            self.0
                .run(statement, args![ids.clone(), user, pseudonym])
                .await?;
        }
        self.0
            .pseudonymize_events(organizations, replacement)
            .await?;
        Ok(())
    }

    /// Forgets the person's request ids, and the stored answers to other requests that contain one of the marks.
    pub async fn forget_requests_of(&mut self, user: &UserId, marks: &[Mark]) -> Result<()> {
        self.0.forget_person(user, marks).await?;
        Ok(())
    }
}
