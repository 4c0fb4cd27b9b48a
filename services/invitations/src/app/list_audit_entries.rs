//! `ListAuditEntries` (R12): lists entries newest first, for administrators, owners and operators.

use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind},
    paging::{Page, PageRequest},
};

use super::{
    App,
    conditions::{bound, conditions, only},
    rules,
};
use crate::store::{AuditEntry, AuditFilter};

const FIELDS: &[(&str, FieldKind)] = &[
    ("actor", FieldKind::Text),
    ("method", FieldKind::Text),
    ("subject", FieldKind::Text),
    ("create_time", FieldKind::Time),
];

/// Parses the filter; None if no entry can meet it. Fails with `INVALID_FILTER`.
pub fn audit_filter(text: &str) -> Result<Option<AuditFilter>> {
    let mut wanted = AuditFilter::default();
    let conditions = conditions(text, FIELDS)?;
    let possible = conditions.iter().all(|one| narrow(&mut wanted, one));
    Ok(possible.then_some(wanted))
}

impl App {
    /// Lists the audit entries of an organization with all its classes or of a class; with None, all of them. Fails
    /// with `INVALID_PAGE_TOKEN`, or as [`App::authorize_list`].
    pub async fn list_audit_entries(
        &self,
        caller: &Caller,
        place: Option<Place>,
        filter: Option<AuditFilter>,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        self.authorize_list(caller, place.as_ref(), rules::LIST_AUDIT_ENTRIES)
            .await?;
        let Some(filter) = filter else {
            return Ok(Page::empty());
        };
        let wanted = AuditFilter { place, ..filter };
        let mut repository = self.store.read().await?;
        let rows = repository
            .list_audit_entries(&wanted, page.cursor_as(0)?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
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
