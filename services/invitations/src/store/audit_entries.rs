//! The audit trail (R12): who read or changed which invitation. It holds no secret.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use uuid::Uuid;

use super::Result;

/// One read that returned a secret, or one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A version 7 UUID made from `create_time`, by which entries are listed and pruned.
    pub id: Uuid,
    /// The organization or class; None if the entry concerns no single organization.
    pub place: Option<Place>,
    /// The acting user, or the service's own name for itself.
    pub actor: String,
    /// The subject of the token that acted for it.
    pub calling_service: String,
    /// The method, as `package.Service/Method`.
    pub method: String,
    /// The resource name of the resource that was read or changed.
    pub subject: String,
    /// The call's `x-request-id`.
    pub request_id: String,
    /// The time of the call.
    pub create_time: DateTime<Utc>,
}

/// The conditions on the audit entries to list.
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
    /// Only those made at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those made before this time.
    pub till: Option<DateTime<Utc>>,
}

/// Rows of `audit_entries`.
#[async_trait]
pub trait AuditEntries: Send {
    /// Writes all entries in one statement.
    async fn append_audit_entries(&mut self, entries: &[AuditEntry]) -> Result<()>;

    /// Returns the entries that match the filter and have an id below `before`, newest first; at most `limit`.
    async fn list_audit_entries(
        &mut self,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>>;

    /// Deletes at most `limit` rows made before a time, exact to the millisecond. Returns their number.
    async fn prune_audit_entries(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}
