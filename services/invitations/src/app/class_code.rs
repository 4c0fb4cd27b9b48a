//! The code of a class (C1 to C8): read, locked, unlocked and reset by its staff.

use std::collections::BTreeMap;

use homeroom_api::invitations::v1::ClassCode;
use homeroom_kit::{Error, Result, rpc::check_etag};

use super::{
    patch::Patch,
    rules::{self, Rule},
    views,
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        invitation::InvitationKind,
        lock::{Lock, LockPeriod},
    },
    store::InvitationRow,
};

/// A change of a class code by staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassCodeChange {
    /// Sets how long it stays unlocked (C4).
    Update(Patch<LockPeriod>),
    /// Locks it now (C7).
    Lock,
    /// Unlocks it; its lock period starts again (C7, X3).
    Unlock,
    /// Makes a new code, unlocked (C8).
    Reset,
}

impl ClassCodeChange {
    /// Returns the rule of the method that makes this change.
    pub(crate) const fn rule(self) -> Rule {
        match self {
            Self::Update(_) => rules::UPDATE_CLASS_CODE,
            Self::Lock => rules::LOCK_CLASS_CODE,
            Self::Unlock => rules::UNLOCK_CLASS_CODE,
            Self::Reset => rules::RESET_CLASS_CODE,
        }
    }
}

/// Changes the class's code. A reset is answered once nobody is admitted by the old one (C8).
pub(crate) async fn change(
    work: &mut Work,
    etag: String,
    change: ClassCodeChange,
) -> Result<Change<ClassCode>> {
    let mut row = work.find_or_make(InvitationKind::ClassCode).await?;
    check_etag(&etag, row.revision)?;
    apply(work, &mut row, change).await?;
    Ok(Change::of(views::class_code(&row, work.now), row).shown())
}

async fn apply(work: &mut Work, row: &mut InvitationRow, change: ClassCodeChange) -> Result<()> {
    let now = work.now;
    let before = row
        .invitation
        .lock
        .ok_or_else(|| Error::internal("a class code has no lock"))?;
    let (event, lock, data) = match change {
        ClassCodeChange::Update(Patch::Keep) => return Ok(()),
        ClassCodeChange::Update(Patch::Set(period)) => (
            "class_code.updated",
            before.with_period(period),
            changed(&["lock_period"]),
        ),
        ClassCodeChange::Lock => ("class_code.locked", before.locked(now), BTreeMap::new()),
        ClassCodeChange::Unlock => ("class_code.unlocked", before.unlocked(now), BTreeMap::new()),
        ClassCodeChange::Reset => (
            "class_code.reset",
            Lock::open(now, before.period),
            BTreeMap::new(),
        ),
    };
    if lock == before && change != ClassCodeChange::Reset {
        return Ok(());
    }
    row.invitation.lock = Some(lock);
    if change == ClassCodeChange::Reset {
        let secret = work.app.new_secret(InvitationKind::ClassCode)?;
        row.reset(work.app.secrets(), &secret, now)?;
    }
    work.save(event, row, data).await
}
