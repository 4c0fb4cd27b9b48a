//! The invitations that callers name. A singleton, of which an organization or class has exactly one (AIP-156), is made
//! on first read or use. Concurrent first reads make one, because the organization is locked and the table has a unique
//! index.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    common::v1::ErrorReason,
    names::{InvitationKind, InvitationName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    random::new_id,
    rpc::check_etag,
    secret::SecretText,
};

use super::{
    App,
    answer::Shown,
    rules,
    write::{Change, Work},
};
use crate::{
    domain::{
        lock::{Lock, LockPeriod},
        way::{Admits, Policy, Way},
    },
    store::{InvitationFilter, InvitationRow, Repository},
};

/// Returns the invitation of that name, even if it is revoked.
pub(crate) async fn find(
    repository: &mut Repository,
    name: &InvitationName,
) -> Result<InvitationRow> {
    let found = repository
        .get_invitation(name.id.unwrap_or_default())
        .await?;
    found
        .filter(|row| row.invitation.name() == *name && row.delete_time.is_none())
        .ok_or_else(|| not_found(name))
}

/// Returns `TOKEN_NOT_FOUND` or `CODE_NOT_FOUND`.
pub(crate) fn not_found(name: &InvitationName) -> Error {
    let (reason, kind, message) = match name.kind {
        InvitationKind::ClassToken => (
            ErrorReason::TokenNotFound,
            "homeroom/Token",
            "There is no such token that you may see; check its name.",
        ),
        _ => (
            ErrorReason::CodeNotFound,
            "homeroom/EnrollmentCode",
            "There is no such enrollment code that you may see; check its name.",
        ),
    };
    Error::new(reason, message).resource(kind, name.to_string())
}

impl App {
    /// Returns a page of the invitations of a place.
    pub(super) async fn list_rows(
        &self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<InvitationRow>> {
        let rows = self
            .store
            .read()
            .await?
            .list_invitations(place, kind, filter, page.cursor_as(0)?, page.limit())
            .await?;
        Ok(page.cut(rows, |row| row.invitation.id.to_string()))
    }

    /// Returns a new secret of a singleton, and the type of the event that records its creation.
    fn new_singleton(&self, kind: InvitationKind) -> Result<(SecretText, &'static str)> {
        let made = Way::of(kind).made_on_use;
        let made =
            made.ok_or_else(|| Error::internal("this kind of invitation is no singleton"))?;
        Ok(((made.generate)(self.random.as_ref()), made.event_type))
    }

    /// Returns a singleton with its secret. It is made on first read (A2, C1). The read is audited (R12).
    pub(crate) async fn get_singleton(
        self: &Arc<Self>,
        caller: &Caller,
        InvitationName { kind, place, .. }: InvitationName,
    ) -> Result<Shown> {
        let rule = rules::get(kind);
        self.authorize(caller, &place, rule).await?;
        let mut repository = self.store.read().await?;
        let known = repository.find_singleton(&place, kind).await?;
        // The connection is free again before the entry of the read takes one.
        drop(repository);
        if let Some(row) = known {
            self.audit_read(caller, &row).await?;
            return self.shown(row);
        }
        let none = (None, &());
        let made = self.change(caller, place.clone(), rule, none, move |work| {
            Box::pin(async move { Ok(Change::of(work.find_or_make(kind).await?)) })
        });
        let () = made.await?;
        let mut repository = self.store.read().await?;
        let made = repository.find_singleton(&place, kind).await?;
        self.shown(made.ok_or_else(|| Error::internal("a singleton was not made"))?)
    }
}

impl Work {
    /// Returns the invitation of that name if the etag matches; a singleton is made if it is missing. The organization
    /// is locked.
    pub(crate) async fn load(
        &mut self,
        name: &InvitationName,
        etag: &str,
    ) -> Result<InvitationRow> {
        let row = match name.id {
            Some(_) => find(&mut self.repository, name).await?,
            None => self.find_or_make(name.kind).await?,
        };
        check_etag(etag, row.revision)?;
        Ok(row)
    }

    /// Gives a singleton a new secret, in a new epoch. It is answered once nobody is admitted by the old one (A3, C8).
    pub(super) async fn reset(
        &mut self,
        event_type: &'static str,
        mut row: InvitationRow,
    ) -> Result<Change> {
        let (secret, _) = self.app.new_singleton(row.invitation.kind)?;
        row.reset(self.app.secrets(), &secret, self.now)?;
        self.save(event_type, &mut row, BTreeMap::new()).await?;
        Ok(Change::shown(row))
    }

    /// Returns the place's one invitation of `kind`, and makes it if it is missing. The organization is locked.
    pub(crate) async fn find_or_make(&mut self, kind: InvitationKind) -> Result<InvitationRow> {
        let known = self.repository.find_singleton(&self.place, kind).await?;
        if let Some(row) = known {
            return Ok(row);
        }
        let app = Arc::clone(&self.app);
        let id = new_id(app.clock.as_ref(), app.random.as_ref());
        let mut row = InvitationRow::new(id, kind, self.place.clone(), self.now);
        if Policy::of(kind).admits == Admits::QueueOnceLocked {
            row.invitation.lock = Some(Lock::open(self.now, LockPeriod::DEFAULT));
        }
        let (secret, created) = app.new_singleton(kind)?;
        row.set_secret(app.secrets(), &secret, &secret)?;
        let inserted = self
            .repository
            .insert_invitations(std::slice::from_ref(&row))
            .await?;
        if inserted != [true] {
            return Err(Error::internal("a singleton could not be inserted"));
        }
        let made = std::slice::from_ref(&row);
        self.events(created, made, BTreeMap::new()).await?;
        Ok(row)
    }
}
