//! Runs background work of the services when a sequence says so.

use homeroom_invitations::app::retention::Retention;
use homeroom_kit::Result;
use tokio::task::JoinHandle;

use crate::{plan::Work, stage::Stage};

impl Stage {
    /// Runs `work` once in its service. Returns how much there was.
    pub fn work(&self, work: Work) -> JoinHandle<Result<u64>> {
        let membership = self.membership();
        let invitations = self.invitations();
        match work {
            Work::Recover => self.in_invitations(async move {
                Ok(invitations.redemptions.recover_once().await?.taken as u64)
            }),
            Work::Follow => self.in_invitations(async move {
                Ok(invitations.redemptions.follow_once().await?.events as u64)
            }),
            Work::RaiseFences => {
                self.in_invitations(async move { invitations.raise_pending_fences().await })
            }
            Work::Sweep => self.in_invitations(async move {
                Ok(invitations.redemptions.sweep_once().await? as u64)
            }),
            Work::Erase => self.in_invitations(async move {
                invitations.finish_erasures_once().await.map(u64::from)
            }),
            Work::Expire => {
                self.in_membership(async move { membership.expire_join_requests().await })
            }
            Work::Forget => self.in_invitations(async move {
                Ok(membership.prune_request_ids_once().await?
                    + invitations.prune_request_ids_once().await?
                    + invitations.prune_logs_once(&Retention::default()).await?)
            }),
        }
    }
}
