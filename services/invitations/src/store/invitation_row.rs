//! An invitation as it is stored, and its columns.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::names::Place;
use homeroom_kit::{email::EmailAddress, store::columns};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    domain_rule::DomainRule,
    invitation::{Epoch, Invitation, InvitationKind, Standing, Uses},
    lock::{Lock, LockPeriod},
    way::{Admits, Policy},
};

/// The stored form of a secret. Neither part reveals it without the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The HMAC of the kind's tag and the canonical form, which look-ups compare. Unique.
    pub lookup_mac: Vec<u8>,
    /// The HMAC of the folded form of an enrollment code, for a look-up that finds no exact form (B4). None for other
    /// kinds, and for a code that an earlier version stored, until it is folded.
    pub folded_mac: Option<Vec<u8>>,
    /// The display value, sealed.
    pub sealed: Vec<u8>,
    /// The version of the key that made both.
    pub key_version: u32,
}

/// An invitation as it is stored: the data for the domain's decisions, and the data that only staff see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Columns", into = "Columns")]
pub struct InvitationRow {
    /// The data for the domain's decisions. Its `uses` are only read: redemptions count them.
    pub invitation: Invitation,
    /// The epoch up to which membership has confirmed the fence. While it is below the invitation's epoch, the fence is
    /// pending (P7).
    pub fence_epoch: Epoch,
    /// The epoch from which uses are counted: a reset starts the count again. Redemptions of older epochs change no
    /// count.
    pub uses_since_epoch: Epoch,
    /// The secret; None once it is destroyed.
    pub secret: Option<StoredSecret>,
    /// The switch (B8, C12).
    pub enabled: bool,
    /// The time at which staff revoked it (A14).
    pub revoke_time: Option<DateTime<Utc>>,
    /// The time at which it was deleted (B11).
    pub delete_time: Option<DateTime<Utc>>,
    /// A label for staff.
    pub display_name: String,
    /// The estimated strength of a typed code in bits; 0 for other kinds.
    pub strength_bits: u32,
    /// The number of words of a phrase; 0 for other kinds.
    pub words: u32,
    /// The revision, which grows by one with each change by staff. The etag is made from it.
    pub revision: i64,
    /// The time at which the row was made.
    pub create_time: DateTime<Utc>,
    /// The time of the last change by staff.
    pub update_time: DateTime<Utc>,
}

impl InvitationRow {
    /// Returns true if the fence is not yet known to be up (P7).
    #[must_use]
    pub fn fence_is_pending(&self) -> bool {
        self.fence_epoch < self.invitation.epoch
    }
}

/// A row of `invitations`.
#[derive(Serialize, Deserialize)]
struct Columns {
    invitation_id: Uuid,
    #[serde(with = "columns::kind")]
    kind: InvitationKind,
    #[serde(flatten, with = "columns::place")]
    place: Place,
    epoch: Epoch,
    fence_epoch: Epoch,
    uses_since_epoch: Epoch,
    #[serde(with = "columns::optional_bytes")]
    lookup_mac: Option<Vec<u8>>,
    #[serde(with = "columns::optional_bytes")]
    folded_mac: Option<Vec<u8>>,
    /// The `lookup_mac` that `folded_mac` belongs to.
    #[serde(with = "columns::optional_bytes", skip_deserializing)]
    folded_lookup_mac: Option<Vec<u8>>,
    #[serde(with = "columns::optional_bytes")]
    sealed: Option<Vec<u8>>,
    key_version: u32,
    #[serde(with = "columns::flag")]
    enabled: bool,
    #[serde(with = "columns::optional_time")]
    revoke_time: Option<DateTime<Utc>>,
    #[serde(with = "columns::optional_time")]
    delete_time: Option<DateTime<Utc>>,
    #[serde(with = "columns::optional_time")]
    valid_from_time: Option<DateTime<Utc>>,
    #[serde(with = "columns::optional_time")]
    valid_till_time: Option<DateTime<Utc>>,
    max_uses: Option<u32>,
    uses_committed: u32,
    uses_reserved: u32,
    uses_queued: u32,
    #[serde(with = "columns::optional_text")]
    assigned_email: Option<EmailAddress>,
    #[serde(with = "columns::optional_text")]
    external_id: Option<String>,
    display_name: String,
    // A stored rule that cannot be read makes the row an error. It is never dropped, because that would let everyone in.
    #[serde(with = "columns::json")]
    email_domains: Vec<DomainRule>,
    #[serde(with = "columns::flag")]
    allow_rejoin: bool,
    strength_bits: u32,
    words: u32,
    /// The lock period, in microseconds.
    lock_period: Option<i64>,
    #[serde(with = "columns::time")]
    unlock_time: DateTime<Utc>,
    #[serde(with = "columns::optional_time")]
    manual_lock_time: Option<DateTime<Utc>>,
    #[serde(with = "columns::time")]
    issue_time: DateTime<Utc>,
    revision: i64,
    #[serde(with = "columns::time")]
    create_time: DateTime<Utc>,
    #[serde(with = "columns::time")]
    update_time: DateTime<Utc>,
}

impl From<InvitationRow> for Columns {
    /// Returns the row to store; the counts of a new one begin at zero.
    fn from(row: InvitationRow) -> Self {
        let invitation = row.invitation;
        let lock = invitation.lock;
        let period = lock.and_then(|lock| lock.period.duration());
        let (lookup_mac, folded_mac, sealed, key_version) = row.secret.map_or_else(
            || (None, None, None, 0),
            |secret| {
                let StoredSecret {
                    lookup_mac,
                    folded_mac,
                    sealed,
                    key_version,
                } = secret;
                (Some(lookup_mac), folded_mac, Some(sealed), key_version)
            },
        );
        Self {
            invitation_id: invitation.id,
            kind: invitation.kind,
            place: invitation.place,
            epoch: invitation.epoch,
            fence_epoch: row.fence_epoch,
            uses_since_epoch: row.uses_since_epoch,
            folded_lookup_mac: folded_mac.as_ref().and(lookup_mac.clone()),
            lookup_mac,
            folded_mac,
            sealed,
            key_version,
            enabled: row.enabled,
            revoke_time: row.revoke_time,
            delete_time: row.delete_time,
            valid_from_time: invitation.valid_from,
            valid_till_time: invitation.valid_till,
            max_uses: invitation.max_uses,
            uses_committed: 0,
            uses_reserved: 0,
            uses_queued: 0,
            assigned_email: invitation.assigned_email,
            external_id: invitation.external_id,
            display_name: row.display_name,
            email_domains: invitation.email_domains,
            allow_rejoin: invitation.allow_rejoin,
            strength_bits: row.strength_bits,
            words: row.words,
            lock_period: period.and_then(|period| period.num_microseconds()),
            unlock_time: lock.map_or(row.create_time, |lock| lock.unlock_time),
            manual_lock_time: lock.and_then(|lock| lock.manual_lock_time),
            issue_time: invitation.issue_time,
            revision: row.revision,
            create_time: row.create_time,
            update_time: row.update_time,
        }
    }
}

impl TryFrom<Columns> for InvitationRow {
    type Error = &'static str;

    fn try_from(row: Columns) -> Result<Self, Self::Error> {
        let standing = if row.revoke_time.is_some() || row.delete_time.is_some() {
            Standing::Revoked
        } else if row.enabled {
            Standing::On
        } else {
            Standing::Off
        };
        let period = match row.lock_period {
            None => LockPeriod::NEVER,
            Some(micros) => LockPeriod::after(TimeDelta::microseconds(micros))
                .map_err(|_| "a lock period is out of range")?,
        };
        let lock = Lock {
            unlock_time: row.unlock_time,
            period,
            manual_lock_time: row.manual_lock_time,
        };
        Ok(Self {
            invitation: Invitation {
                id: row.invitation_id,
                kind: row.kind,
                place: row.place,
                epoch: row.epoch,
                standing,
                valid_from: row.valid_from_time,
                valid_till: row.valid_till_time,
                max_uses: row.max_uses,
                uses: Uses {
                    used: row.uses_committed,
                    reserved: row.uses_reserved,
                    queued: row.uses_queued,
                },
                assigned_email: row.assigned_email,
                external_id: row.external_id,
                email_domains: row.email_domains,
                lock: (Policy::of(row.kind).admits == Admits::QueueOnceLocked).then_some(lock),
                issue_time: row.issue_time,
                allow_rejoin: row.allow_rejoin,
            },
            fence_epoch: row.fence_epoch,
            uses_since_epoch: row.uses_since_epoch,
            secret: row
                .lookup_mac
                .zip(row.sealed)
                .map(|(lookup_mac, sealed)| StoredSecret {
                    lookup_mac,
                    folded_mac: row.folded_mac,
                    sealed,
                    key_version: row.key_version,
                }),
            enabled: row.enabled,
            revoke_time: row.revoke_time,
            delete_time: row.delete_time,
            display_name: row.display_name,
            strength_bits: row.strength_bits,
            words: row.words,
            revision: row.revision,
            create_time: row.create_time,
            update_time: row.update_time,
        })
    }
}
