//! The invitations of which an organization or class has exactly one (AIP-156): made on first read or use, and changed in
//! the same way whatever their kind. Concurrent first reads make one, because the organization is locked and the table
//! has a unique index.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use homeroom_api::{
    membership::v1::Permission,
    names::{InvitationKind, InvitationName},
};
use homeroom_kit::{Error, Result, auth::Caller, rpc::Patch, secret::SecretText};

use super::{
    App,
    answer::Shown,
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        lock::{Lock, LockPeriod},
        way::{Admits, Policy, Singleton, Way},
    },
    store::InvitationRow,
};

fn singleton(kind: InvitationKind) -> Result<Singleton> {
    let singleton = Way::of(kind).singleton;
    singleton.ok_or_else(|| Error::internal("this kind of invitation is no singleton"))
}

/// Returns the type of an event of the kind, such as `class_code.reset`.
fn event(kind: InvitationKind, verb: &str) -> Result<String> {
    Ok(format!("{}.{verb}", singleton(kind)?.event))
}

/// Sets or clears the time at which it stops working (A3).
pub(crate) async fn set_expire_time(
    work: &mut Work,
    name: InvitationName,
    (expire_time, etag): (Patch<Option<DateTime<Utc>>>, String),
) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    if expire_time.set(&mut row.invitation.valid_till) {
        let event = event(name.kind, "updated")?;
        work.save(event, &mut row, changed(&["expire_time"]))
            .await?;
    }
    Ok(Change::shown(row))
}

/// Switches it off and on; its secret stays (C12). A switch-off is answered once nobody uses it (P7).
pub(crate) async fn set_enabled(
    work: &mut Work,
    name: InvitationName,
    (enabled, etag): (Patch<bool>, String),
) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    let mut on = row.enabled;
    if enabled.set(&mut on) {
        let app = Arc::clone(&work.app);
        let secret = app.secrets().show(&row)?;
        let secret = secret.ok_or_else(|| Error::internal("an invitation has lost its secret"))?;
        if row.switch(on) {
            row.raise_epoch();
            row.set_secret(app.secrets(), &secret, &secret)?;
        }
        let data = BTreeMap::from([("enabled".to_owned(), on.to_string())]);
        let event = event(name.kind, "updated")?;
        work.save(event, &mut row, data).await?;
    }
    Ok(Change::shown(row))
}

/// Gives it a new secret, in a new epoch; one that locks itself is unlocked. It is answered once nobody is admitted by
/// the old secret (A3, C8, P7).
pub(crate) async fn reset(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    row.invitation.lock = row.invitation.lock.map(|lock| lock.unlocked(work.now));
    let secret = work.app.new_secret(name.kind)?;
    row.reset(work.app.secrets(), &secret, work.authorize_time)?;
    let event = event(name.kind, "reset")?;
    work.save(event, &mut row, BTreeMap::new()).await?;
    Ok(Change::shown(row))
}

impl App {
    fn new_secret(&self, kind: InvitationKind) -> Result<SecretText> {
        Ok((singleton(kind)?.generate)(self.random.as_ref()))
    }

    /// Returns a singleton with its secret. It is made on first read (A2, C1). The read is audited (R12).
    pub(crate) async fn get_singleton(
        self: &Arc<Self>,
        caller: &Caller,
        InvitationName { kind, place, .. }: InvitationName,
    ) -> Result<Shown> {
        let permission = Permission::ReadInvitations;
        self.authorize(caller, &place, permission).await?;
        let mut repository = self.store.read().await?;
        let known = repository.find_singleton(&place, kind).await?;
        // The connection is free again before the entry of the read takes one.
        drop(repository);
        if let Some(row) = known {
            self.audit_read(caller, &row).await?;
            return self.shown(row);
        }
        let none = (None, &());
        let made = self.change(caller, place.clone(), permission, none, move |work| {
            Box::pin(async move { Ok(Change::of(work.find_or_make(kind).await?)) })
        });
        let () = made.await?;
        let mut repository = self.store.read().await?;
        let made = repository.find_singleton(&place, kind).await?;
        self.shown(made.ok_or_else(|| Error::internal("a singleton was not made"))?)
    }
}

impl Work {
    /// Returns the place's one invitation of `kind`, and makes it if it is missing. The organization is locked.
    pub(super) async fn find_or_make(&mut self, kind: InvitationKind) -> Result<InvitationRow> {
        let known = self.repository.find_singleton(&self.place, kind).await?;
        if let Some(row) = known {
            return Ok(row);
        }
        let app = Arc::clone(&self.app);
        let mut row = self.new_invitation(kind);
        if Policy::of(kind).admits == Admits::QueueOnceLocked {
            row.invitation.lock = Some(Lock::open(self.now, LockPeriod::DEFAULT));
        }
        let secret = app.new_secret(kind)?;
        row.set_secret(app.secrets(), &secret, &secret)?;
        let made = std::slice::from_ref(&row);
        if self.repository.insert_invitations(made).await? != [true] {
            return Err(Error::internal("a singleton could not be inserted"));
        }
        let event = event(kind, "created")?;
        self.events(event, made, BTreeMap::new()).await?;
        Ok(row)
    }
}
