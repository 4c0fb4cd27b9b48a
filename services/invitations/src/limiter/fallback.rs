//! The limiter that services use: Redis under a time budget and a breaker, the process's own memory behind it.

use std::time::Duration;

use async_trait::async_trait;
use homeroom_kit::clock::SharedClock;
use tokio::time::timeout;

use super::{
    Attempt, Budgets, Dimension, Effect, GuessScope, Issuer, Limiter, Receipt, Settlement, Verdict,
    breaker::Breaker,
    budget::FALLBACK_BUDGET_DIVISOR,
    budgeted::{BudgetedLimiter, whole_seconds},
    memory::MemoryStore,
    process_log::ProcessLog,
    redis::RedisStore,
    store::StoreAway,
};

/// How long one call may wait for Redis, in milliseconds.
pub const REDIS_CALL_MAX_MILLIS: u64 = 50;
/// Gauge: 1 while this process takes the limiter's Redis for gone, otherwise 0.
pub const LIMITER_REDIS_AWAY: &str = "homeroom_limiter_redis_away";

/// Redis first; while it is away, this process with a fraction of the budgets, and short credentials queue.
///
/// Never open for short credentials, never a class locked out, and no reason not to be ready. Where only
/// one node of a cluster is away, that holds for the attempts whose keys it keeps. The process's own log
/// of users goes beside both, and the stricter answer counts.
#[derive(Debug)]
pub struct GuardedLimiter {
    primary: BudgetedLimiter<RedisStore>,
    fallback: BudgetedLimiter<MemoryStore>,
    log: ProcessLog,
    breaker: Breaker,
    call_max: Duration,
}

impl GuardedLimiter {
    /// Composes the two. `clock` times the breaker and the fallback; Redis goes by its own clock.
    #[must_use]
    pub fn new(redis: RedisStore, budgets: Budgets, clock: SharedClock) -> Self {
        let divided = budgets.divided_by(FALLBACK_BUDGET_DIVISOR);
        let memory = MemoryStore::new(clock.clone());
        let log = ProcessLog::new(budgets.user(), clock.clone());
        Self {
            log,
            primary: BudgetedLimiter::new(redis, budgets, Issuer::Primary),
            fallback: BudgetedLimiter::new(memory, divided, Issuer::Fallback),
            breaker: Breaker::new(clock),
            call_max: Duration::from_millis(REDIS_CALL_MAX_MILLIS),
        }
    }

    /// Lets each call wait for Redis up to `call_max` instead of [`REDIS_CALL_MAX_MILLIS`].
    #[must_use]
    pub fn with_call_max(mut self, call_max: Duration) -> Self {
        self.call_max = call_max;
        self.primary.store.set_node_max(call_max * 2 / 5);
        self
    }

    /// Whether Redis is taken for gone at present: for metrics.
    #[must_use]
    pub fn redis_is_away(&self) -> bool {
        self.breaker.is_open()
    }

    /// Runs a call to Redis unless the breaker stands open; nothing when Redis is away.
    async fn within_call_max<T>(
        &self,
        call: impl Future<Output = Result<T, StoreAway>>,
    ) -> Option<T> {
        if !self.breaker.lets_through() {
            return None;
        }
        let answer = timeout(self.call_max, call).await;
        let is_silent = answer.is_err();
        let away = match answer {
            Ok(Ok(value)) => {
                if self.breaker.succeeded() {
                    tracing::info!("the limiter's Redis is back");
                }
                metrics::gauge!(LIMITER_REDIS_AWAY).set(0.0);
                return Some(value);
            }
            Ok(Err(away)) => away,
            Err(_elapsed) => StoreAway(format!("no answer within {:?}", self.call_max)),
        };
        let opened = self.breaker.failed();
        if self.redis_is_away() {
            metrics::gauge!(LIMITER_REDIS_AWAY).set(1.0);
            if is_silent {
                self.primary.store.leave_the_silent();
            }
        }
        if opened {
            tracing::warn!(
                error = %away,
                "the limiter's Redis is away: limiting in this process, short credentials queue"
            );
        } else {
            tracing::debug!(error = %away, "a call to the limiter's Redis failed");
        }
        None
    }
}

impl GuardedLimiter {
    /// The verdicts of Redis, and of the fallback where Redis has none.
    async fn charge_either(&self, attempts: &[Attempt]) -> Vec<Verdict> {
        let mut verdicts = match self.within_call_max(self.primary.charge(attempts)).await {
            Some(mut charged) => {
                if !charged.afterwards.is_empty() {
                    let waits = self.primary.follow_up(&charged.afterwards);
                    let waits = self.within_call_max(waits).await;
                    charged.wait_at_least(waits.unwrap_or_default());
                }
                charged.verdicts
            }
            None => attempts.iter().map(|_| None).collect(),
        };
        let left: Vec<Attempt> = attempts
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| verdict.is_none())
            .map(|(attempt, _)| attempt.clone())
            .collect();
        if !left.is_empty() {
            let decided = self.charge_fallback(&left).await;
            let undecided = verdicts.iter_mut().filter(|verdict| verdict.is_none());
            for (slot, verdict) in undecided.zip(decided) {
                *slot = verdict;
            }
        }
        verdicts.into_iter().flatten().collect()
    }

    /// The process's own verdicts, by which short credentials queue.
    async fn charge_fallback(&self, attempts: &[Attempt]) -> Vec<Option<Verdict>> {
        // The process's own memory is never away.
        let Ok(mut charged) = self.fallback.charge(attempts).await else {
            return Vec::new();
        };
        let waits = self.fallback.follow_up(&charged.afterwards).await;
        charged.wait_at_least(waits.unwrap_or_default());
        for verdict in charged.verdicts.iter_mut().flatten() {
            if let Verdict::Allowed { guess_guarded, .. } = verdict {
                *guess_guarded = true;
            }
        }
        charged.verdicts
    }

    /// The stricter of the verdict and what this process's own log says of the user. What the log
    /// refuses is to be taken back elsewhere.
    fn stricter(&self, attempt: &Attempt, verdict: Verdict) -> (Verdict, Option<Settlement>) {
        match verdict {
            Verdict::Allowed {
                mut receipt,
                guess_guarded,
            } => {
                let own = self.log.charge(&attempt.user);
                if own.allowed {
                    receipt.process_mark = Some(own.mark);
                    let verdict = Verdict::Allowed {
                        receipt,
                        guess_guarded,
                    };
                    return (verdict, None);
                }
                let refused = Verdict::Refused {
                    dimension: Dimension::User,
                    retry_after: whole_seconds(own.retry_micros),
                };
                let taken_back = Settlement::GiveBack {
                    receipt,
                    effect: Effect::Nothing,
                };
                (refused, Some(taken_back))
            }
            Verdict::Refused {
                dimension,
                retry_after,
            } => {
                let own = whole_seconds(self.log.wait_micros(&attempt.user));
                let refused = Verdict::Refused {
                    dimension,
                    retry_after: retry_after.max(own),
                };
                (refused, None)
            }
        }
    }

    /// Settles in Redis and in the fallback, each what it issued.
    async fn settle_either(&self, settlements: Vec<Settlement>) -> Vec<GuessScope> {
        let (primary, fallback): (Vec<_>, Vec<_>) = settlements
            .into_iter()
            .partition(|settlement| settlement.receipt().issuer == Issuer::Primary);
        let mut closed = Vec::new();
        if !primary.is_empty() {
            let settled = self.within_call_max(self.primary.settle(primary)).await;
            closed.extend(settled.into_iter().flatten());
        }
        // What closes in the fallback guards nothing that is not guarded already: nobody is told.
        if !fallback.is_empty() {
            let _ = self.fallback.settle(fallback).await;
        }
        closed
    }
}

#[async_trait]
impl Limiter for GuardedLimiter {
    async fn charge(&self, attempts: &[Attempt]) -> Vec<Verdict> {
        if attempts.is_empty() {
            return Vec::new();
        }
        let verdicts = self.charge_either(attempts).await;
        let (verdicts, taken_back): (Vec<_>, Vec<_>) = attempts
            .iter()
            .zip(verdicts)
            .map(|(attempt, verdict)| self.stricter(attempt, verdict))
            .unzip();
        let taken_back: Vec<Settlement> = taken_back.into_iter().flatten().collect();
        if !taken_back.is_empty() {
            self.settle_either(taken_back).await;
        }
        verdicts
    }

    async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool> {
        let asked = self.within_call_max(self.primary.guarded(scopes)).await;
        // Without Redis short credentials queue in any case.
        asked.unwrap_or_else(|| vec![true; scopes.len()])
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Vec<GuessScope> {
        for settlement in &settlements {
            let receipt = settlement.receipt();
            let Some(mark) = receipt.process_mark else {
                continue;
            };
            match settlement {
                Settlement::GiveBack { .. } => self.log.refund(&receipt.user, mark),
                Settlement::Keep { .. } => self.log.keep(&receipt.user, mark),
            }
        }
        self.settle_either(settlements).await
    }
}

impl Settlement {
    fn receipt(&self) -> &Receipt {
        match self {
            Self::GiveBack { receipt, .. } | Self::Keep { receipt } => receipt,
        }
    }
}
