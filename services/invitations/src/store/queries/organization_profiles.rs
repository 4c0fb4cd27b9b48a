//! Statements on `organization_profiles`, for both engines.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::{clock::micros, folded};

use serde_json::json;

use super::{SqlRepository, ids_json, organization_id, rows_json};
use crate::store::{OrganizationProfile, OrganizationProfiles, Result};

homeroom_kit::statements! {
    /// Locks the organizations' rows in sorted order; the locks order their changes and events.
    LOCK = concat!(
        "SELECT organization_id FROM organization_profiles \
         WHERE organization_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$1"),
        ") ORDER BY organization_id",
        for_update!()
    );

    MAKE = concat!(
        "INSERT INTO organization_profiles \
         (organization_id, code_prefix, display_name, seat_limit, update_time) \
         SELECT input.value->>'id', '', '', 0, $2 FROM ",
        json_rows!("$1"),
        " WHERE true ORDER BY 1 ON CONFLICT (organization_id) DO NOTHING"
    );

    GET = "SELECT organization_id, code_prefix, display_name, seat_limit \
        FROM organization_profiles WHERE organization_id = $1";

    FIND = concat!(
        "SELECT profile.organization_id, profile.code_prefix, profile.display_name, profile.seat_limit \
         FROM ",
        json_rows!("$1"),
        " JOIN organization_profiles AS profile ON profile.organization_id = input.value->>'id' \
         UNION SELECT profile.organization_id, profile.code_prefix, profile.display_name, \
         profile.seat_limit FROM ",
        json_rows!("$2"),
        " JOIN organization_profiles AS profile ON ",
        folded!("profile.code_prefix"),
        " = ",
        folded!("input.value->>'prefix'")
    );

    SAVE = "INSERT INTO organization_profiles \
        (organization_id, code_prefix, display_name, seat_limit, update_time) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id) DO UPDATE SET \
        code_prefix = excluded.code_prefix, display_name = excluded.display_name, \
        seat_limit = excluded.seat_limit, update_time = excluded.update_time \
        WHERE organization_profiles.code_prefix <> excluded.code_prefix \
        OR organization_profiles.display_name <> excluded.display_name \
        OR organization_profiles.seat_limit <> excluded.seat_limit";
}

type Row = (String, String, String, i64);

fn read(row: Row) -> Result<OrganizationProfile> {
    let (organization, code_prefix, display_name, seat_limit) = row;
    Ok(OrganizationProfile {
        organization: organization_id(&organization)?,
        code_prefix,
        display_name,
        seat_limit,
    })
}

#[async_trait]
impl OrganizationProfiles for SqlRepository {
    async fn lock_organizations(
        &mut self,
        organizations: &[OrganizationId],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let wanted: BTreeSet<&OrganizationId> = organizations.iter().collect();
        let ids = ids_json(&wanted);
        let locked: Vec<String> = sqlx::query_scalar(LOCK)
            .bind(&ids)
            .fetch_all(self.connection())
            .await?;
        if locked.len() == wanted.len() {
            return Ok(());
        }
        sqlx::query(MAKE)
            .bind(&ids)
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        // Another transaction may have made a row just now: then its lock must still be taken.
        sqlx::query(LOCK)
            .bind(&ids)
            .fetch_all(self.connection())
            .await?;
        Ok(())
    }

    async fn get_profile(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationProfile>> {
        let row: Option<Row> = sqlx::query_as(GET)
            .bind(organization.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.map(read).transpose()
    }

    async fn save_profile(
        &mut self,
        profile: &OrganizationProfile,
        now: DateTime<Utc>,
    ) -> Result<()> {
        sqlx::query(SAVE)
            .bind(profile.organization.as_str())
            .bind(profile.code_prefix.as_str())
            .bind(profile.display_name.as_str())
            .bind(profile.seat_limit)
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn find_profiles(
        &mut self,
        organizations: &[OrganizationId],
        code_prefixes: &[String],
    ) -> Result<Vec<OrganizationProfile>> {
        let prefixes = code_prefixes.iter();
        let prefixes = prefixes.map(|prefix| json!({"prefix": prefix}));
        let rows = sqlx::query_as(FIND)
            .bind(ids_json(organizations))
            .bind(rows_json(prefixes))
            .fetch_all(self.connection())
            .await?;
        rows.into_iter().map(read).collect()
    }
}
