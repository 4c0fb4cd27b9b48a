//! The changes that staff make to an invitation's row, as functions on the row. They write nothing.

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
    /// Returns a new invitation, in use, without limits and without a secret yet.
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
            // Nothing began before the first epoch, so the fence is up.
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

    /// Moves to the next epoch: redemptions that began before are never admitted (P7). The secret is bound to the old
    /// epoch and must be stored again or destroyed.
    pub(crate) fn raise_epoch(&mut self) {
        self.invitation.epoch = self.invitation.epoch.next();
    }

    /// Sets a new secret in a new epoch, in which uses count from zero (C8, A3).
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

    /// Stores the secret under the current epoch.
    pub(crate) fn set_secret(
        &mut self,
        secrets: Secrets<'_>,
        canonical: &SecretText,
        shown: &SecretText,
    ) -> Result<()> {
        self.secret = Some(secrets.store(&self.invitation, canonical, shown)?);
        Ok(())
    }

    /// Ends the invitation permanently: moves to a new epoch and destroys the secret.
    pub(crate) fn end(&mut self) {
        self.raise_epoch();
        self.secret = None;
        self.invitation.standing = Standing::Revoked;
    }

    /// Sets the switch (B8, C12). Returns true if it was on and now is off, which ends an epoch.
    pub(crate) fn switch(&mut self, enabled: bool) -> bool {
        let off = self.enabled && !enabled;
        self.enabled = enabled;
        if self.invitation.standing != Standing::Revoked {
            self.invitation.standing = if enabled { Standing::On } else { Standing::Off };
        }
        off
    }
}
