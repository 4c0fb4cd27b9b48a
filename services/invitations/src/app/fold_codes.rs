//! The folding of enrollment codes that an earlier version stored, so that they are found by their folded form too
//! (B4).

use std::{collections::BTreeSet, slice};

use homeroom_api::ids::OrganizationId;
use homeroom_kit::Result;

use super::{App, rotate_keys::prefixes_of, secrets::Secrets};
use crate::store::{self, Repository, end};

/// The number of codes that are folded at once.
const FOLD_BATCH: u32 = 100;

/// Folds the codes of an organization that are not folded yet, except those whose secret does not open. Returns their
/// number. The organization is locked.
pub(super) async fn fold_codes(
    repository: &mut Repository,
    secrets: Secrets<'_>,
    organization: &OrganizationId,
) -> store::Result<u64> {
    let mut folded = 0;
    let mut after = None;
    loop {
        let rows = repository
            .list_unfolded(Some(organization), after, FOLD_BATCH)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(folded);
        };
        after = Some(last.invitation.id);
        let prefixes = prefixes_of(repository, &rows).await?;
        let prefix = prefixes.get(organization.as_str());
        let anew: Vec<_> = rows
            .iter()
            .filter_map(|row| secrets.fold(row, prefix?))
            .collect();
        folded += repository.rotate_secrets(&anew).await?.len() as u64;
    }
}

impl App {
    /// Folds the codes of every organization, each in a transaction of its own. Returns their number.
    pub async fn fold_codes_once(&self) -> Result<u64> {
        let mut folded = 0;
        let mut after = None;
        loop {
            let rows = self
                .store
                .read()
                .await?
                .list_unfolded(None, after, FOLD_BATCH)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(folded);
            };
            after = Some(last.invitation.id);
            let organizations = rows.iter().map(|row| row.invitation.place.organization());
            for organization in organizations.collect::<BTreeSet<_>>() {
                let mut repository = self.store.write().await?;
                let done = async {
                    repository
                        .lock_organizations(slice::from_ref(organization), self.clock.now())
                        .await?;
                    fold_codes(&mut repository, self.secrets(), organization).await
                };
                let done = done.await;
                folded += end(repository, "fold_codes", done).await?;
            }
        }
    }
}
