//! `ListAuditEntries` (R12): newest first, for administrators, owners and operators.

use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{Condition, FieldKind, Filter},
};

use super::{
    App,
    conditions::{bound, check_operators, only},
    rules,
};
use crate::store::{AuditEntry, AuditFilter};

const FIELDS: &[(&str, FieldKind)] = &[
    ("actor", FieldKind::Text),
    ("method", FieldKind::Text),
    ("subject", FieldKind::Text),
    ("create_time", FieldKind::Time),
];

impl App {
    /// Lists the audit entries of an organization with all its classes or of a class, or with None
    /// all of them. `INVALID_FILTER`, `INVALID_PAGE_TOKEN`; then as [`App::authorize_list`].
    pub async fn list_audit_entries(
        &self,
        caller: &Caller,
        parent: Option<&Place>,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<(Vec<AuditEntry>, String)> {
        let of = parent.map(Place::to_string).unwrap_or_default();
        let list = format!("ListAuditEntries {of} {filter}");
        let page = self.paging.parse(page_size, page_token, &list)?;
        let conditions = Filter::parse(filter, FIELDS)?.0;
        check_operators(&conditions)?;
        let before = page.cursor_as(0)?;
        self.authorize_list(caller, parent, rules::LIST_AUDIT_ENTRIES)
            .await?;
        let mut wanted = AuditFilter {
            place: parent.cloned(),
            ..AuditFilter::default()
        };
        if !conditions.iter().all(|one| narrow(&mut wanted, one)) {
            return Ok((Vec::new(), String::new()));
        }
        let rows = self
            .store
            .read()
            .await?
            .list_audit_entries(&wanted, before, page.size + 1)
            .await?;
        Ok(self.cut(rows, page.size, &list, |row| row.id))
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
    // No row has an empty one.
    !text.is_empty() && only(slot, text.to_owned())
}
