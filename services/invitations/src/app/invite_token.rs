//! The organization's one invite token (A2, A3).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use homeroom_api::invitations::v1::InviteToken;
use homeroom_kit::{Result, rpc::check_etag};

use super::{
    patch::Patch,
    views,
    write::{Change, Work, changed},
};
use crate::domain::invitation::InvitationKind;

/// Sets or clears the expiry of the invite token (A3).
pub(crate) async fn update(
    work: &mut Work,
    etag: String,
    expire_time: Patch<Option<DateTime<Utc>>>,
) -> Result<Change<InviteToken>> {
    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
    check_etag(&etag, row.revision)?;
    let mut fields = Vec::new();
    expire_time.apply(&mut row.invitation.valid_till, "expire_time", &mut fields);
    if !fields.is_empty() {
        work.save("invite_token.updated", &mut row, changed(&fields))
            .await?;
    }
    Ok(Change::of(views::invite_token(&row), row).shown())
}

/// Makes a new invite token; it is answered once nobody is admitted by the old one (A3, P7).
pub(crate) async fn reset(work: &mut Work, etag: String) -> Result<Change<InviteToken>> {
    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
    check_etag(&etag, row.revision)?;
    let secret = work.app.new_secret(InvitationKind::OrganizationToken)?;
    row.reset(work.app.secrets(), &secret, work.now)?;
    work.save("invite_token.reset", &mut row, BTreeMap::new())
        .await?;
    Ok(Change::of(views::invite_token(&row), row).shown())
}
