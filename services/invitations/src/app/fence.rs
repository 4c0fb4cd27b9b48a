//! Fences (P7): the state of an invitation before a reset, a revocation, a switch-off or a changed code admits nobody
//! once the change has been answered.
//!
//! The change raises the epoch in its transaction. Membership's fence is raised after the commit, with no lock held,
//! and only then is the change answered. A fence that could not be raised stays pending in the row, where recovery and
//! a retry with the same request id find it.

use std::time::Instant;

use homeroom_kit::Result;
use uuid::Uuid;

use super::App;
use crate::{redemption::drive::end_of_run, store::InvitationRow};

/// The number of pending fences that are read at once.
const PENDING_FENCES_BATCH: u32 = 100;

impl App {
    /// Raises the fence of each row whose fence is pending, and records it. On `MEMBERSHIP_UNAVAILABLE` it stays
    /// pending.
    pub(crate) async fn raise_fences(
        &self,
        rows: &[InvitationRow],
        deadline: Option<Instant>,
    ) -> Result<()> {
        for row in rows.iter().filter(|row| row.fence_is_pending()) {
            let invitation = &row.invitation;
            let stands = self
                .membership
                .raise_fence(&invitation.name().to_string(), invitation.epoch, deadline)
                .await?;
            let mut repository = self.store.write().await?;
            // A fence above the requested epoch was raised by another change, whose epoch the row has too.
            repository
                .confirm_fence(invitation.id, stands.min(invitation.epoch))
                .await?;
            repository.commit("confirm_fence").await?;
        }
        Ok(())
    }

    /// Raises the pending fences of the invitations of `ids`.
    pub(crate) async fn raise_fences_of(
        &self,
        ids: &[Uuid],
        deadline: Option<Instant>,
    ) -> Result<()> {
        let rows = self.store.read().await?.get_invitations(ids).await?;
        self.raise_fences(&rows, deadline).await
    }

    /// Raises every pending fence, one after the other, as far as the time of a run reaches; those that fail stay
    /// pending. Returns the number of raised fences. The recovery worker calls it in a loop.
    pub async fn raise_pending_fences(&self) -> Result<u64> {
        let (mut raised, mut after) = (0, None);
        let until = end_of_run();
        loop {
            let rows = self
                .store
                .read()
                .await?
                .list_pending_fences(after, PENDING_FENCES_BATCH)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(raised);
            };
            after = Some(last.invitation.id);
            for row in &rows {
                if Instant::now() >= until {
                    return Ok(raised);
                }
                match self.raise_fences(std::slice::from_ref(row), None).await {
                    Ok(()) => raised += 1,
                    Err(error) => {
                        tracing::warn!(%error, invitation = %row.invitation.id, "a fence stays pending");
                    }
                }
            }
        }
    }
}
