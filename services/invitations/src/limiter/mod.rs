//! The redemption limiter (R10): a school behind one address gets in, a guesser does not.
//!
//! **Charge first, give back after.** Every attempt is charged before its credential is looked up. The charge is given
//! back ([`End::GiveBack`]) if the credential turns out to be usable and the person eligible (admitted, queued,
//! already a member, or no seats). Any other end is a failure: it stays charged and is kept ([`End::Keep`]). So
//! parallel guesses gain nothing.
//!
//! # The rule
//! | dimension | budget for failures | when spent |
//! |---|---|---|
//! | user | burst 5, 5 an hour, 20 in any 24 hours, of different guesses | refuse |
//! | address (IPv4 /32, IPv6 /64) | 30 an hour, +1 for each user's first admission of 24 hours (at most 300 an hour) | refuse users not vouched for |
//! | organization that is named | max(50, seats ÷ 5) a day | its short credentials queue 24 hours, for users not vouched for |
//! | whole service, none named | 600 an hour | likewise, all short credentials |
//! | calling service, all attempts | by configuration | refuse |
//!
//! How innocent users and guessers differ, and why the rule holds:
//! - **A user's first two failures in 24 hours never touch the address, and it refuses none before the fourth.** The
//!   user's own log is charged first, and its reply says how many failures came before this one; attempts under way are
//!   included. The third failure is charged to the address if that has room, and passes in any case: until it has
//!   ended, nobody has failed more often than is free. Only from the fourth on does the address refuse, atomically and
//!   before the attempt goes on. So a user who mistypes twice and then types right is never refused because of an
//!   address, however many arrive at once and however spent the address is: of 300 users who mistype 15% of all
//!   attempts, one fails three times in a row. And innocent users under way never spend the address; only users who
//!   failed twice do.
//! - **Guesses from one address** are at most 3 for each account in 24 hours, and beyond them 30 + 30 an hour, + 1 for
//!   each first admission, whatever the number of accounts. A user who leaves and joins again adds nothing more for 24
//!   hours: the user's own key remembers.
//! - **Attempts that change something** (admitted, filed) are given back 50 times a day for one user; then they stay
//!   charged like failures. So joining and leaving, or filing and withdrawing, in a loop spends at most 50 + 20 uses of
//!   codes a day, and needs an account for each further 70.
//! - **Guesses of one user** are at most 5 at once, then one each 12 minutes, 20 in any 24 hours.
//! - **A repeat reveals nothing new to a guesser.** It is recognized by a keyed hash of what was typed and claimed,
//!   which is stored with the user's failures of 24 hours, and costs the user nothing. So a user who presses a button
//!   until a code opens is not locked out when it does. But nobody can poll: repeats beyond a burst of 5 count against
//!   the address like failures. One user has no more repeats than an address has failures (30 at once, then one each
//!   two minutes), and those that name no organization count against the whole service. An organization's guard counts
//!   neither repeats nor refusals by an invitation in use, such as `NOT_YET_VALID`: otherwise a class that presses the
//!   button before a code opens would close it.
//! - **A guess counts wherever it may hit.** A guess that names an organization only by its first letters, and could as
//!   well be another's phrase, counts for both. And a short credential that was matched queues while the guard of its
//!   own organization or that of the whole service is closed, whatever the attempt named: otherwise a credential found
//!   under one name could be redeemed under another.
//! - **Organization and service** count *settled* failures. If attempts under way counted, a class that arrives at once
//!   would close its own organization. Instead they are counted separately, and an attempt is treated as a guess while
//!   too many are under way. So unguarded guesses are at most the budget plus that maximum, once, before the guard
//!   closes. Guards never refuse anyone, so nobody can lock a class out.
//! - A refused attempt was no guess: its other charges are taken back, except that of the calling service, which counts
//!   all attempts.
//!
//! # When to come back
//! The wait in a refusal is exact to the second: the moment at which the next attempt passes, rounded up, given the
//! settled attempts. Attempts under way are charged, but a wait assumes that they are given back: they end within
//! moments, and a wait that counted them would be minutes too long for a user who simply clicked twice. If they turn
//! out to be failures, the attempt that comes back is refused with the wait that then applies. An attempt that is not
//! settled within a minute counts as a failure. The limit that would be asked next, of the address or the calling
//! service, is looked at too, and the longest wait is reported.
//!
//! # Round trips
//! There is one before the answer for every user who has not failed twice recently: all their counters are asked at
//! once. From the third failure on, a second one asks the address (with one key for each script, the address cannot
//! know whose attempt it charges, and a tentative charge would let a class under way refuse its own stragglers), and a
//! third takes back the charges of a refused attempt. A short credential that was matched, of a user who is not vouched
//! for, asks the guards that its attempt did not ask. After the answer one settles, and first admissions add to
//! addresses in another. Each script has one key, so all of it runs on a Redis Cluster.
//!
//! # Redis unreachable
//! [`Limiter`] gives each call 50 ms, stops asking after 5 errors in a row and decides in the process
//! with half the budgets (a user's burst stays whole); meanwhile all short credentials queue. Receipts of Redis that
//! cannot be given back simply age; a guard's attempts under way age in a minute. A Redis Cluster counts as unreachable
//! as a whole if one of an attempt's keys cannot be asked. `link.rs` connects anew after each failure, because a server
//! may have been demoted.
//!
//! If Redis loses its data (flushed, killed, promoted too early), it is gone: each time, a user has all failures of the
//! day anew.

mod attempt;
pub mod breaker;
pub mod budget;
mod charges;
mod counter;
mod link;
pub mod memory;
pub mod redis;
pub mod settings;
mod state;
mod user_log;
mod verdict;

use std::time::{Duration, Instant};

use homeroom_api::ids::UserId;
use homeroom_kit::{
    clock::SharedClock,
    trace::{self, SpanKind},
};
use tokio::time::timeout;

pub use attempt::{Attempt, Dimension, Effect, End, GuessHash, GuessScope, Refused};
pub use budget::Budgets;
pub use charges::Receipt;

use breaker::Breaker;
use budget::FALLBACK_BUDGET_DIVISOR;
use charges::{Charges, Store};
use memory::Memory;
use redis::{Redis, StoreAway};

/// The maximum time that one call waits for Redis, in milliseconds.
pub const REDIS_CALL_MAX_MILLIS: u64 = 50;
/// Gauge: 1 while this process considers the limiter's Redis unreachable, otherwise 0.
pub const LIMITER_REDIS_AWAY: &str = "homeroom_limiter_redis_away";
/// Counts the attempts that the limiter judged, by verdict: `allowed` or `refused`.
pub const LIMITER_ATTEMPTS: &str = "homeroom_limiter_attempts_total";

/// Limits attempts (R10), with its state in Redis or in the process. It never fails: while Redis is unreachable, this
/// process decides with a fraction of the budgets, and short credentials queue. So they are never admitted unguarded, no
/// class is locked out, and the service stays ready.
///
/// Over both stores these promises hold (`tests/limiter/` checks them):
/// - settling gives back exactly what was charged, except for a user's changes beyond
///   [`Budgets::user_refunds_daily_max`];
/// - a charge that is not settled within a minute stays (user, address) or is forgotten (guards);
/// - a refusal's wait is exact: once all attempts under way are given back, an attempt after it passes, and one a
///   second earlier does not;
/// - all state expires by itself and is bounded.
#[derive(Debug)]
pub struct Limiter {
    shared: Option<Shared>,
    process: Charges,
}

/// Redis, which several processes share, with a time limit and a circuit breaker.
#[derive(Debug)]
struct Shared {
    charges: Charges,
    breaker: Breaker,
    call_max: Duration,
}

impl Limiter {
    /// Returns a limiter that keeps its state in the process.
    #[must_use]
    pub fn in_process(budgets: Budgets, clock: SharedClock) -> Self {
        Self {
            shared: None,
            process: Charges::new(Store::Memory(Memory::new(clock)), budgets),
        }
    }

    /// Returns a limiter that keeps its state in Redis, and in the process by `clock` while Redis is unreachable.
    #[must_use]
    pub fn on_redis(redis: Redis, budgets: Budgets, clock: SharedClock) -> Self {
        let divided = budgets.divided_by(FALLBACK_BUDGET_DIVISOR);
        let call_max = redis.call_max;
        Self {
            shared: Some(Shared {
                charges: Charges::new(Store::Redis(redis), budgets),
                breaker: Breaker::default(),
                call_max,
            }),
            ..Self::in_process(divided, clock)
        }
    }

    /// Returns true if Redis is considered unreachable now.
    #[must_use]
    pub fn redis_is_away(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| shared.breaker.is_open())
    }

    /// Charges each attempt and returns one verdict for each, in order.
    pub async fn charge(&self, attempts: &[Attempt]) -> Vec<Result<Receipt, Refused>> {
        let verdicts = self.judge(attempts).await;
        let refused = verdicts.iter().filter(|verdict| verdict.is_err()).count();
        for (verdict, count) in [("allowed", verdicts.len() - refused), ("refused", refused)] {
            metrics::counter!(LIMITER_ATTEMPTS, "verdict" => verdict).increment(count as u64);
        }
        verdicts
    }

    async fn judge(&self, attempts: &[Attempt]) -> Vec<Result<Receipt, Refused>> {
        if let Some(shared) = &self.shared
            && let Some(verdicts) = shared.ask(shared.charges.charge(attempts)).await
        {
            return verdicts;
        }
        // The process's own memory always answers.
        let mut verdicts = self.process.charge(attempts).await.unwrap_or_default();
        if self.shared.is_some() {
            for receipt in verdicts.iter_mut().flatten() {
                receipt.guess_guarded = true;
            }
        }
        verdicts
    }

    /// Returns for each scope whether its guard is closed, so that short credentials queue. It is asked once a
    /// credential was matched, whatever its attempt named. True while this is unknown.
    pub async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool> {
        let answer = match &self.shared {
            Some(shared) => shared.ask(shared.charges.guarded(scopes)).await,
            None => self.process.guarded(scopes).await.ok(),
        };
        answer.unwrap_or_else(|| vec![true; scopes.len()])
    }

    /// Forgets the state of a user's attempts, except those under way. Returns false while Redis does not answer.
    pub async fn clear(&self, user: &UserId) -> bool {
        let cleared = match &self.shared {
            Some(shared) => shared.ask(shared.charges.clear(user)).await.is_some(),
            None => true,
        };
        self.process.clear(user).await.is_ok() && cleared
    }

    /// Settles attempts whose end is known. Returns the guards that this closed, so that their owners can be notified;
    /// each closing is reported once. It runs after the caller has been answered.
    pub async fn settle(&self, ended: Vec<(Receipt, End)>) -> Vec<GuessScope> {
        let (in_redis, here): (Vec<_>, Vec<_>) =
            ended.into_iter().partition(|(receipt, _)| receipt.in_redis);
        let closed_here = self.process.settle(here).await.unwrap_or_default();
        match &self.shared {
            None => closed_here,
            Some(_) if in_redis.is_empty() => Vec::new(),
            // Without Redis all guards count as closed, so a guard that closes in the process is not reported.
            Some(shared) => {
                let closed = shared.ask(shared.charges.settle(in_redis)).await;
                closed.unwrap_or_default()
            }
        }
    }
}

impl Shared {
    /// Runs a call to Redis unless the breaker is open. Returns nothing if Redis is unreachable.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, StoreAway>>) -> Option<T> {
        if !self.breaker.lets_through(Instant::now()) {
            return None;
        }
        let asked = async {
            let answer = timeout(self.call_max, call).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(StoreAway(format!("no answer within {:?}", self.call_max)))
            });
            answer.inspect_err(|_| trace::failed("unavailable"))
        };
        let attributes = [("db.system.name", "redis")];
        let answer = trace::span(SpanKind::Client, "limiter", &attributes, asked).await;
        let changed = self.breaker.record(answer.is_ok(), Instant::now());
        let is_away = self.breaker.is_open();
        metrics::gauge!(LIMITER_REDIS_AWAY).set(if is_away { 1.0 } else { 0.0 });
        match &answer {
            Ok(_) if changed => tracing::info!("the limiter's Redis is back"),
            Ok(_) => {}
            Err(error) if changed => tracing::warn!(
                %error,
                "the limiter's Redis is away: limiting in this process, short credentials queue"
            ),
            Err(error) => tracing::debug!(%error, "a call to the limiter's Redis failed"),
        }
        if answer.is_err() {
            self.charges.renew_connection();
        }
        answer.ok()
    }
}
