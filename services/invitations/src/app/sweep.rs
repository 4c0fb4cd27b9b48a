//! The sweep (P5): queued redemptions that the feed has said nothing about for long are asked about.

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use homeroom_kit::{Result, random::below, request_ids::forgotten_before};
use uuid::Uuid;

use super::{
    App,
    charge::SYSTEM,
    settle::{SWEEP_AFTER_MINUTES, Settlement},
};
use crate::domain::redemption::RedemptionState;

/// Queued redemptions that one run asks about at most.
pub const SWEEP_BATCH: u32 = 100;
/// Questions to membership at once.
const QUESTIONS_AT_ONCE: usize = 8;
/// How long until a question that was not answered is asked again, in seconds.
pub const SWEEP_RETRY_SECONDS: i64 = 60;
/// Request ids that one run forgets at most.
pub const PRUNE_BATCH: u32 = 1_000;

impl App {
    /// Asks membership about the queued redemptions that are due, once. Gives how many were due.
    pub async fn sweep_once(&self) -> Result<usize> {
        let spread = u32::try_from(SWEEP_AFTER_MINUTES * 60 / 4).unwrap_or(0);
        let lease = TimeDelta::minutes(SWEEP_AFTER_MINUTES)
            + TimeDelta::seconds(i64::from(below(self.random.as_ref(), spread)));
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let due = repository
            .take_due(RedemptionState::Queued, now, now + lease, SWEEP_BATCH)
            .await?;
        repository.commit("take_queued").await?;
        let asked = due.len();
        let membership = &self.membership;
        let answers: Vec<_> = futures::stream::iter(due)
            .map(|redemption| async move {
                let name = redemption.name();
                let answer = membership.get_admission(&name, None).await;
                (redemption, answer)
            })
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await;
        let mut settlements = Vec::new();
        let mut later: Vec<(Uuid, DateTime<Utc>)> = Vec::new();
        for (redemption, answer) in answers {
            match answer {
                Ok(Some(admission)) if admission.request_end.is_some() => {
                    settlements.push(Settlement::of(&redemption, &admission, SYSTEM));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    tracing::error!(redemption = %redemption.id, "membership has never heard of a queued redemption");
                }
                Err(_) => {
                    later.push((redemption.id, now + TimeDelta::seconds(SWEEP_RETRY_SECONDS)));
                }
            }
        }
        for (id, error) in self.settle_now(&settlements).await {
            tracing::error!(%error, cause = error.cause(), redemption = %id, "a queued redemption could not be settled");
            later.push((id, now + TimeDelta::seconds(SWEEP_RETRY_SECONDS)));
        }
        if !later.is_empty() {
            let mut repository = self.store.write().await?;
            repository.set_next_tries(&later).await?;
            repository.commit("set_next_tries").await?;
        }
        Ok(asked)
    }

    /// Forgets request ids older than 24 hours (R3), a part of them. Gives how many.
    pub async fn prune_request_ids_once(&self) -> Result<u64> {
        let before = forgotten_before(self.clock.now());
        let mut repository = self.store.write().await?;
        let pruned = repository
            .prune_redemption_requests(before, PRUNE_BATCH)
            .await?
            + repository.prune_requests(before, PRUNE_BATCH).await?;
        repository.commit("forget_requests").await?;
        Ok(pruned)
    }
}
