//! The entries of the audit trail (R12). They hold no secret.

use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One read that returned a secret, or one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// A version 7 UUID made from `create_time`, by which entries are listed and pruned.
    #[serde(rename = "entry_id")]
    pub id: Uuid,
    /// The organization or class; None if the entry concerns no single organization.
    #[serde(flatten, with = "columns::optional_place")]
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
    #[serde(with = "columns::time")]
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
