//! `organization_profiles`, for both engines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::clock::micros;

use super::{super::LOCK_ORGANIZATION, SqlRepository, corrupt};
use crate::store::{OrganizationProfile, OrganizationProfiles, Result};

const MAKE: &str = "INSERT INTO organization_profiles \
    (organization_id, code_prefix, display_name, seat_limit, update_time) \
    VALUES ($1, '', '', 0, $2) ON CONFLICT (organization_id) DO NOTHING";

const GET: &str = "SELECT organization_id, code_prefix, display_name, seat_limit \
    FROM organization_profiles WHERE organization_id = $1";

const FIND_BY_PREFIX: &str = "SELECT organization_id, code_prefix, display_name, seat_limit \
    FROM organization_profiles WHERE code_prefix = $1 ORDER BY organization_id LIMIT 1";

const SAVE: &str = "INSERT INTO organization_profiles \
    (organization_id, code_prefix, display_name, seat_limit, update_time) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id) DO UPDATE SET \
    code_prefix = excluded.code_prefix, display_name = excluded.display_name, \
    seat_limit = excluded.seat_limit, update_time = excluded.update_time \
    WHERE organization_profiles.code_prefix <> excluded.code_prefix \
    OR organization_profiles.display_name <> excluded.display_name \
    OR organization_profiles.seat_limit <> excluded.seat_limit";

pub(super) const STATEMENTS: &[&str] = &[LOCK_ORGANIZATION, MAKE, GET, FIND_BY_PREFIX, SAVE];

pub(super) type Row = (String, String, String, i64);

pub(super) fn read(row: Row) -> Result<OrganizationProfile> {
    let (organization, code_prefix, display_name, seat_limit) = row;
    Ok(OrganizationProfile {
        organization: OrganizationId::parse(&organization)
            .map_err(|_| corrupt("an organization id does not parse"))?,
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
        let mut sorted: Vec<&OrganizationId> = organizations.iter().collect();
        sorted.sort();
        sorted.dedup();
        for organization in sorted {
            let locked: Option<String> = sqlx::query_scalar(LOCK_ORGANIZATION)
                .bind(organization.as_str())
                .fetch_optional(self.connection())
                .await?;
            if locked.is_some() {
                continue;
            }
            sqlx::query(MAKE)
                .bind(organization.as_str())
                .bind(micros(now))
                .execute(self.connection())
                .await?;
            // Another may have made it just now: then its lock is still to be taken.
            let _: Option<String> = sqlx::query_scalar(LOCK_ORGANIZATION)
                .bind(organization.as_str())
                .fetch_optional(self.connection())
                .await?;
        }
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

    async fn find_profile_by_prefix(
        &mut self,
        code_prefix: &str,
    ) -> Result<Option<OrganizationProfile>> {
        let row: Option<Row> = sqlx::query_as(FIND_BY_PREFIX)
            .bind(code_prefix)
            .fetch_optional(self.connection())
            .await?;
        row.map(read).transpose()
    }
}
