//! Erasures (R13) that were under way while the snapshots were taken.

use std::collections::HashSet;

use futures::TryStreamExt as _;

use super::database::{Error, Snapshot};

/// Their pseudonyms: those that `after` shows and `before` does not show done.
pub(crate) async fn under_way(
    before: &mut Snapshot,
    after: &mut Snapshot,
) -> Result<HashSet<String>, Error> {
    let done = pseudonyms(
        before,
        "SELECT pseudonym FROM erasures WHERE done_time IS NOT NULL",
    )
    .await?;
    let mut all = pseudonyms(after, "SELECT pseudonym FROM erasures").await?;
    all.retain(|pseudonym| !done.contains(pseudonym));
    Ok(all)
}

async fn pseudonyms(snapshot: &mut Snapshot, sql: &str) -> Result<HashSet<String>, Error> {
    snapshot
        .rows(sql)
        .map_ok(|row| row.text(0))
        .try_collect()
        .await
}
