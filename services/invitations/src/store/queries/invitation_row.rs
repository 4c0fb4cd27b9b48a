//! The reading and writing of an invitation's columns.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::ids::ClassId;
use homeroom_kit::clock::{from_micros, micros};
use serde_json::{Value, json};
use sqlx::{Database, Row as _};

use super::{super::Db, corrupt, hex, place_of, redemption_row::uuid};
use crate::{
    domain::{
        domain_rule::DomainRule,
        email::EmailAddress,
        invitation::{Epoch, Invitation, InvitationKind, Standing, Uses},
        lock::{Lock, LockPeriod},
    },
    store::{InvitationRow, Result, StoredSecret},
};

/// The columns whose form differs from the row's.
pub(super) struct Columns<'row> {
    pub(super) lookup_mac: Option<&'row [u8]>,
    pub(super) folded_mac: Option<&'row [u8]>,
    /// The `lookup_mac` that `folded_mac` belongs to.
    pub(super) folded_lookup_mac: Option<&'row [u8]>,
    pub(super) sealed: Option<&'row [u8]>,
    pub(super) key_version: i64,
    pub(super) assigned_email: String,
    pub(super) external_id: &'row str,
    /// The lock period, in microseconds.
    pub(super) lock_period: Option<i64>,
    pub(super) unlock_time: i64,
    pub(super) manual_lock_time: Option<i64>,
}

impl<'row> Columns<'row> {
    pub(super) fn of(row: &'row InvitationRow) -> Self {
        let invitation = &row.invitation;
        let secret = row.secret.as_ref();
        let lock = invitation.lock.as_ref();
        let lookup_mac = secret.map(|secret| secret.lookup_mac.as_slice());
        let folded_mac = secret.and_then(|secret| secret.folded_mac.as_deref());
        Self {
            lookup_mac,
            folded_mac,
            folded_lookup_mac: folded_mac.and(lookup_mac),
            sealed: secret.map(|secret| secret.sealed.as_slice()),
            key_version: secret.map_or(0, |secret| i64::from(secret.key_version)),
            assigned_email: invitation
                .assigned_email
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            external_id: invitation.external_id.as_deref().unwrap_or(""),
            lock_period: lock
                .and_then(|lock| lock.period.duration())
                .and_then(|period| period.num_microseconds()),
            unlock_time: micros(lock.map_or(row.create_time, |lock| lock.unlock_time)),
            manual_lock_time: lock.and_then(|lock| lock.manual_lock_time).map(micros),
        }
    }
}

/// Returns a row as JSON for the statement that inserts many; its counts begin at zero.
pub(super) fn to_json(row: &InvitationRow) -> Value {
    let columns = Columns::of(row);
    let invitation = &row.invitation;
    json!({
        "invitation_id": invitation.id.to_string(),
        "kind": invitation.kind.tag(),
        "organization_id": invitation.place.organization().as_str(),
        "class_id": invitation.place.class().map_or("", ClassId::as_str),
        "epoch": invitation.epoch.value(),
        "fence_epoch": row.fence_epoch.value(),
        "uses_since_epoch": row.uses_since_epoch.value(),
        "lookup_mac": columns.lookup_mac.map(hex),
        "folded_mac": columns.folded_mac.map(hex),
        "folded_lookup_mac": columns.folded_lookup_mac.map(hex),
        "sealed": columns.sealed.map(hex),
        "key_version": columns.key_version,
        "enabled": row.enabled,
        "revoke_time": row.revoke_time.map(micros),
        "delete_time": row.delete_time.map(micros),
        "valid_from_time": invitation.valid_from.map(micros),
        "valid_till_time": invitation.valid_till.map(micros),
        "max_uses": invitation.max_uses,
        "assigned_email": columns.assigned_email,
        "external_id": columns.external_id,
        "display_name": row.display_name,
        "email_domains": domain_rules_text(&invitation.email_domains),
        "allow_rejoin": invitation.allow_rejoin,
        "strength_bits": row.strength_bits,
        "words": row.words,
        "lock_period": columns.lock_period,
        "unlock_time": columns.unlock_time,
        "manual_lock_time": columns.manual_lock_time,
        "issue_time": micros(invitation.issue_time),
        "revision": row.revision,
        "create_time": micros(row.create_time),
        "update_time": micros(row.update_time),
    })
}

/// Returns domain rules as JSON text, as their column holds them.
pub(super) fn domain_rules_text(rules: &[DomainRule]) -> String {
    let texts: Vec<String> = rules.iter().map(ToString::to_string).collect();
    serde_json::json!(texts).to_string()
}

/// Reads domain rules. A stored rule that cannot be read makes the row an error. It is never dropped, because that would
/// let everyone in.
fn domain_rules(text: &str) -> Result<Vec<DomainRule>> {
    let texts: Vec<String> =
        serde_json::from_str(text).map_err(|_| corrupt("invitations.email_domains is no list"))?;
    texts
        .iter()
        .map(|text| DomainRule::stored(text).map_err(|_| corrupt("a domain rule does not parse")))
        .collect()
}

fn count(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| corrupt("a count of invitations is out of range"))
}

fn lock(kind: InvitationKind, row: &<Db as Database>::Row) -> Result<Option<Lock>> {
    if kind != InvitationKind::ClassCode {
        return Ok(None);
    }
    let period: Option<i64> = row.try_get("lock_period")?;
    let period = match period {
        None => LockPeriod::NEVER,
        Some(micros) => LockPeriod::after(TimeDelta::microseconds(micros))
            .map_err(|_| corrupt("a lock period is out of range"))?,
    };
    Ok(Some(Lock {
        unlock_time: from_micros(row.try_get("unlock_time")?),
        period,
        manual_lock_time: time(row, "manual_lock_time")?,
    }))
}

fn time(row: &<Db as Database>::Row, column: &str) -> Result<Option<DateTime<Utc>>> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.map(from_micros))
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Reads a row that has every column.
pub(super) fn read(row: &<Db as Database>::Row) -> Result<InvitationRow> {
    let kind = InvitationKind::from_tag(row.try_get("kind")?)
        .ok_or_else(|| corrupt("a kind of invitation is unknown"))?;
    let enabled: bool = row.try_get("enabled")?;
    let revoke_time = time(row, "revoke_time")?;
    let delete_time = time(row, "delete_time")?;
    let standing = if revoke_time.is_some() || delete_time.is_some() {
        Standing::Revoked
    } else if enabled {
        Standing::On
    } else {
        Standing::Off
    };
    let assigned_email: String = row.try_get("assigned_email")?;
    let email_domains: String = row.try_get("email_domains")?;
    let max_uses: Option<i64> = row.try_get("max_uses")?;
    let invitation = Invitation {
        id: uuid(row.try_get("invitation_id")?)?,
        kind,
        place: place_of(row)?,
        epoch: Epoch::new(row.try_get("epoch")?),
        standing,
        valid_from: time(row, "valid_from_time")?,
        valid_till: time(row, "valid_till_time")?,
        max_uses: max_uses.map(count).transpose()?,
        uses: Uses {
            used: count(row.try_get("uses_committed")?)?,
            reserved: count(row.try_get("uses_reserved")?)?,
            queued: count(row.try_get("uses_queued")?)?,
        },
        assigned_email: non_empty(assigned_email)
            .map(|email| EmailAddress::parse(&email))
            .transpose()
            .map_err(|_| corrupt("an assigned email address does not parse"))?,
        external_id: non_empty(row.try_get("external_id")?),
        email_domains: domain_rules(&email_domains)?,
        lock: lock(kind, row)?,
        issue_time: from_micros(row.try_get("issue_time")?),
        allow_rejoin: row.try_get("allow_rejoin")?,
    };
    let lookup_mac: Option<Vec<u8>> = row.try_get("lookup_mac")?;
    let folded_mac: Option<Vec<u8>> = row.try_get("folded_mac")?;
    let sealed: Option<Vec<u8>> = row.try_get("sealed")?;
    let key_version: i64 = row.try_get("key_version")?;
    Ok(InvitationRow {
        invitation,
        fence_epoch: Epoch::new(row.try_get("fence_epoch")?),
        uses_since_epoch: Epoch::new(row.try_get("uses_since_epoch")?),
        secret: lookup_mac
            .zip(sealed)
            .map(|(lookup_mac, sealed)| {
                Ok::<_, crate::store::Error>(StoredSecret {
                    lookup_mac,
                    folded_mac,
                    sealed,
                    key_version: count(key_version)?,
                })
            })
            .transpose()?,
        enabled,
        revoke_time,
        delete_time,
        display_name: row.try_get("display_name")?,
        strength_bits: count(row.try_get("strength_bits")?)?,
        words: count(row.try_get("words")?)?,
        revision: row.try_get("revision")?,
        create_time: from_micros(row.try_get("create_time")?),
        update_time: from_micros(row.try_get("update_time")?),
    })
}
