//! The organization's one invite token (A2, A3).

use chrono::{DateTime, Utc};
use homeroom_api::names::InvitationName;
use homeroom_kit::{Result, rpc::Patch};

use super::write::{Change, Work, changed};

/// Sets or clears the expiry of the invite token (A3).
pub(crate) async fn update(
    work: &mut Work,
    name: InvitationName,
    (expire_time, etag): (Patch<Option<DateTime<Utc>>>, String),
) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    if expire_time.set(&mut row.invitation.valid_till) {
        let data = changed(&["expire_time"]);
        work.save("invite_token.updated", &mut row, data).await?;
    }
    Ok(Change::shown(row))
}

/// Makes a new invite token; it is answered once nobody is admitted by the old one (A3, P7).
pub(crate) async fn reset(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let row = work.load(&name, &etag).await?;
    work.reset("invite_token.reset", row).await
}
