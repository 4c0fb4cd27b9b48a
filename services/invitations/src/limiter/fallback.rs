//! The limiter that the service uses: Redis with a time limit and a circuit breaker, and the process's own memory
//! behind it.

use std::time::Duration;

use async_trait::async_trait;
use homeroom_api::ids::UserId;
use homeroom_kit::clock::SharedClock;
use tokio::time::timeout;

use super::{
    Attempt, Budgets, GuessScope, Issuer, Limiter, Receipt, Settlement, Verdict, breaker::Breaker,
    budget::FALLBACK_BUDGET_DIVISOR, budgeted::BudgetedLimiter, memory::MemoryStore,
    redis::RedisStore, store::StoreAway,
};

/// The maximum time that one call waits for Redis, in milliseconds.
pub const REDIS_CALL_MAX_MILLIS: u64 = 50;
/// Gauge: 1 while this process considers the limiter's Redis unreachable, otherwise 0.
pub const LIMITER_REDIS_AWAY: &str = "homeroom_limiter_redis_away";

/// The limiter with Redis first; while Redis is unreachable, this process decides with a fraction of the budgets, and
/// short credentials queue.
///
/// Without Redis, short credentials are never admitted unguarded, no class is locked out, and the service stays ready.
#[derive(Debug)]
pub struct GuardedLimiter {
    primary: BudgetedLimiter<RedisStore>,
    fallback: BudgetedLimiter<MemoryStore>,
    breaker: Breaker,
    call_max: Duration,
}

impl GuardedLimiter {
    /// Composes the two. `clock` drives the breaker and the fallback; Redis uses its own clock.
    #[must_use]
    pub fn new(redis: RedisStore, budgets: Budgets, clock: SharedClock) -> Self {
        let divided = budgets.divided_by(FALLBACK_BUDGET_DIVISOR);
        let memory = MemoryStore::new(clock.clone());
        Self {
            primary: BudgetedLimiter::new(redis, budgets, Issuer::Primary),
            fallback: BudgetedLimiter::new(memory, divided, Issuer::Fallback),
            breaker: Breaker::new(clock),
            call_max: Duration::from_millis(REDIS_CALL_MAX_MILLIS),
        }
    }

    /// Sets the maximum time that each call waits for Redis, instead of [`REDIS_CALL_MAX_MILLIS`].
    #[must_use]
    pub fn with_call_max(mut self, call_max: Duration) -> Self {
        self.call_max = call_max;
        self
    }

    /// Returns true if Redis is considered unreachable now, for metrics.
    #[must_use]
    pub fn redis_is_away(&self) -> bool {
        self.breaker.is_open()
    }

    /// Runs a call to Redis unless the breaker is open. Returns nothing if Redis is unreachable.
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
        if is_silent {
            self.primary.store.leave_the_silent();
        }
        if self.redis_is_away() {
            metrics::gauge!(LIMITER_REDIS_AWAY).set(1.0);
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

#[async_trait]
impl Limiter for GuardedLimiter {
    async fn charge(&self, attempts: &[Attempt]) -> Vec<Verdict> {
        if attempts.is_empty() {
            return Vec::new();
        }
        if let Some(verdicts) = self.within_call_max(self.primary.charge(attempts)).await {
            return verdicts;
        }
        // The process's own memory always answers.
        let mut verdicts = self.fallback.charge(attempts).await.unwrap_or_default();
        for verdict in &mut verdicts {
            if let Verdict::Allowed { guess_guarded, .. } = verdict {
                *guess_guarded = true;
            }
        }
        verdicts
    }

    async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool> {
        let asked = self.within_call_max(self.primary.guarded(scopes)).await;
        // Without Redis, short credentials queue in any case.
        asked.unwrap_or_else(|| vec![true; scopes.len()])
    }

    /// Clears both; returns true if Redis answered.
    async fn clear(&self, user: &UserId) -> bool {
        let cleared = self.within_call_max(self.primary.clear(user)).await;
        self.fallback.clear(user).await.is_ok() && cleared.is_some()
    }

    /// Settles in Redis and in the fallback, each for the receipts that it issued.
    async fn settle(&self, settlements: Vec<Settlement>) -> Vec<GuessScope> {
        let (primary, fallback): (Vec<_>, Vec<_>) = settlements
            .into_iter()
            .partition(|settlement| settlement.receipt().issuer == Issuer::Primary);
        let mut closed = Vec::new();
        if !primary.is_empty() {
            let settled = self.within_call_max(self.primary.settle(primary)).await;
            closed.extend(settled.into_iter().flatten());
        }
        // Without Redis all guards count as closed, so a guard that closes in the fallback is not reported.
        if !fallback.is_empty() {
            let _ = self.fallback.settle(fallback).await;
        }
        closed
    }
}

impl Settlement {
    fn receipt(&self) -> &Receipt {
        match self {
            Self::GiveBack { receipt, .. } | Self::Keep { receipt, .. } => receipt,
        }
    }
}
