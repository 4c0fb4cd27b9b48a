//! The lock of a class code (C4, C7).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::names::InvitationName;
use homeroom_kit::{Error, Result, rpc::Patch};

use super::write::{Change, Work, changed};
use crate::domain::lock::{Lock, LockPeriod};

/// Sets how long it stays unlocked (C4).
pub(crate) async fn update(
    work: &mut Work,
    name: InvitationName,
    (period, etag): (Patch<LockPeriod>, String),
) -> Result<Change> {
    let set = |mut lock: Lock, _| {
        period.set(&mut lock.period);
        lock
    };
    let data = changed(&["lock_period"]);
    relock(work, &name, &etag, "class_code.updated", data, set).await
}

/// Locks it now (C7).
pub(crate) async fn lock(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let (event, data) = ("class_code.locked", BTreeMap::new());
    relock(work, &name, &etag, event, data, Lock::locked).await
}

/// Unlocks it; its lock period starts again (C7, X3).
pub(crate) async fn unlock(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let (event, data) = ("class_code.unlocked", BTreeMap::new());
    relock(work, &name, &etag, event, data, Lock::unlocked).await
}

async fn relock(
    work: &mut Work,
    name: &InvitationName,
    etag: &str,
    event: &'static str,
    data: BTreeMap<String, String>,
    set: impl FnOnce(Lock, DateTime<Utc>) -> Lock + Send,
) -> Result<Change> {
    let mut row = work.load(name, etag).await?;
    let before = row.invitation.lock;
    let before = before.ok_or_else(|| Error::internal("a class code has no lock"))?;
    let lock = set(before, work.now);
    if lock != before {
        row.invitation.lock = Some(lock);
        work.save(event, &mut row, data).await?;
    }
    Ok(Change::shown(row))
}
