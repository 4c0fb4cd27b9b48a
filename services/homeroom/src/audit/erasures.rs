//! Erasures (R13) that were under way during the snapshots.

use std::collections::HashSet;

use super::database::{Error, Snapshot};

/// Returns their pseudonyms: those in `after` that `before` does not show as done.
pub(crate) async fn under_way(
    before: &mut Snapshot,
    after: &mut Snapshot,
) -> Result<HashSet<String>, Error> {
    let done = before
        .texts("SELECT pseudonym FROM erasures WHERE done_time IS NOT NULL")
        .await?;
    let mut all = after.texts("SELECT pseudonym FROM erasures").await?;
    all.retain(|pseudonym| !done.contains(pseudonym));
    Ok(all)
}
