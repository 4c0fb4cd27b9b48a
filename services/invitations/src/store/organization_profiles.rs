//! The data that membership has given about organizations, and the lock that orders their changes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;
use homeroom_kit::{
    args,
    store::{columns, folded, json_ids},
};
use serde::Deserialize;

use super::{Repository, Result};

/// The data that membership last gave about an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OrganizationProfile {
    /// The organization.
    #[serde(rename = "organization_id", with = "columns::text")]
    pub organization: OrganizationId,
    /// The prefix of its enrollment codes (B4); empty if unknown.
    pub code_prefix: String,
    /// The display name.
    pub display_name: String,
    /// The number of licensed seats; 0: no limit.
    pub seat_limit: i64,
}

homeroom_kit::statements! {
    /// Locks the organizations' rows in sorted order; the locks order their changes and events.
    LOCK(on) = format!(
        "SELECT organization_id FROM organization_profiles \
         WHERE organization_id IN (SELECT input.value->>'id' FROM {}) ORDER BY organization_id{}",
        on.rows("$1", "input"),
        on.for_update()
    );

    MAKE(on) = format!(
        "INSERT INTO organization_profiles \
         (organization_id, code_prefix, display_name, seat_limit, update_time) \
         SELECT input.value->>'id', '', '', 0, $2 FROM {} \
         WHERE true ORDER BY 1 ON CONFLICT (organization_id) DO NOTHING",
        on.rows("$1", "input")
    );

    GET = "SELECT organization_id, code_prefix, display_name, seat_limit \
        FROM organization_profiles WHERE organization_id = $1";

    FIND(on) = format!(
        "SELECT profile.organization_id, profile.code_prefix, profile.display_name, profile.seat_limit \
         FROM {} JOIN organization_profiles AS profile ON profile.organization_id = input.value->>'id' \
         UNION SELECT profile.organization_id, profile.code_prefix, profile.display_name, \
         profile.seat_limit FROM {} JOIN organization_profiles AS profile ON {} = {}",
        on.rows("$1", "input"),
        on.rows("$2", "input"),
        folded("profile.code_prefix"),
        folded("input.value->>'id'")
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

impl Repository {
    /// Locks the organizations until the transaction ends, in sorted order whatever the given order, and makes missing
    /// rows. Every transaction that writes calls it first.
    pub async fn lock_organizations(
        &mut self,
        organizations: &[OrganizationId],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let wanted: BTreeSet<&OrganizationId> = organizations.iter().collect();
        let count = wanted.len();
        let ids = json_ids(wanted);
        let locked: Vec<String> = self.0.all(&LOCK, args![ids.clone()]).await?;
        if locked.len() == count {
            return Ok(());
        }
        self.0.run(&MAKE, args![ids.clone(), now]).await?;
        // Another transaction may have made a row just now: then its lock must still be taken.
        self.0.run(&LOCK, args![ids]).await?;
        Ok(())
    }

    /// Returns the data known about an organization.
    pub async fn get_profile(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationProfile>> {
        self.0.first(&GET, args![organization]).await
    }

    /// Stores the data from membership. It writes nothing if nothing has changed.
    pub async fn save_profile(
        &mut self,
        profile: &OrganizationProfile,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let bound = args![
            &profile.organization,
            &profile.code_prefix,
            &profile.display_name,
            profile.seat_limit,
            now,
        ];
        self.0.run(&SAVE, bound).await?;
        Ok(())
    }

    /// Returns the profiles of these organizations, and of those whose prefix reads like one of these prefixes, given
    /// in capitals; in one statement.
    pub async fn find_profiles(
        &mut self,
        organizations: &[OrganizationId],
        code_prefixes: &[String],
    ) -> Result<Vec<OrganizationProfile>> {
        let bound = args![json_ids(organizations), json_ids(code_prefixes)];
        self.0.all(&FIND, bound).await
    }
}
