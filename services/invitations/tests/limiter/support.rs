//! Limiters under test, with a clock of their own and nothing shared between tests.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_invitations::limiter::{
    Attempt, Budgets, Dimension, Effect, End, GuessHash, GuessScope, Limiter, Receipt, Refused,
    redis::{KEY_PREFIX, Redis},
};
use homeroom_kit::{
    clock::{ManualClock, from_micros},
    keys::KeyRing,
    random::SystemRandomness,
};

use super::redis_servers::RedisCluster;

/// The variable with the address of the suite's Redis.
const REDIS_URL_VARIABLE: &str = "HOMEROOM_TEST_REDIS_URL";
/// The maximum time of a call: the suite is about rules, not about the speed of the machine it runs on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// An address behind which many users are.
pub(crate) const SCHOOL: &str = "203.0.113.7";
/// The refusal of a user, or at an address, whose last failure was just now.
pub(crate) const BY_USER: (Dimension, u64) = (Dimension::User, 12 * 60);
pub(crate) const BY_ADDRESS: (Dimension, u64) = (Dimension::Address, 120);

/// The end of a failure.
pub(crate) const FAILED: End = End::Keep { found: false };

pub(crate) fn redis_url() -> String {
    std::env::var(REDIS_URL_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{REDIS_URL_VARIABLE} is not set: start a Redis and set it, \
             for example to redis://127.0.0.1:6379/"
        )
    })
}

/// Returns a key ring of the test's own, which makes its keys in Redis its own: nothing is shared or flushed.
pub(crate) fn key_ring() -> Arc<KeyRing> {
    Arc::new(KeyRing::generate(&SystemRandomness).unwrap())
}

/// Returns the key under which the limiter keeps a counter.
pub(crate) fn key_of(keys: &KeyRing, kind: &str, value: &str) -> String {
    let data = format!("{kind}\n{value}");
    let mac = keys.mac(keys.current(), "limiter-key", data.as_bytes());
    mac.iter()
        .take(16)
        .fold(format!("{KEY_PREFIX}{kind}:"), |key, byte| {
            format!("{key}{byte:02x}")
        })
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Memory,
    Redis,
    /// Three masters.
    Cluster,
}

/// A limiter of one form, and the clock that it uses.
pub(crate) struct Bench {
    pub(crate) limiter: Limiter,
    clock: Arc<ManualClock>,
    /// The cluster, which ends with the last bench on it.
    _cluster: Option<Arc<RedisCluster>>,
}

impl Bench {
    pub(crate) async fn new(form: Form, budgets: Budgets) -> Self {
        let cluster = match form {
            Form::Cluster => Some(RedisCluster::shared().await),
            Form::Memory | Form::Redis => None,
        };
        let bench = match (form, &cluster) {
            (Form::Memory, _) => {
                let clock = manual_clock();
                Self {
                    limiter: Limiter::in_process(budgets, clock.clone()),
                    clock,
                    _cluster: None,
                }
            }
            (_, None) => Self::on(&redis_url(), key_ring(), budgets),
            (_, Some(cluster)) => Self::on(&cluster.url(), key_ring(), budgets),
        };
        Self {
            _cluster: cluster,
            ..bench
        }
    }

    /// Returns a limiter on the Redis at `url` or the cluster of several nodes, with a patience that no call exceeds.
    pub(crate) fn on(url: &str, keys: Arc<KeyRing>, budgets: Budgets) -> Self {
        assert_eq!(budgets.problems(), Vec::<String>::new());
        let clock = manual_clock();
        let redis = Redis::new(url, keys, PATIENCE).unwrap();
        let redis = redis.with_test_clock(clock.clone());
        Self {
            limiter: Limiter::on_redis(redis, budgets, clock.clone()),
            clock,
            _cluster: None,
        }
    }

    /// Returns a limiter with these budgets, changed so.
    pub(crate) async fn with(
        form: Form,
        mut budgets: Budgets,
        change: impl FnOnce(&mut Budgets),
    ) -> Self {
        change(&mut budgets);
        Self::new(form, budgets).await
    }

    pub(crate) async fn with_defaults(form: Form) -> Self {
        Self::new(form, Budgets::default()).await
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    pub(crate) async fn charge(&self, attempt: &Attempt) -> Result<Receipt, Refused> {
        let attempts = std::slice::from_ref(attempt);
        self.charge_all(attempts).await.remove(0)
    }

    pub(crate) async fn charge_all(&self, attempts: &[Attempt]) -> Vec<Result<Receipt, Refused>> {
        let verdicts = self.limiter.charge(attempts).await;
        assert_eq!(verdicts.len(), attempts.len());
        assert!(
            !self.limiter.redis_is_away(),
            "this would test the fallback"
        );
        verdicts
    }

    /// Attempts, and returns the dimension and the seconds of the refusal.
    pub(crate) async fn refusal(&self, attempt: &Attempt) -> (Dimension, u64) {
        let refused = self.charge(attempt).await.unwrap_err();
        assert_eq!(refused.retry_after.subsec_nanos(), 0, "whole seconds");
        (refused.dimension, refused.retry_after.as_secs())
    }

    /// Attempts, and returns true if that passes; it is then under way.
    pub(crate) async fn allows(&self, attempt: &Attempt) -> bool {
        self.charge(attempt).await.is_ok()
    }

    /// Returns the number of these attempts that pass.
    pub(crate) async fn allowed_of(&self, attempts: &[Attempt]) -> usize {
        self.charge_all(attempts).await.iter().flatten().count()
    }

    /// Attempts, gives the charge back, and returns true if a short credential would have queued.
    pub(crate) async fn queues(&self, attempt: &Attempt) -> bool {
        let receipt = self.charge(attempt).await.unwrap();
        let queues = receipt.guess_guarded;
        self.settle(receipt, End::GiveBack(Effect::Nothing)).await;
        queues
    }

    /// Attempts `count` times, each with this end; all must be allowed.
    pub(crate) async fn attempt(&self, attempt: &Attempt, count: usize, end: End) {
        for number in 1..=count {
            let verdict = self.charge(attempt).await;
            let receipt = verdict.unwrap_or_else(|refused| panic!("{number}: {refused:?}"));
            self.settle(receipt, end).await;
        }
    }

    pub(crate) async fn fail(&self, attempt: &Attempt, count: usize) {
        self.attempt(attempt, count, FAILED).await;
    }

    pub(crate) async fn give_back(&self, attempt: &Attempt, count: usize, effect: Effect) {
        self.attempt(attempt, count, End::GiveBack(effect)).await;
    }

    /// Fails once, and returns the guard that this closed, if it did.
    pub(crate) async fn closes(&self, attempt: &Attempt) -> Option<GuessScope> {
        let receipt = self.charge(attempt).await.unwrap();
        self.settle(receipt, FAILED).await
    }

    /// Spends the default budget of `address`: ten users fail five times, of which two are free.
    pub(crate) async fn spend_address(&self, address: &str) {
        for number in 0..10 {
            let attempt = user(&format!("spender-{number}")).at(address);
            self.fail(&attempt, 5).await;
        }
    }

    /// Settles one attempt. Returns the guard that this closed, if it did.
    pub(crate) async fn settle(&self, receipt: Receipt, end: End) -> Option<GuessScope> {
        self.limiter.settle(vec![(receipt, end)]).await.pop()
    }

    pub(crate) async fn give_back_all(&self, receipts: Vec<Receipt>, effect: Effect) {
        let end = End::GiveBack(effect);
        let ended = receipts.into_iter().map(|receipt| (receipt, end)).collect();
        assert_eq!(self.limiter.settle(ended).await, []);
    }
}

pub(crate) fn manual_clock() -> Arc<ManualClock> {
    // The time is not on a boundary of any slot or window.
    Arc::new(ManualClock::new(from_micros(1_790_000_001_234_567)))
}

/// Returns an attempt by `id` without an address, with another text each time.
pub(crate) fn user(id: &str) -> Attempt {
    Attempt {
        user: UserId::parse(id).unwrap(),
        guess: GuessHash::NONE,
        address: None,
        organization: None,
        may_name_none: false,
        organization_seats: None,
        calling_service: "learning-platform".to_owned(),
        vouched: false,
    }
}

pub(crate) trait AttemptWith: Sized {
    fn with(self, change: impl FnOnce(&mut Attempt)) -> Attempt;

    /// Sets the same typed text each time.
    fn typing(self, text: u8) -> Attempt {
        self.with(|attempt| attempt.guess = GuessHash::of([text; 32]))
    }

    fn at(self, address: &str) -> Attempt {
        self.with(|attempt| attempt.address = Some(address.parse().unwrap()))
    }

    fn naming(self, organization: &str) -> Attempt {
        self.with(|attempt| {
            attempt.organization = Some(OrganizationId::parse(organization).unwrap());
        })
    }

    fn vouched(self) -> Attempt {
        self.with(|attempt| attempt.vouched = true)
    }
}

impl AttemptWith for Attempt {
    fn with(mut self, change: impl FnOnce(&mut Attempt)) -> Attempt {
        change(&mut self);
        self
    }
}

pub(crate) fn organization(id: &str) -> GuessScope {
    GuessScope::Organization(OrganizationId::parse(id).unwrap())
}

/// Returns budgets under which one user may fail as often as a test likes, and no failure is free of the address.
pub(crate) fn without_user_limit() -> Budgets {
    Budgets {
        user_burst: 10_000,
        user_hourly: 10_000,
        user_daily: 10_000,
        user_refunds_daily_max: 10_000,
        user_free_of_address: 0,
        ..Budgets::default()
    }
}

/// Makes a test of each function, over memory, over Redis and over a Redis Cluster.
macro_rules! over_every_form {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Form::Memory).await })+
        }
        mod redis {
            $(#[tokio::test] async fn $name() { super::$name(super::Form::Redis).await })+
        }
        mod cluster {
            $(#[tokio::test] async fn $name() { super::$name(super::Form::Cluster).await })+
        }
    };
}
pub(crate) use over_every_form;
