//! The join URL of a class (C9 to C12): its address never changes, but it can be switched off and on.

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::names::InvitationName;
use homeroom_kit::{Error, Result, rpc::Patch};

use super::write::{Change, Work};

/// Switches the join URL off and on (C12). A switch-off is answered once nobody is queued by it (P7).
pub(crate) async fn update(
    work: &mut Work,
    name: InvitationName,
    (enabled, etag): (Patch<bool>, String),
) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    let app = Arc::clone(&work.app);
    let secrets = app.secrets();
    let mut on = row.enabled;
    if enabled.set(&mut on) {
        let key = secrets
            .show(&row)?
            .ok_or_else(|| Error::internal("a join URL has lost its key"))?;
        if row.switch(on) {
            row.raise_epoch();
            row.set_secret(secrets, &key, &key)?;
        }
        let data = BTreeMap::from([("enabled".to_owned(), on.to_string())]);
        work.save("join_url.updated", &mut row, data).await?;
    }
    Ok(Change::shown(row))
}
