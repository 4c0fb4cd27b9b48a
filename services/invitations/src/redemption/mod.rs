//! The room of redemptions: from what a person typed to the place they are let into. [`redeem`] has the way of one
//! from end to end, [`ledger`] what is written down of it.

mod admit;
pub mod attempt;
pub mod attempt_log;
mod charge;
pub mod drive;
mod each;
pub mod follow;
pub mod ledger;
mod look_up;
pub mod preview;
mod redeem;
pub mod reply;
pub mod request;

use std::{collections::HashMap, sync::Arc};

use futures::FutureExt as _;
use homeroom_kit::{Error, Result, keys::KeyRing, tasks::Writes};
use uuid::Uuid;

use attempt::Attempt;
use attempt_log::AttemptLog;
use each::together_or_each;
use ledger::{Ledger, Settlement};
use reply::Redeemed;

use crate::{limiter::Limiter, membership::Membership};

/// Redeems invitations, and drives what was begun to its end. Shared, because writes outlive their callers (P12).
#[derive(Debug)]
pub struct Redemptions {
    /// What is written down.
    pub ledger: Ledger,
    /// The membership service.
    pub membership: Arc<dyn Membership>,
    /// The redemption limiter.
    pub limiter: Arc<dyn Limiter>,
    /// The keys of look-ups.
    pub keys: Arc<KeyRing>,
    /// The writes under way.
    pub writes: Writes,
    attempt_log: AttemptLog,
}

impl Redemptions {
    /// Over these parts. Call it inside a runtime.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        membership: Arc<dyn Membership>,
        limiter: Arc<dyn Limiter>,
        keys: Arc<KeyRing>,
        writes: Writes,
    ) -> Self {
        Self {
            attempt_log: AttemptLog::start(Arc::clone(&ledger.store)),
            ledger,
            membership,
            limiter,
            keys,
            writes,
        }
    }

    /// Redeems one invitation for one person.
    pub async fn redeem(self: &Arc<Self>, attempt: Attempt) -> Result<Redeemed> {
        let mut results = self.redeem_many(vec![attempt]).await;
        results.pop().unwrap_or_else(|| Err(not_answered()))
    }

    /// Redeems many, each by itself, in a task that finishes though the client has gone (P12). Returns one result
    /// each, in their order.
    pub async fn redeem_many(self: &Arc<Self>, attempts: Vec<Attempt>) -> Vec<Result<Redeemed>> {
        let redemptions = Arc::clone(self);
        self.writes
            .run(async move { redemptions.redeem_to_the_end(attempts).await })
            .await
    }

    /// Redeems those of a batch that could be read; the others keep their errors.
    pub async fn redeem_batch(
        self: &Arc<Self>,
        mut attempts: Vec<Result<Attempt>>,
    ) -> Vec<Result<Redeemed>> {
        let read = attempts
            .iter_mut()
            .filter_map(|attempt| attempt.as_mut().ok());
        let read: Vec<Attempt> = read.map(|attempt| attempt.clone()).collect();
        let mut redeemed = self.redeem_many(read).await.into_iter();
        let results = attempts.into_iter().map(|attempt| {
            attempt.and_then(|_| redeemed.next().unwrap_or_else(|| Err(not_answered())))
        });
        results.collect()
    }

    /// T3, in a task that shutdown waits for. What fails is recovery's.
    fn settle_later(self: &Arc<Self>, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let redemptions = Arc::clone(self);
        self.writes.spawn(async move {
            for error in redemptions.settle_now(&settlements).await.values() {
                tracing::warn!(%error, "a redemption stays reserved until recovery settles it");
            }
        });
    }

    /// T3, all in one transaction; a poisoned one fails alone. Returns those that failed.
    pub(crate) async fn settle_now(&self, settlements: &[Settlement]) -> HashMap<Uuid, Error> {
        if settlements.is_empty() {
            return HashMap::new();
        }
        let settled = together_or_each(settlements, |settlements| {
            async move {
                self.ledger.settle(settlements).await?;
                Ok(vec![(); settlements.len()])
            }
            .boxed()
        })
        .await;
        settlements
            .iter()
            .zip(settled)
            .filter_map(|(settlement, settled)| Some((settlement.redemption.id, settled.err()?)))
            .collect()
    }
}

fn not_answered() -> Error {
    Error::internal("an attempt was not answered")
}
