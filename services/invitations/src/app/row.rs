//! What staff do to an invitation's row, as functions on the row. They write nothing.

use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use homeroom_kit::{Result, secret::SecretText};
use uuid::Uuid;

use super::secrets::Secrets;
use crate::{
    domain::invitation::{Epoch, Invitation, InvitationKind, Standing, Uses},
    store::InvitationRow,
};

impl InvitationRow {
    /// A new invitation, in use, without limits and without a secret yet.
    #[must_use]
    pub fn new(id: Uuid, kind: InvitationKind, place: Place, now: DateTime<Utc>) -> Self {
        Self {
            invitation: Invitation {
                id,
                kind,
                place,
                epoch: Epoch::FIRST,
                standing: Standing::On,
                valid_from: None,
                valid_till: None,
                max_uses: None,
                uses: Uses::default(),
                assigned_email: None,
                external_id: None,
                email_domains: Vec::new(),
                lock: None,
                issue_time: now,
                allow_rejoin: false,
            },
            // Nothing was begun before its first epoch, so its fence is up.
            fence_epoch: Epoch::FIRST,
            uses_since_epoch: Epoch::FIRST,
            secret: None,
            enabled: true,
            revoke_time: None,
            delete_time: None,
            display_name: String::new(),
            strength_bits: 0,
            words: 0,
            revision: 1,
            create_time: now,
            update_time: now,
        }
    }

    /// The next revision.
    pub(crate) fn touch(&mut self, now: DateTime<Utc>) {
        self.revision += 1;
        self.update_time = now;
    }

    /// The next epoch: what was begun before is never admitted (P7). The secret, bound to the old
    /// one, is to be stored again or destroyed.
    pub(crate) fn raise_epoch(&mut self) {
        self.invitation.epoch = self.invitation.epoch.next();
    }

    /// A new secret in a new epoch, whose uses count from zero (C8, A3).
    pub(crate) fn reset(
        &mut self,
        secrets: Secrets<'_>,
        secret: &SecretText,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.raise_epoch();
        self.uses_since_epoch = self.invitation.epoch;
        self.invitation.uses = Uses::default();
        self.invitation.issue_time = now;
        self.set_secret(secrets, secret, secret)
    }

    /// Stores the secret under the present epoch.
    pub(crate) fn set_secret(
        &mut self,
        secrets: Secrets<'_>,
        canonical: &SecretText,
        shown: &SecretText,
    ) -> Result<()> {
        self.secret = Some(secrets.store(&self.invitation, canonical, shown)?);
        Ok(())
    }

    /// Ends it for good: a new epoch, and nothing left of its secret.
    pub(crate) fn end(&mut self) {
        self.raise_epoch();
        self.secret = None;
        self.invitation.standing = Standing::Revoked;
    }

    /// Throws the switch (B8, C12). Whether it was on and now is off, which ends an epoch.
    pub(crate) fn switch(&mut self, enabled: bool) -> bool {
        let off = self.enabled && !enabled;
        self.enabled = enabled;
        if self.invitation.standing != Standing::Revoked {
            self.invitation.standing = if enabled { Standing::On } else { Standing::Off };
        }
        off
    }
}
