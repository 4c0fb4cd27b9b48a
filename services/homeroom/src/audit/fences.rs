//! I5 across both databases: every fence that invitations counts as confirmed is up, and none is up
//! that it did not raise.

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::{
    database::{Error, Snapshot},
    report::{Invariant, Report},
};

/// An invitation starts in epoch 1, the lowest, so that fence is up without a row.
const FENCES: &str = "SELECT invitation, epoch FROM fences WHERE epoch > 1";
const CONFIRMED: &str = "SELECT {invitation}, fence_epoch FROM invitations WHERE fence_epoch > 1";
const EPOCHS: &str = "SELECT {invitation}, epoch FROM invitations WHERE epoch > 1";

/// Compares the fences with the invitations of the snapshots before and after them.
pub(crate) async fn compare(
    before: &mut Snapshot,
    membership: &mut Snapshot,
    after: &mut Snapshot,
    report: &mut Report,
) -> Result<(), Error> {
    let up: HashMap<_, _> = membership
        .rows::<(String, i64)>(FENCES)
        .try_collect()
        .await?;
    let confirmed: HashMap<_, _> = before
        .rows::<(String, i64)>(CONFIRMED)
        .try_collect()
        .await?;
    for (invitation, confirmed) in confirmed {
        let stands = up.get(&invitation).copied().unwrap_or(0);
        if stands < confirmed {
            report.find_row(
                Invariant::I5,
                "a fence was confirmed that is not up",
                &invitation,
                format!("confirmed {confirmed}, up {stands}"),
            );
        }
    }
    let raised: HashMap<_, _> = after.rows::<(String, i64)>(EPOCHS).try_collect().await?;
    for (invitation, stands) in up {
        let epoch = raised.get(&invitation).copied().unwrap_or(1);
        if stands > epoch {
            report.find_row(
                Invariant::I5,
                "a fence is above its invitation's epoch",
                &invitation,
                format!("epoch {epoch}, fence {stands}"),
            );
        }
    }
    Ok(())
}
