//! `AuditService` (R12).

use std::sync::Arc;

use homeroom_api::invitations::v1::{
    self as api, ListAuditEntriesRequest, ListAuditEntriesResponse,
    audit_service_server::AuditService,
};
use homeroom_kit::clock::to_timestamp;

use super::log_parent::{log_class, log_name, place_parent};
use crate::{
    app::{App, list_audit_entries::audit_filter},
    store::AuditEntry,
};

/// Handlers of `AuditService`.
#[derive(Debug, Clone)]
pub struct AuditHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    AuditService for AuditHandlers {
        list_audit_entries: ListAuditEntriesRequest => ListAuditEntriesResponse { audit_entries }
            = list(place_parent, audit_filter, App::list_audit_entries);
    }
}

impl From<AuditEntry> for api::AuditEntry {
    fn from(entry: AuditEntry) -> Self {
        let place = entry.place.as_ref();
        Self {
            name: log_name(place, "auditEntries", entry.id),
            class: log_class(place),
            actor: entry.actor,
            calling_service: entry.calling_service,
            method: entry.method,
            subject: entry.subject,
            request_id: entry.request_id,
            create_time: Some(to_timestamp(entry.create_time)),
        }
    }
}
