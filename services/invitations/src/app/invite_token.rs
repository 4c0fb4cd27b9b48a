//! The organization's one invite token (A2, A3).

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use homeroom_api::{ids::OrganizationId, invitations::v1::InviteToken};
use homeroom_kit::{Result, auth::Caller, rpc::check_etag};

use super::{
    App,
    patch::Patch,
    rules,
    views::{self, Answer},
    write::{Change, Work, changed},
};
use crate::domain::invitation::InvitationKind;

impl App {
    /// The organization's invite token, made on first read (A2). The read is audited.
    pub async fn get_invite_token(
        self: &Arc<Self>,
        caller: &Caller,
        organization: OrganizationId,
    ) -> Result<InviteToken> {
        let kind = InvitationKind::OrganizationToken;
        let row = self
            .read_singleton(caller, organization.into(), kind, rules::GET_INVITE_TOKEN)
            .await?;
        let mut shown = views::invite_token(&row);
        shown.fill(self, &[row])?;
        Ok(shown)
    }
}

/// Sets or clears when the invite token expires (A3).
pub(crate) async fn update(
    work: &mut Work,
    etag: String,
    expire_time: Patch<Option<DateTime<Utc>>>,
) -> Result<Change<InviteToken>> {
    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
    check_etag(&etag, row.revision)?;
    if let Patch::Set(expire_time) = expire_time {
        row.invitation.valid_till = expire_time;
        let data = changed(&["expire_time"]);
        work.save("invite_token.updated", &mut row, data).await?;
    }
    Ok(Change::of(views::invite_token(&row), row).shown())
}

/// Makes a new invite token; answered once nobody is admitted by the old one (A3, P7).
pub(crate) async fn reset(work: &mut Work, etag: String) -> Result<Change<InviteToken>> {
    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
    check_etag(&etag, row.revision)?;
    let secret = work.app.new_secret(InvitationKind::OrganizationToken)?;
    row.reset(work.app.secrets(), &secret, work.now)?;
    work.save("invite_token.reset", &mut row, BTreeMap::new())
        .await?;
    Ok(Change::of(views::invite_token(&row), row).shown())
}
