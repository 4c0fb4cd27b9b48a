//! `AuditService` (R12).

use std::sync::Arc;

use homeroom_api::invitations::v1::{self as api, audit_service_server::AuditService};

use super::logs::place_parent;
use crate::app::{App, list_logs::audit_filter};

homeroom_kit::rpcs! {
    AuditService for pub struct AuditHandlers(pub Arc<App>) {
        list_audit_entries: api::ListAuditEntriesRequest => api::ListAuditEntriesResponse { audit_entries }
            = list(place_parent, audit_filter, App::list_audit_entries);
    }
}
