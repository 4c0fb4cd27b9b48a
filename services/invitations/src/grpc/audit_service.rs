//! `AuditService` (R12).

use std::sync::Arc;

use homeroom_api::invitations::v1::{
    self as api, ListAuditEntriesRequest, ListAuditEntriesResponse,
    audit_service_server::AuditService,
};
use homeroom_kit::{Result, auth::Caller, clock::to_timestamp};

use super::log_parent::{log_class, log_name, place_parent};
use crate::{app::App, store::AuditEntry};

/// Handlers of `AuditService`.
#[derive(Debug, Clone)]
pub struct AuditHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    AuditService for AuditHandlers {
        list_audit_entries: ListAuditEntriesRequest => ListAuditEntriesResponse;
    }
}

impl AuditHandlers {
    async fn list_audit_entries(
        &self,
        caller: &Caller,
        request: ListAuditEntriesRequest,
    ) -> Result<ListAuditEntriesResponse> {
        let place = place_parent(&request.parent, request.page_size)?;
        let asked = (
            request.page_size,
            request.page_token.as_str(),
            request.filter.as_str(),
        );
        let page = self
            .0
            .list_audit_entries(caller, place.as_ref(), asked)
            .await?;
        Ok(ListAuditEntriesResponse {
            audit_entries: page.items.into_iter().map(audit_entry).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

fn audit_entry(entry: AuditEntry) -> api::AuditEntry {
    let place = entry.place.as_ref();
    api::AuditEntry {
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
