//! The audit trail (R12): who read a secret, and who changed an invitation.
//!
//! A change and its entries are written in one transaction. A read is answered only once its entry is durable: entries
//! that arrive together share a transaction, and no secret is returned if none can be written.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeroom_api::names::Place;
use homeroom_kit::{
    Result,
    auth::Caller,
    batching::{Batcher, Limits},
    random::{Randomness, new_id_at},
};

use super::App;
use crate::{
    domain::audit_entry::AuditEntry,
    store::{self, InvitationRow, Store},
};

/// The limits by which entries of reads form batches.
const BATCHING: Limits = Limits {
    name: "audit",
    batch_items_max: 256,
    queue_items_max: 10_000,
    // SQLite has one writer; on PostgreSQL one batch is written while the next one forms.
    batches_max: 2,
    prompt_batches_max: 2,
    slow_after_millis: 100,
    apart_millis: 0,
};

/// The writer of entries of reads.
#[derive(Debug, Clone)]
pub struct AuditTrail(Batcher<AuditEntry, store::Result<()>>);

impl AuditTrail {
    /// Starts the writer on this database. It must be called inside a runtime.
    #[must_use]
    pub fn start(store: Arc<Store>) -> Self {
        Self(Batcher::start(BATCHING, move |entries: Vec<AuditEntry>| {
            let store = Arc::clone(&store);
            async move {
                let written = append(store.as_ref(), &entries).await;
                vec![written; entries.len()]
            }
        }))
    }
}

async fn append(store: &Store, entries: &[AuditEntry]) -> store::Result<()> {
    let mut repository = store.write().await?;
    repository.append_audit_entries(entries).await?;
    repository.commit("audit").await
}

/// Replaces control characters, which not every database stores.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Returns the entry of what the acting user of this call does now; None as the place if it concerns no single
/// organization.
pub(super) fn entry(
    caller: &Caller,
    subject: String,
    place: Option<&Place>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> AuditEntry {
    AuditEntry {
        id: new_id_at(now, random),
        place: place.cloned(),
        actor: caller.user.to_string(),
        calling_service: printable(&caller.subject),
        method: caller.method.trim_start_matches('/').to_owned(),
        subject,
        request_id: printable(&caller.request_id),
        create_time: now,
    }
}

impl App {
    /// Returns the entries of a change of invitations, one for each, to write in its transaction.
    pub(super) fn audited_change(
        &self,
        caller: &Caller,
        rows: &[InvitationRow],
        now: DateTime<Utc>,
    ) -> Vec<AuditEntry> {
        rows.iter()
            .map(|row| {
                let invitation = &row.invitation;
                let (subject, place) = (invitation.name().to_string(), &invitation.place);
                entry(caller, subject, Some(place), now, self.random.as_ref())
            })
            .collect()
    }

    /// Writes the entry that `caller` is about to see the secret of `row`.
    pub(super) async fn audit_read(&self, caller: &Caller, row: &InvitationRow) -> Result<()> {
        let subject = row.invitation.name().to_string();
        self.audit_deed(caller, Some(&row.invitation.place), subject)
            .await
    }

    /// Writes one entry that `caller` is about to see the secrets of `rows`, all in `place`. It names the place, or the
    /// invitation if there is only one row. It writes nothing if there are no rows.
    pub(super) async fn audit_reads(
        &self,
        caller: &Caller,
        place: &Place,
        rows: &[InvitationRow],
    ) -> Result<()> {
        match rows {
            [] => Ok(()),
            [row] => self.audit_read(caller, row).await,
            _ => {
                self.audit_deed(caller, Some(place), place.to_string())
                    .await
            }
        }
    }

    /// Writes the entry that `caller` is about to see secrets that `subject` names, or to do something that changes no
    /// invitation; None as the place if it concerns no single organization.
    pub(super) async fn audit_deed(
        &self,
        caller: &Caller,
        place: Option<&Place>,
        subject: String,
    ) -> Result<()> {
        let (now, random) = (self.clock.now(), self.random.as_ref());
        let entry = entry(caller, subject, place, now, random);
        let written = self.audit.0.submit(vec![entry]).await?;
        for written in written {
            written?;
        }
        Ok(())
    }
}
