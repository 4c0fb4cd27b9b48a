//! The invitations of which an organization or class has exactly one (AIP-156). They are made on first read or use.
//! Concurrent first reads make one, because the organization is locked and the table has a unique index.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::names::Place;
use homeroom_kit::{Error, Result, auth::Caller, random::new_id, secret::SecretText};

use super::{
    App,
    rules::Rule,
    views::Answer,
    write::{Change, Transacted, Work},
};
use crate::{
    domain::{
        class_code,
        invitation::InvitationKind,
        join_key,
        lock::{Lock, LockPeriod},
        organization_token,
    },
    store::InvitationRow,
};

/// Returns the type of the event that records its creation.
fn created(kind: InvitationKind) -> &'static str {
    match kind {
        InvitationKind::OrganizationToken => "invite_token.created",
        InvitationKind::ClassToken => "token.created",
        InvitationKind::EnrollmentCode => "enrollment_code.created",
        InvitationKind::ClassCode => "class_code.created",
        InvitationKind::JoinUrl => "join_url.created",
    }
}

impl App {
    /// Returns a new secret of a kind that the system makes.
    pub(crate) fn new_secret(&self, kind: InvitationKind) -> Result<SecretText> {
        let random = self.random.as_ref();
        match kind {
            InvitationKind::OrganizationToken => Ok(organization_token::generate(random)),
            InvitationKind::ClassCode => Ok(class_code::generate(random)),
            InvitationKind::JoinUrl => Ok(join_key::generate(random)),
            InvitationKind::ClassToken | InvitationKind::EnrollmentCode => {
                Err(Error::internal("this kind of invitation is no singleton"))
            }
        }
    }

    /// Returns the place's one invitation of `kind` with its secret, for a caller who has the permission of `rule`. It
    /// is made on first read (A2, C1). The read is audited (R12).
    pub(crate) async fn show_singleton<A: Answer>(
        self: &Arc<Self>,
        caller: &Caller,
        place: impl Into<Place>,
        kind: InvitationKind,
        rule: Rule,
        view: impl FnOnce(&InvitationRow) -> A,
    ) -> Result<A> {
        let row = self
            .read_singleton(caller, place.into(), kind, rule)
            .await?;
        let mut shown = view(&row);
        shown.fill(self, &[row])?;
        Ok(shown)
    }

    async fn read_singleton(
        self: &Arc<Self>,
        caller: &Caller,
        place: Place,
        kind: InvitationKind,
        rule: Rule,
    ) -> Result<InvitationRow> {
        let access = self.authorize(caller, &place, rule).await?;
        let known = self
            .store
            .read()
            .await?
            .find_singleton(&place, kind)
            .await?;
        if let Some(row) = known {
            self.audit_read(caller, &row).await?;
            return Ok(row);
        }
        let app = Arc::clone(self);
        let caller = caller.clone();
        let made = self
            .writes
            .run(async move {
                app.transact(&caller, &place, access, None, move |work| {
                    Box::pin(async move { Ok(Change::of((), work.find_or_make(kind).await?)) })
                })
                .await
            })
            .await?;
        match made {
            Transacted::Changed(mut change) => change.rows.pop(),
            Transacted::Replay(_) => None,
        }
        .ok_or_else(|| Error::internal("a singleton was not made"))
    }
}

impl Work {
    /// Returns the place's one invitation of `kind`, and makes it if it is missing. The organization is locked.
    pub(crate) async fn find_or_make(&mut self, kind: InvitationKind) -> Result<InvitationRow> {
        let known = self.repository.find_singleton(&self.place, kind).await?;
        if let Some(row) = known {
            return Ok(row);
        }
        let app = Arc::clone(&self.app);
        let id = new_id(app.clock.as_ref(), app.random.as_ref());
        let mut row = InvitationRow::new(id, kind, self.place.clone(), self.now);
        if kind == InvitationKind::ClassCode {
            row.invitation.lock = Some(Lock::open(self.now, LockPeriod::DEFAULT));
        }
        let secret = app.new_secret(kind)?;
        row.set_secret(app.secrets(), &secret, &secret)?;
        let inserted = self
            .repository
            .insert_invitations(std::slice::from_ref(&row))
            .await?;
        if inserted != [true] {
            return Err(Error::internal("a singleton could not be inserted"));
        }
        let made = std::slice::from_ref(&row);
        self.events(created(kind), made, BTreeMap::new()).await?;
        Ok(row)
    }
}
