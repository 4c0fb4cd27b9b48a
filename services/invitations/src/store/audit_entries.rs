//! The audit trail (R12).

use chrono::{DateTime, Utc};
use homeroom_kit::{
    args,
    clock::micros,
    store::{Table, json_rows},
};
use uuid::Uuid;

use super::{
    Repository, Result,
    by_time::{id_bounds, least_id, place_columns},
};
use crate::domain::audit_entry::{AuditEntry, AuditFilter};

const AUDIT_ENTRIES: Table = Table {
    texts: &[
        "entry_id",
        "organization_id",
        "class_id",
        "actor",
        "calling_service",
        "method",
        "subject",
        "request_id",
    ],
    numbers: &["create_time"],
    ..Table::new("audit_entries")
};

/// Returns the selection of a page by the range of one index, as the list of redemptions does.
fn list(range: &str, order: &str) -> String {
    format!(
        "SELECT {} FROM audit_entries WHERE {range} \
         AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR class_id = $2) \
         AND ($3 = '' OR actor = $3) AND ($4 = '' OR method = $4) \
         AND ($5 = '' OR subject = $5) AND create_time >= $6 AND create_time < $7 \
         AND entry_id >= $8 AND entry_id < $9 ORDER BY {order}entry_id DESC LIMIT $10",
        AUDIT_ENTRIES.of("audit_entries")
    )
}

homeroom_kit::statements! {
    INSERT(on) = AUDIT_ENTRIES.insert(on, "$1");
    LIST = list("true", "");
    LIST_BY_ORGANIZATION = list(
        "organization_id >= $1 AND (organization_id, entry_id) < ($1, $9)",
        "organization_id DESC, "
    );
    LIST_BY_CLASS = list(
        "organization_id = $1 AND class_id >= $2 AND (class_id, entry_id) < ($2, $9)",
        "class_id DESC, "
    );
    LIST_BY_ACTOR = list("actor >= $3 AND (actor, entry_id) < ($3, $9)", "actor DESC, ");
    LIST_BY_SUBJECT = list("subject >= $5 AND (subject, entry_id) < ($5, $9)", "subject DESC, ");
    PRUNE = "DELETE FROM audit_entries WHERE entry_id IN \
        (SELECT entry_id FROM audit_entries WHERE entry_id < $1 ORDER BY entry_id LIMIT $2)";
}

impl Repository {
    /// Writes all entries in one statement.
    pub async fn append_audit_entries(&mut self, entries: &[AuditEntry]) -> Result<()> {
        if !entries.is_empty() {
            self.0.run(&INSERT, args![json_rows(entries)]).await?;
        }
        Ok(())
    }

    /// Returns the entries that match the filter and have an id below `before`, newest first; at most `limit`.
    pub async fn list_audit_entries(
        &mut self,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let (organization, class) = place_columns(filter.place.as_ref());
        let list = if filter.subject.is_some() {
            &LIST_BY_SUBJECT
        } else if filter.actor.is_some() {
            &LIST_BY_ACTOR
        } else if !class.is_empty() {
            &LIST_BY_CLASS
        } else if !organization.is_empty() {
            &LIST_BY_ORGANIZATION
        } else {
            &LIST
        };
        let (least, end) = id_bounds(filter.from, filter.till, before);
        let bound = args![
            organization,
            class,
            filter.actor.as_deref(),
            filter.method.as_deref(),
            filter.subject.as_deref(),
            filter.from.map_or(i64::MIN, micros),
            filter.till.map_or(i64::MAX, micros),
            least,
            end,
            limit,
        ];
        self.0.all(list, bound).await
    }

    /// Deletes at most `limit` rows made before a time, exact to the millisecond. Returns their number.
    pub async fn prune_audit_entries(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        self.0.run(&PRUNE, args![least_id(before), limit]).await
    }
}
