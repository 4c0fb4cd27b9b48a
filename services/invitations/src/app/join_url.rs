//! The join URL of a class (C9 to C12): its address never changes, but it can be switched off and on.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::invitations::v1::JoinUrl;
use homeroom_kit::{Error, Result, rpc::check_etag};

use super::{
    patch::Patch,
    views,
    write::{Change, Work},
};
use crate::{domain::invitation::InvitationKind, store::InvitationRow};

/// Switches the join URL off and on (C12). A switch-off is answered once nobody is queued by it (P7).
pub(crate) async fn update(
    work: &mut Work,
    etag: String,
    enabled: Patch<bool>,
) -> Result<Change<JoinUrl>> {
    let mut row = work.find_or_make(InvitationKind::JoinUrl).await?;
    check_etag(&etag, row.revision)?;
    if let Patch::Set(enabled) = enabled
        && enabled != row.enabled
    {
        switch(work, &mut row, enabled).await?;
    }
    Ok(Change::of(views::join_url(&row), row).shown())
}

async fn switch(work: &mut Work, row: &mut InvitationRow, enabled: bool) -> Result<()> {
    let app = Arc::clone(&work.app);
    let secrets = app.secrets();
    let key = secrets
        .show(row)?
        .ok_or_else(|| Error::internal("a join URL has lost its key"))?;
    if row.switch(enabled) {
        row.raise_epoch();
        row.set_secret(secrets, &key, &key)?;
    }
    let data = BTreeMap::from([("enabled".to_owned(), enabled.to_string())]);
    work.save("join_url.updated", row, data).await
}
