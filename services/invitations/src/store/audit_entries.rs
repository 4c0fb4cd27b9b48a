//! The audit trail (R12): who read or changed which invitation. No secret is in it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use uuid::Uuid;

use super::Result;

/// One read that showed a secret, or one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUID of version 7 and of `create_time`, by which it is listed and pruned.
    pub id: Uuid,
    /// Where; None of what concerns no single organization.
    pub place: Option<Place>,
    /// The acting user, or what the service calls itself.
    pub actor: String,
    /// The subject of the token that acted for it.
    pub calling_service: String,
    /// The method, as `package.Service/Method`.
    pub method: String,
    /// Resource name of what was read or changed.
    pub subject: String,
    /// The call's `x-request-id`.
    pub request_id: String,
    /// When.
    pub create_time: DateTime<Utc>,
}

/// Which audit entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this organization with all its classes, or of this class; None for all.
    pub place: Option<Place>,
    /// Only by this user.
    pub actor: Option<String>,
    /// Only by this method.
    pub method: Option<String>,
    /// Only of this resource.
    pub subject: Option<String>,
    /// Only those made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before.
    pub till: Option<DateTime<Utc>>,
}

/// Rows of `audit_entries`.
#[async_trait]
pub trait AuditEntries: Send {
    /// Writes them, all in one statement.
    async fn append_audit_entries(&mut self, entries: &[AuditEntry]) -> Result<()>;

    /// Those that the filter takes, newest first, from below `before` on; at most `limit`.
    async fn list_audit_entries(
        &mut self,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>>;

    /// Deletes rows made before a time, exact to the millisecond, at most `limit`. Gives how many.
    async fn prune_audit_entries(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}
