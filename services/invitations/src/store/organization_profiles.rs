//! The data that membership has given about organizations, and the lock that orders their changes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;

use super::Result;

/// The data that membership last gave about an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationProfile {
    /// The organization.
    pub organization: OrganizationId,
    /// The prefix of its enrollment codes (B4); empty if unknown.
    pub code_prefix: String,
    /// The display name.
    pub display_name: String,
    /// The number of licensed seats; 0: no limit.
    pub seat_limit: i64,
}

/// Rows of `organization_profiles`.
#[async_trait]
pub trait OrganizationProfiles: Send {
    /// Locks the organizations until the transaction ends, in sorted order whatever the given order, and makes missing
    /// rows. Every transaction that writes calls it first.
    async fn lock_organizations(
        &mut self,
        organizations: &[OrganizationId],
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// Returns the data known about an organization.
    async fn get_profile(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationProfile>>;

    /// Stores the data from membership. It writes nothing if nothing has changed.
    async fn save_profile(
        &mut self,
        profile: &OrganizationProfile,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// Returns the profiles of these organizations, and of those whose prefix reads like one of these prefixes, given
    /// in capitals; in one statement.
    async fn find_profiles(
        &mut self,
        organizations: &[OrganizationId],
        code_prefixes: &[String],
    ) -> Result<Vec<OrganizationProfile>>;
}
