//! The last step of an erasure (R13): one transaction that gives redemptions to their pseudonyms and erases all other
//! data about the person in this service.

use std::collections::BTreeSet;

use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{Result, erasure::marks_of, outbox::NewEvent};
use uuid::Uuid;

use super::App;
use crate::{
    redemption::ledger::Redemption,
    store::{self, Erasure, Repository},
};

impl App {
    /// Runs the last step, in one transaction.
    pub(super) async fn erase_here(
        &self,
        erasure: &Erasure,
        redemptions: &[(Redemption, UserId)],
    ) -> Result<()> {
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let random = self.random.as_ref();
        let erased = async {
            let replacement = &erasure.replacement;
            // This comes first, so that a second process waits for one row and reads nothing.
            if !repository.end_erasure(&replacement.pseudonym, now).await? {
                // Another process has finished it; the person found here now has come since.
                return Ok(());
            }
            let organizations = concerned(&mut repository, erasure, redemptions).await?;
            let to_lock: Vec<OrganizationId> = organizations.iter().cloned().collect();
            repository.lock_organizations(&to_lock, now).await?;
            let given: Vec<(Uuid, UserId)> = redemptions
                .iter()
                .map(|(redemption, to)| (redemption.id, to.clone()))
                .collect();
            repository.give_redemptions(&given).await?;
            repository
                .assign_to_nobody(&organizations, &erasure.known, &replacement.pseudonym)
                .await?;
            let known = erasure.known.iter().map(|known| {
                let texts = [known.email.as_str(), known.external_id.as_str()];
                (&known.organization, texts)
            });
            let marks = marks_of(&replacement.user, known);
            repository
                .pseudonymize(&organizations, replacement, &marks)
                .await?;
            let events: Vec<NewEvent> = organizations
                .iter()
                .map(|organization| {
                    NewEvent::user_erased(organization, replacement, &erasure.actor)
                })
                .collect();
            repository.outbox().append(&events, now, random).await?;
            store::Result::Ok(())
        }
        .await;
        Ok(store::end(repository, "erase", erased).await?)
    }
}

/// Returns the organizations in which something must be erased here.
async fn concerned(
    repository: &mut Repository,
    erasure: &Erasure,
    redemptions: &[(Redemption, UserId)],
) -> store::Result<BTreeSet<OrganizationId>> {
    let user = &erasure.replacement.user;
    let mut organizations = repository
        .organizations_that_know(user, &erasure.known)
        .await?;
    let redeemed = redemptions.iter();
    organizations.extend(redeemed.map(|(redemption, _)| redemption.place.organization().clone()));
    Ok(organizations)
}
