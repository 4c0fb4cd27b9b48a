//! Recovery (P13): redemptions that membership has not been heard of are asked about again, until
//! it answers. It only drives forward: a use is never given back because time ran out (P1).

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::{
    Result,
    random::{Randomness, below},
};
use uuid::Uuid;

use super::{App, charge::SYSTEM, reserve::LEASE_SECONDS, settle::Settlement};
use crate::{domain::redemption::RedemptionState, store::Redemption};

/// Redemptions that recovery takes at once.
pub const RECOVERY_BATCH: u32 = 200;
/// The delay after a first failed try, in milliseconds; it doubles with each.
pub const BACKOFF_MIN_MILLIS: i64 = 200;
/// The longest delay between tries, in seconds.
pub const BACKOFF_MAX_SECONDS: i64 = 60;
/// After so many tries a redemption shows as stuck; it is never dropped.
pub const STUCK_AFTER_TRIES: u32 = 10;

/// What one run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Redemptions that were due.
    pub taken: usize,
    /// Of them, those that membership answered for.
    pub settled: usize,
}

/// Whether an operator should look.
#[must_use]
pub fn is_stuck(redemption: &Redemption) -> bool {
    redemption.state == RedemptionState::Reserved && redemption.tries >= STUCK_AFTER_TRIES
}

/// How long until a redemption is tried again: 0.2 to 60 seconds, doubling with each try, of which
/// the later half is random, so that what failed together is not tried together.
#[must_use]
pub fn backoff(tries: u32, random: &dyn Randomness) -> TimeDelta {
    let doublings = tries.saturating_sub(1).min(16);
    let full = (BACKOFF_MIN_MILLIS << doublings).min(BACKOFF_MAX_SECONDS * 1_000);
    let half = (full / 2).max(BACKOFF_MIN_MILLIS.min(full));
    let spread = u32::try_from(full - half).unwrap_or(0);
    TimeDelta::milliseconds(half + i64::from(below(random, spread.saturating_add(1))))
}

impl App {
    /// Takes the redemptions that are due and asks membership about them, once.
    pub async fn recover_once(&self) -> Result<Recovered> {
        let mut repository = self.store.write().await?;
        // Read once it may write: a lease is no shorter for having waited.
        let now = self.clock.now();
        let due = repository
            .take_due(
                RedemptionState::Reserved,
                now,
                now + TimeDelta::seconds(LEASE_SECONDS),
                RECOVERY_BATCH,
            )
            .await?;
        repository.commit("take_due").await?;
        if due.is_empty() {
            return Ok(Recovered::default());
        }
        for redemption in due.iter().filter(|due| due.tries == STUCK_AFTER_TRIES) {
            tracing::error!(redemption = %redemption.id, "a redemption is stuck: membership has not answered for it");
        }
        let admissions = self.admit(&due.iter().collect::<Vec<_>>()).await;
        let mut settlements = Vec::new();
        let mut later: Vec<(Uuid, DateTime<Utc>)> = Vec::new();
        for redemption in &due {
            match admissions.get(&redemption.id) {
                Some(Ok(admission)) => {
                    settlements.push(Settlement::of(redemption, admission, SYSTEM));
                }
                _ => later.push((
                    redemption.id,
                    now + backoff(redemption.tries, self.random.as_ref()),
                )),
            }
        }
        let failed = self.settle_now(&settlements).await;
        for (id, error) in &failed {
            tracing::error!(%error, cause = error.cause(), redemption = %id, "a redemption could not be settled");
        }
        let random = self.random.as_ref();
        let again = due.iter().filter(|due| failed.contains_key(&due.id));
        later.extend(again.map(|due| (due.id, now + backoff(due.tries, random))));
        if !later.is_empty() {
            let mut repository = self.store.write().await?;
            repository.set_next_tries(&later).await?;
            repository.commit("set_next_tries").await?;
        }
        Ok(Recovered {
            taken: due.len(),
            settled: settlements.len() - failed.len(),
        })
    }

    /// Membership is back: what waits for its next try is tried now. Gives how many.
    pub async fn hasten_recovery(&self) -> Result<u64> {
        let mut repository = self.store.write().await?;
        let hastened = repository.hasten_tries(self.clock.now()).await?;
        repository.commit("hasten").await?;
        Ok(hastened)
    }

    /// How many redemptions are stuck.
    pub async fn count_stuck_redemptions(&self) -> Result<u64> {
        self.count_tried(STUCK_AFTER_TRIES).await
    }

    /// How many redemptions membership has not answered for yet, the stuck ones among them.
    pub async fn count_reserved_redemptions(&self) -> Result<u64> {
        self.count_tried(0).await
    }

    async fn count_tried(&self, tries_min: u32) -> Result<u64> {
        Ok(self.store.read().await?.count_stuck(tries_min).await?)
    }
}

#[cfg(test)]
mod tests {
    use homeroom_kit::random::SeededRandomness;

    use super::*;

    #[test]
    fn p13_tries_are_200_milliseconds_to_60_seconds_apart() {
        let random = SeededRandomness::new(1);
        for tries in [0, 1, 2, 3, 9, 10, 17, 100, u32::MAX] {
            for _ in 0..100 {
                let delay = backoff(tries, &random);
                assert!(
                    delay >= TimeDelta::milliseconds(BACKOFF_MIN_MILLIS),
                    "{tries}: {delay}"
                );
                assert!(
                    delay <= TimeDelta::seconds(BACKOFF_MAX_SECONDS),
                    "{tries}: {delay}"
                );
            }
        }
        assert!(backoff(100, &random) >= TimeDelta::seconds(BACKOFF_MAX_SECONDS / 2));
        let ahead_max = RedemptionState::Reserved.try_ahead_seconds_max();
        assert!(BACKOFF_MAX_SECONDS.max(LEASE_SECONDS) <= ahead_max);
        assert!(backoff(1, &random) < TimeDelta::seconds(1));
    }

    #[test]
    fn p13_what_failed_together_is_not_tried_together() {
        let random = SeededRandomness::new(1);
        let mut delays: Vec<TimeDelta> = (0..50).map(|_| backoff(12, &random)).collect();
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 40);
    }
}
