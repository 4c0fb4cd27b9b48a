//! Statements on `audit_entries`, for both engines.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_kit::clock::{from_micros, micros};
use serde_json::{Value, json};
use sqlx::{Database, Row as _};
use uuid::Uuid;

use super::{
    super::Db,
    SqlRepository,
    by_time::{id_bounds, least_id, place, place_columns},
    redemption_row::uuid,
    rows_json,
};
use crate::store::{AuditEntries, AuditEntry, AuditFilter, Result};

/// Selects a page by the range of one index, as the list of redemptions does.
macro_rules! list {
    ($range:literal, $order:literal) => {
        concat!(
            "SELECT entry_id, organization_id, class_id, actor, calling_service, method, subject, \
             request_id, create_time FROM audit_entries WHERE ",
            $range,
            " AND ($1 = '' OR organization_id = $1) AND ($2 = '' OR class_id = $2) \
             AND ($3 = '' OR actor = $3) AND ($4 = '' OR method = $4) \
             AND ($5 = '' OR subject = $5) AND create_time >= $6 AND create_time < $7 \
             AND entry_id >= $8 AND entry_id < $9 ORDER BY ",
            $order,
            "entry_id DESC LIMIT $10"
        )
    };
}

homeroom_kit::statements! {
    INSERT = concat!(
        "INSERT INTO audit_entries (entry_id, organization_id, class_id, actor, calling_service, \
         method, subject, request_id, create_time) \
         SELECT input.value->>'entry_id', input.value->>'organization_id', input.value->>'class_id', \
         input.value->>'actor', input.value->>'calling_service', input.value->>'method', \
         input.value->>'subject', input.value->>'request_id', \
         CAST(input.value->>'create_time' AS BIGINT) FROM ",
        json_rows!("$1"),
    );
    LIST = list!("true", "");
    LIST_BY_ORGANIZATION = list!(
        "organization_id >= $1 AND (organization_id, entry_id) < ($1, $9)",
        "organization_id DESC, "
    );
    LIST_BY_CLASS = list!(
        "organization_id = $1 AND class_id >= $2 AND (class_id, entry_id) < ($2, $9)",
        "class_id DESC, "
    );
    LIST_BY_ACTOR = list!("actor >= $3 AND (actor, entry_id) < ($3, $9)", "actor DESC, ");
    LIST_BY_SUBJECT = list!("subject >= $5 AND (subject, entry_id) < ($5, $9)", "subject DESC, ");
    PRUNE = "DELETE FROM audit_entries WHERE entry_id IN \
        (SELECT entry_id FROM audit_entries WHERE entry_id < $1 ORDER BY entry_id LIMIT $2)";
}

fn to_json(entry: &AuditEntry) -> Value {
    let (organization, class) = place_columns(entry.place.as_ref());
    json!({
        "entry_id": entry.id.to_string(),
        "organization_id": organization,
        "class_id": class,
        "actor": entry.actor,
        "calling_service": entry.calling_service,
        "method": entry.method,
        "subject": entry.subject,
        "request_id": entry.request_id,
        "create_time": micros(entry.create_time),
    })
}

fn read(row: &<Db as Database>::Row) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: uuid(row.try_get("entry_id")?)?,
        place: place(row.try_get("organization_id")?, row.try_get("class_id")?)?,
        actor: row.try_get("actor")?,
        calling_service: row.try_get("calling_service")?,
        method: row.try_get("method")?,
        subject: row.try_get("subject")?,
        request_id: row.try_get("request_id")?,
        create_time: from_micros(row.try_get("create_time")?),
    })
}

#[async_trait]
impl AuditEntries for SqlRepository {
    async fn append_audit_entries(&mut self, entries: &[AuditEntry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        sqlx::query(INSERT)
            .bind(rows_json(entries.iter().map(to_json)))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn list_audit_entries(
        &mut self,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let (organization, class) = place_columns(filter.place.as_ref());
        let statement = if filter.subject.is_some() {
            LIST_BY_SUBJECT
        } else if filter.actor.is_some() {
            LIST_BY_ACTOR
        } else if !class.is_empty() {
            LIST_BY_CLASS
        } else if !organization.is_empty() {
            LIST_BY_ORGANIZATION
        } else {
            LIST
        };
        let (least, end) = id_bounds(filter.from, filter.till, before);
        let rows = sqlx::query(statement)
            .bind(organization)
            .bind(class)
            .bind(filter.actor.as_deref().unwrap_or_default())
            .bind(filter.method.as_deref().unwrap_or_default())
            .bind(filter.subject.as_deref().unwrap_or_default())
            .bind(filter.from.map_or(i64::MIN, micros))
            .bind(filter.till.map_or(i64::MAX, micros))
            .bind(least)
            .bind(end)
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn prune_audit_entries(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let done = sqlx::query(PRUNE)
            .bind(least_id(before))
            .bind(i64::from(limit))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }
}
