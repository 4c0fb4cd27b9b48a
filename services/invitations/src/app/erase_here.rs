//! The last step of an erasure (R13) or of a move (R15): one transaction that gives redemptions to their pseudonyms, or
//! to the other account, and erases or moves all other data about the person in this service.

use std::collections::BTreeSet;

use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    Result,
    erasure::{Mark, Replacement, marks_of},
    outbox::NewEvent,
};
use uuid::Uuid;

use super::App;
use crate::{
    redemption::{ledger::Redemption, reply::not_known_yet},
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
            if !repository.end_erasure(&erasure.id, now).await? {
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
            let invitations = redemptions
                .iter()
                .map(|(redemption, _)| redemption.invitation_id);
            let invitations: BTreeSet<Uuid> = invitations.collect();
            let invitations: Vec<Uuid> = invitations.into_iter().collect();
            repository.lock_invitations(&invitations).await?;
            if !repository.give_redemptions(&given).await? {
                // The other account redeems the same invitation at this moment.
                return Err(not_known_yet());
            }
            let marks = if erasure.is_move() {
                Vec::new()
            } else {
                forget(&mut repository, erasure, &organizations, &given).await?
            };
            repository
                .replace(&organizations, replacement, &marks)
                .await?;
            let event = if erasure.is_move() {
                NewEvent::user_moved
            } else {
                NewEvent::user_erased
            };
            let events: Vec<NewEvent> = organizations
                .iter()
                .map(|organization| event(organization, replacement, &erasure.actor))
                .collect();
            repository.outbox().append(&events, now, random).await?;
            Ok(())
        }
        .await;
        store::end(repository, "erase", erased).await
    }
}

/// Erases what an erasure loses and a move keeps: the particulars of these redemptions, and the tokens assigned to the
/// person. Returns the marks of stored answers that mention the person.
async fn forget(
    repository: &mut Repository,
    erasure: &Erasure,
    organizations: &BTreeSet<OrganizationId>,
    given: &[(Uuid, UserId)],
) -> Result<Vec<Mark>> {
    let ids: Vec<Uuid> = given.iter().map(|(id, _)| *id).collect();
    repository.forget_particulars(&ids).await?;
    let Replacement { user, by } = &erasure.replacement;
    repository
        .assign_to_nobody(organizations, &erasure.known, by)
        .await?;
    let known = erasure.known.iter().map(|known| {
        let texts = [known.email.as_str(), known.external_id.as_str()];
        (&known.organization, texts)
    });
    Ok(marks_of(user, known))
}

/// Returns the organizations in which something must be erased or moved here.
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
