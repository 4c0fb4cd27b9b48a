//! Redemptions: from the text that a person typed to the place that they are let into. [`redeem`] has the whole course
//! of one redemption, [`ledger`] its durable records.

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
use homeroom_kit::{
    Error, Result,
    batching::{Batcher, Limits},
    keys::KeyRing,
    tasks::Writes,
};
use uuid::Uuid;

use attempt_log::AttemptLog;
use each::together_or_each;
use ledger::{Ledger, Settlement};
use reply::Redeemed;
use request::Attempt;

use crate::{limiter::Limiter, membership::Membership};

/// Counts the redemptions whose answer of membership this process stored.
const SETTLED: &str = "homeroom_redemptions_settled_total";
/// The limits by which settlements form transactions: all that arrive while others are under way share the next one,
/// whichever batch of redemptions they come from.
const SETTLING: Limits = Limits {
    name: "settle",
    batch_items_max: 500,
    queue_items_max: 10_000,
    batches_max: 2,
    prompt_batches_max: 1,
    slow_after_millis: 100,
    // No answer waits for T3. A T3 that follows another at once would only delay the T1 of the same invitation.
    apart_millis: 25,
};

/// Redeems invitations, and drives redemptions that have begun to their end. Shared, because writes outlive their
/// callers (P12).
#[derive(Debug)]
pub struct Redemptions {
    /// The ledger of redemptions.
    pub ledger: Ledger,
    /// The membership service.
    pub membership: Arc<dyn Membership>,
    /// The redemption limiter.
    pub limiter: Limiter,
    /// The keys of look-ups.
    pub keys: Arc<KeyRing>,
    /// The writes under way.
    pub writes: Writes,
    attempt_log: AttemptLog,
    settlements: Batcher<Settlement, Result<()>>,
}

impl Redemptions {
    /// Makes it from these parts. It must be called inside a runtime.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        membership: Arc<dyn Membership>,
        limiter: Limiter,
        keys: Arc<KeyRing>,
        writes: Writes,
    ) -> Self {
        let settling = ledger.clone();
        let settlements = Batcher::start(SETTLING, move |settlements: Vec<Settlement>| {
            let ledger = settling.clone();
            async move { settle_each(&ledger, &settlements).await }
        });
        Self {
            settlements,
            attempt_log: AttemptLog::start(Arc::clone(&ledger.store)),
            ledger,
            membership,
            limiter,
            keys,
            writes,
        }
    }

    /// Redeems many, each independently, in a task that finishes even if the client has gone (P12). Returns one result
    /// for each, in their order.
    pub async fn redeem_many(self: &Arc<Self>, attempts: Vec<Attempt>) -> Vec<Result<Redeemed>> {
        let redemptions = Arc::clone(self);
        self.writes
            .run(async move { redemptions.redeem_to_the_end(attempts).await })
            .await
    }

    /// Redeems the attempts of a batch that could be read; the others keep their errors.
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

    /// Runs T3 in a task that shutdown waits for, in one transaction with those of other batches. Failed settlements
    /// are left to recovery.
    fn settle_later(&self, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let settling = self.settlements.clone();
        self.writes.spawn(async move {
            let settled = match settling.submit(settlements).await {
                Ok(settled) => settled,
                Err(error) => vec![Err(error)],
            };
            for error in settled.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "a redemption stays reserved until recovery settles it");
            }
        });
    }

    /// Runs T3 for all in one transaction; a poisoned settlement fails alone. Returns those that failed.
    pub(crate) async fn settle_now(&self, settlements: &[Settlement]) -> HashMap<Uuid, Error> {
        if settlements.is_empty() {
            return HashMap::new();
        }
        let settled = settle_each(&self.ledger, settlements).await;
        settlements
            .iter()
            .zip(settled)
            .filter_map(|(settlement, settled)| Some((settlement.redemption.id, settled.err()?)))
            .collect()
    }
}

async fn settle_each(ledger: &Ledger, settlements: &[Settlement]) -> Vec<Result<()>> {
    together_or_each(settlements, |settlements| {
        async move {
            let settled = ledger.settle(settlements).await?;
            metrics::counter!(SETTLED).increment(settled.len() as u64);
            Ok(vec![(); settlements.len()])
        }
        .boxed()
    })
    .await
}

fn not_answered() -> Error {
    Error::internal("an attempt was not answered")
}
