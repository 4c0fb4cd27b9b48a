//! `ListAuditEntries` (R12) and `ListRefusedAttempts`: logs, newest first, for administrators, owners and operators.

use homeroom_api::{
    common::v1::ErrorReason, ids::UserId, membership::v1::Permission, names::Place,
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::FieldKind,
    paging::{Page, PageRequest},
};

use super::{App, conditions::Conditions};
use crate::domain::{
    audit_entry::{AuditEntry, AuditFilter},
    refused_attempt::{RefusedAttempt, RefusedAttemptFilter},
};

const AUDIT_FIELDS: &[(&str, FieldKind)] = &[
    ("actor", FieldKind::Text),
    ("method", FieldKind::Text),
    ("subject", FieldKind::Text),
    ("create_time", FieldKind::Time),
];

/// Parses the filter; None if no entry can meet it. Fails with `INVALID_FILTER`.
pub fn audit_filter(text: &str) -> Result<Option<AuditFilter>> {
    Conditions::read(text, AUDIT_FIELDS, |wanted| {
        // No row has an empty value here.
        let value = |field| wanted.value(field, |text| (!text.is_empty()).then(|| text.to_owned()));
        Ok(AuditFilter {
            place: None,
            actor: value("actor")?,
            method: value("method")?,
            subject: value("subject")?,
            from: wanted.from,
            till: wanted.till,
        })
    })
}

const ATTEMPT_FIELDS: &[(&str, FieldKind)] = &[
    ("user", FieldKind::Text),
    ("reason", FieldKind::Text),
    ("create_time", FieldKind::Time),
];

/// Parses the filter; None if no attempt can meet it. Fails with `INVALID_FILTER`.
pub fn attempt_filter(text: &str) -> Result<Option<RefusedAttemptFilter>> {
    Conditions::read(text, ATTEMPT_FIELDS, |wanted| {
        Ok(RefusedAttemptFilter {
            organization: None,
            user: wanted.value("user", |text| UserId::parse(text).ok())?,
            reason: wanted.value("reason", ErrorReason::from_str_name)?,
            from: wanted.from,
            till: wanted.till,
        })
    })
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
        self.authorize_list(caller, place.as_ref(), Permission::ManageInvitations)
            .await?;
        let Some(filter) = filter else {
            return Ok(Page::empty());
        };
        let wanted = AuditFilter { place, ..filter };
        let mut repository = self.store.read().await?;
        let rows = repository
            .list_audit_entries(&wanted, page.cursor_as()?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
    }

    /// Lists the refused attempts of an organization; with None, all of them. Fails with `INVALID_PAGE_TOKEN`, or as
    /// [`App::authorize_list`].
    pub async fn list_refused_attempts(
        &self,
        caller: &Caller,
        place: Option<Place>,
        filter: Option<RefusedAttemptFilter>,
        page: &PageRequest,
    ) -> Result<Page<RefusedAttempt>> {
        self.authorize_list(caller, place.as_ref(), Permission::ReadInvitations)
            .await?;
        let Some(filter) = filter else {
            return Ok(Page::empty());
        };
        let wanted = RefusedAttemptFilter {
            organization: place.map(|place| place.organization().clone()),
            ..filter
        };
        let mut repository = self.store.read().await?;
        let rows = repository
            .list_refused_attempts(&wanted, page.cursor_as()?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.id.to_string()))
    }
}
