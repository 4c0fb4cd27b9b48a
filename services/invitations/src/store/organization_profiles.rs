//! What membership has said of organizations, and the lock that orders their changes.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::OrganizationId;

use super::Result;

/// What membership last said of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationProfile {
    /// Which one.
    pub organization: OrganizationId,
    /// The word before its enrolment codes (B4); empty: not known.
    pub code_prefix: String,
    /// What it is called.
    pub display_name: String,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
}

/// Rows of `organization_profiles`.
#[async_trait]
pub trait OrganizationProfiles: Send {
    /// Locks the organizations until the transaction ends, in sorted order whatever the order
    /// given, making the rows that are missing. First in every transaction that writes.
    async fn lock_organizations(
        &mut self,
        organizations: &[OrganizationId],
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// What is known of an organization.
    async fn get_profile(
        &mut self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationProfile>>;

    /// Keeps what membership says. Nothing is written where nothing changed.
    async fn save_profile(
        &mut self,
        profile: &OrganizationProfile,
        now: DateTime<Utc>,
    ) -> Result<()>;

    /// The profiles of these organizations, and of those whose enrolment codes begin with what reads as one of
    /// these prefixes, in capitals; in one statement.
    async fn find_profiles(
        &mut self,
        organizations: &[OrganizationId],
        code_prefixes: &[String],
    ) -> Result<Vec<OrganizationProfile>>;
}
