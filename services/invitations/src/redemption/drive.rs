//! Drives redemptions forward without a caller. Recovery (P13) asks membership again about redemptions that it has not
//! answered. The sweep (P5) asks about queued ones that the feed has been silent about for long. Neither gives a use
//! back because time ran out (P1).

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use homeroom_api::ids::SYSTEM_ACTOR;
use homeroom_kit::{
    Result,
    random::{Randomness, below},
};
use uuid::Uuid;

use super::{
    Redemptions,
    ledger::{LEASE_SECONDS, Redemption, SWEEP_AFTER_MINUTES, Settlement},
};
use crate::domain::redemption::RedemptionState;

/// The number of redemptions that recovery takes at once.
pub const RECOVERY_BATCH: u32 = 200;
/// The delay after a first failed try, in milliseconds; it doubles with each try.
pub const BACKOFF_MIN_MILLIS: i64 = 200;
/// The longest delay between tries, in seconds.
pub const BACKOFF_MAX_SECONDS: i64 = 60;
/// The number of tries after which a redemption shows as stuck; it is never dropped.
pub const STUCK_AFTER_TRIES: u32 = 10;

/// The maximum number of queued redemptions that one run of the sweep asks about.
pub const SWEEP_BATCH: u32 = 100;
/// The number of concurrent questions of the sweep to membership.
const QUESTIONS_AT_ONCE: usize = 8;
/// The time until an unanswered question is asked again, in seconds.
pub const SWEEP_RETRY_SECONDS: i64 = 60;
/// The time after which a run of a worker asks membership nothing more, in seconds: with the question under way it ends
/// in the time for a stop, even if membership accepts calls and answers none.
const RUN_SECONDS_MAX: u64 = 10;

/// Returns the time at which a run that begins now asks membership nothing more.
pub(crate) fn end_of_run() -> Instant {
    Instant::now() + Duration::from_secs(RUN_SECONDS_MAX)
}

/// The result of one run of recovery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The number of redemptions that were due.
    pub taken: usize,
    /// The number of them that membership answered.
    pub settled: usize,
}

/// Returns true if the redemption is stuck: an operator should look.
#[must_use]
pub fn is_stuck(redemption: &Redemption) -> bool {
    redemption.state == RedemptionState::Reserved && redemption.tries >= STUCK_AFTER_TRIES
}

/// Returns the delay until a redemption is tried again: 0.2 to 60 seconds, doubling with each try. Its later half is
/// random, so that redemptions that failed together are not tried together.
#[must_use]
pub fn backoff(tries: u32, random: &dyn Randomness) -> TimeDelta {
    let doublings = tries.saturating_sub(1).min(16);
    let full = (BACKOFF_MIN_MILLIS << doublings).min(BACKOFF_MAX_SECONDS * 1_000);
    let half = (full / 2).max(BACKOFF_MIN_MILLIS.min(full));
    let spread = u32::try_from(full - half).unwrap_or(0);
    TimeDelta::milliseconds(half + i64::from(below(random, spread.saturating_add(1))))
}

impl Redemptions {
    /// Takes the redemptions that are due and asks membership about them, once.
    pub async fn recover_once(&self) -> Result<Recovered> {
        let lease = TimeDelta::seconds(LEASE_SECONDS);
        let (due, now) = self
            .ledger
            .due(RedemptionState::Reserved, lease, RECOVERY_BATCH)
            .await?;
        if due.is_empty() {
            return Ok(Recovered::default());
        }
        for redemption in due.iter().filter(|due| due.tries == STUCK_AFTER_TRIES) {
            tracing::error!(redemption = %redemption.id, "a redemption is stuck: membership has not answered for it");
        }
        let admissions = self.admit(&due.iter().collect::<Vec<_>>(), false).await;
        let mut settlements = Vec::new();
        let mut later: Vec<&Redemption> = Vec::new();
        for redemption in &due {
            match admissions.get(&redemption.id) {
                Some(admission) => {
                    settlements.push(Settlement::of(redemption, admission, SYSTEM_ACTOR));
                }
                None => later.push(redemption),
            }
        }
        let failed = self.settle_now(&settlements).await;
        for (id, error) in &failed {
            tracing::error!(%error, cause = error.cause(), redemption = %id, "a redemption could not be settled");
        }
        later.extend(due.iter().filter(|due| failed.contains_key(&due.id)));
        let random = self.ledger.random.as_ref();
        let later = later
            .iter()
            .map(|redemption| (redemption.id, now + backoff(redemption.tries, random)));
        self.ledger.try_later(&later.collect::<Vec<_>>()).await?;
        Ok(Recovered {
            taken: due.len(),
            settled: settlements.len() - failed.len(),
        })
    }

    /// Asks membership once about the queued redemptions that are due. Returns their number.
    pub async fn sweep_once(&self) -> Result<usize> {
        let spread = u32::try_from(SWEEP_AFTER_MINUTES * 60 / 4).unwrap_or(0);
        let lease = TimeDelta::minutes(SWEEP_AFTER_MINUTES)
            + TimeDelta::seconds(i64::from(below(self.ledger.random.as_ref(), spread)));
        let (due, now) = self
            .ledger
            .due(RedemptionState::Queued, lease, SWEEP_BATCH)
            .await?;
        let asked = due.len();
        let (membership, deadline) = (&self.membership, Some(end_of_run()));
        let answers: Vec<_> = futures::stream::iter(due)
            .map(|redemption| async move {
                let name = redemption.name();
                let answer = membership.get_admission(&name, deadline).await;
                (redemption, answer)
            })
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await;
        let soon = now + TimeDelta::seconds(SWEEP_RETRY_SECONDS);
        let mut settlements = Vec::new();
        let mut later: Vec<(Uuid, DateTime<Utc>)> = Vec::new();
        for (redemption, answer) in answers {
            match answer {
                Ok(Some(admission)) if admission.request_end.is_some() => {
                    settlements.push(Settlement::of(&redemption, &admission, SYSTEM_ACTOR));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    tracing::error!(redemption = %redemption.id, "membership has never heard of a queued redemption");
                }
                Err(_) => later.push((redemption.id, soon)),
            }
        }
        for (id, error) in self.settle_now(&settlements).await {
            tracing::error!(%error, cause = error.cause(), redemption = %id, "a queued redemption could not be settled");
            later.push((id, soon));
        }
        self.ledger.try_later(&later).await?;
        Ok(asked)
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
