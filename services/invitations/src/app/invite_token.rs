//! The organization's one invite token (A2, A3).

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use homeroom_api::{ids::OrganizationId, invitations::v1::InviteToken};
use homeroom_kit::{Result, auth::Caller};

use super::{
    App, Idempotency,
    patch::Patch,
    rules,
    views::{self, Answer},
    write::{Change, Work, changed, not_written},
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

    /// Sets or clears when the invite token expires (A3).
    pub async fn update_invite_token(
        self: &Arc<Self>,
        caller: &Caller,
        organization: OrganizationId,
        etag: String,
        expire_time: Patch<Option<DateTime<Utc>>>,
        request: Idempotency,
    ) -> Result<InviteToken> {
        self.change(
            caller,
            organization.into(),
            rules::UPDATE_INVITE_TOKEN,
            request,
            move |work: &mut Work<'_>| {
                Box::pin(async move {
                    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
                    row.check_etag(&etag)?;
                    if let Patch::Set(expire_time) = expire_time {
                        row.invitation.valid_till = expire_time;
                        let data = changed(&["expire_time"]);
                        if !work.save("invite_token.updated", &mut row, data).await? {
                            return Err(not_written());
                        }
                    }
                    Ok(Change {
                        answer: views::invite_token(&row),
                        rows: vec![row],
                        shows_secrets: true,
                    })
                })
            },
        )
        .await
    }

    /// Makes a new invite token; answered once nobody is admitted by the old one (A3, P7).
    pub async fn reset_invite_token(
        self: &Arc<Self>,
        caller: &Caller,
        organization: OrganizationId,
        etag: String,
        request: Idempotency,
    ) -> Result<InviteToken> {
        self.change(
            caller,
            organization.into(),
            rules::RESET_INVITE_TOKEN,
            request,
            move |work: &mut Work<'_>| {
                Box::pin(async move {
                    let mut row = work.find_or_make(InvitationKind::OrganizationToken).await?;
                    row.check_etag(&etag)?;
                    let secret = work.app.new_secret(InvitationKind::OrganizationToken)?;
                    row.reset(work.app.secrets(), &secret, work.now)?;
                    let data = BTreeMap::new();
                    if !work.save("invite_token.reset", &mut row, data).await? {
                        return Err(not_written());
                    }
                    Ok(Change {
                        answer: views::invite_token(&row),
                        rows: vec![row],
                        shows_secrets: true,
                    })
                })
            },
        )
        .await
    }
}
