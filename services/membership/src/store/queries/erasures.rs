//! Erases a person from every table (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    clock::micros,
    erasure::{Mark, Replacement},
    outbox::Outbox as _,
    request_ids::RequestIds as _,
};
use serde_json::{Value, json};

use super::{
    SqlRepository,
    rows::{self, get},
};
use crate::{
    domain::member::Particulars,
    store::{Erasures, Result},
};

/// Builds the statements for the organizations `$1`: `$2` is the person, `$3` the pseudonym.
macro_rules! in_organizations {
    ($statement:literal) => {
        concat!(
            $statement,
            " AND organization_id IN (SELECT wanted.value->>'o' FROM ",
            json_rows!("$1"),
            " AS wanted)"
        )
    };
}

pub(super) const PSEUDONYMIZE: &[&str] = &[
    // A note of staff to the person may contain their name.
    in_organizations!(
        "UPDATE join_requests SET user_id = $3, display_name = '', email = '', external_id = '', \
         decide_note = '' WHERE user_id = $2"
    ),
    in_organizations!("UPDATE join_requests SET decided_by = $3 WHERE decided_by = $2"),
    // Key and outcome stay (P1).
    in_organizations!("UPDATE admissions SET user_id = $3 WHERE user_id = $2"),
    in_organizations!("UPDATE organization_members SET approved_by = $3 WHERE approved_by = $2"),
    in_organizations!("UPDATE class_members SET approved_by = $3 WHERE approved_by = $2"),
    in_organizations!(
        "UPDATE classes SET owner_user_id = $3 WHERE owner_user_id = $2 AND delete_time IS NOT NULL"
    ),
];

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

    FORGET_REMOVALS = in_organizations!("DELETE FROM removals WHERE user_id = $2");
}

#[async_trait]
impl Erasures for SqlRepository {
    async fn insert_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool> {
        let done = sqlx::query(INSERT)
            .bind(pseudonym.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn particulars_of(
        &mut self,
        user: &UserId,
    ) -> Result<BTreeSet<(OrganizationId, Particulars)>> {
        let rows = self.rows(PARTICULARS, user.as_str()).await?;
        rows.iter()
            .map(|row| {
                let particulars = Particulars {
                    display_name: get(row, "display_name")?,
                    email: get(row, "email")?,
                    external_id: get(row, "external_id")?,
                };
                Ok((rows::organization_id(row)?, particulars))
            })
            .collect()
    }

    async fn organizations_that_know(&mut self, user: &UserId) -> Result<BTreeSet<OrganizationId>> {
        let rows = self.rows(ORGANIZATIONS, user.as_str()).await?;
        let found = rows.iter().map(rows::organization_id);
        let mut organizations = found.collect::<Result<BTreeSet<_>>>()?;
        organizations.extend(self.0.organizations_with_events_of(user).await?);
        Ok(organizations)
    }

    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
    ) -> Result<()> {
        let wanted = organizations.iter().map(|id| json!({ "o": id.as_str() }));
        let wanted = Value::Array(wanted.collect()).to_string();
        sqlx::query(FORGET_REMOVALS)
            .bind(wanted.as_str())
            .bind(replacement.user.as_str())
            .execute(self.connection())
            .await?;
        for statement in PSEUDONYMIZE {
            sqlx::query(*statement)
                .bind(wanted.as_str())
                .bind(replacement.user.as_str())
                .bind(replacement.pseudonym.as_str())
                .execute(self.connection())
                .await?;
        }
        self.0
            .pseudonymize_events(organizations, replacement)
            .await?;
        Ok(())
    }

    async fn forget_requests_of(&mut self, user: &UserId, marks: &[Mark]) -> Result<()> {
        self.connection().forget_person(user, marks).await?;
        Ok(())
    }
}
