//! `ListAuditEntries` (R12): lists entries newest first, for administrators, owners and operators.

use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::Page,
};

use super::{
    App,
    conditions::{bound, only},
    lists::{Asked, Log},
    rules,
};
use crate::store::{AuditEntry, AuditFilter};

const AUDIT_ENTRIES: Log<AuditFilter, AuditEntry> = Log {
    rule: rules::LIST_AUDIT_ENTRIES,
    fields: &[
        ("actor", FieldKind::Text),
        ("method", FieldKind::Text),
        ("subject", FieldKind::Text),
        ("create_time", FieldKind::Time),
    ],
    all_of: |parent| AuditFilter {
        place: parent.cloned(),
        ..AuditFilter::default()
    },
    narrow,
    read: |repository, wanted, before, limit| repository.list_audit_entries(wanted, before, limit),
    id: |row| row.id,
};

impl App {
    /// Lists the audit entries of an organization with all its classes or of a class; with None, all of them. Fails
    /// with `INVALID_FILTER`, `INVALID_PAGE_TOKEN`, or as [`App::authorize_list`].
    pub async fn list_audit_entries(
        &self,
        caller: &Caller,
        parent: Option<&Place>,
        asked: Asked<'_>,
    ) -> Result<Page<AuditEntry>> {
        self.list_log(&AUDIT_ENTRIES, caller, parent, asked).await
    }
}

fn narrow(wanted: &mut AuditFilter, condition: &Condition) -> bool {
    let text = condition.value.text();
    let slot = match condition.field.as_str() {
        "actor" => &mut wanted.actor,
        "method" => &mut wanted.method,
        "subject" => &mut wanted.subject,
        _ => return bound(&mut wanted.from, &mut wanted.till, condition),
    };
    // No row has an empty value here.
    !text.is_empty() && only(slot, text.to_owned())
}
