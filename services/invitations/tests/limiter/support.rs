//! Limiters under test, with a clock of their own and nothing shared between tests.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use chrono::TimeDelta;
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_invitations::limiter::{
    Attempt, Budgets, Dimension, Effect, GuessHash, GuessScope, Limiter, Receipt, Settlement,
    Verdict,
    fallback::GuardedLimiter,
    memory::MemoryLimiter,
    redis::{KEY_PREFIX, RedisStore},
};
use homeroom_kit::{
    clock::{ManualClock, from_micros},
    keys::KeyRing,
    random::SystemRandomness,
};

use super::masters::Cluster;

/// The variable with the address of the suite's Redis.
pub(crate) const REDIS_URL_VARIABLE: &str = "HOMEROOM_TEST_REDIS_URL";
/// The maximum time of a call: the suite is about rules, not about the speed of the machine it runs on.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// Returns the key under which the limiter keeps a subject.
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
    pub(crate) limiter: Arc<dyn Limiter>,
    clock: Arc<ManualClock>,
    redis: Option<Arc<GuardedLimiter>>,
    /// The cluster, which ends with the last bench on it.
    _cluster: Option<Arc<Cluster>>,
}

impl Bench {
    pub(crate) fn new(form: Form, budgets: Budgets) -> Self {
        assert_eq!(budgets.problems(), Vec::<String>::new());
        let clock = manual_clock();
        match form {
            Form::Memory => Self {
                limiter: Arc::new(MemoryLimiter::new(budgets, clock.clone())),
                clock,
                redis: None,
                _cluster: None,
            },
            Form::Redis => Self::on(&redis_url(), budgets, clock, None),
            Form::Cluster => {
                let cluster = Cluster::shared();
                Self::on(&cluster.url(), budgets, clock, Some(cluster))
            }
        }
    }

    fn on(
        url: &str,
        budgets: Budgets,
        clock: Arc<ManualClock>,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        let store = RedisStore::patient(url, key_ring(), PATIENCE)
            .unwrap()
            .with_test_clock(clock.clone());
        let limiter =
            Arc::new(GuardedLimiter::new(store, budgets, clock.clone()).with_call_max(PATIENCE));
        Self {
            limiter: limiter.clone(),
            clock,
            redis: Some(limiter),
            _cluster: cluster,
        }
    }

    pub(crate) fn advance(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    pub(crate) async fn charge(&self, attempt: &Attempt) -> Outcome {
        self.charge_all(std::slice::from_ref(attempt))
            .await
            .remove(0)
    }

    pub(crate) async fn charge_all(&self, attempts: &[Attempt]) -> Vec<Outcome> {
        let verdicts = self.limiter.charge(attempts).await;
        assert_eq!(verdicts.len(), attempts.len());
        if let Some(redis) = &self.redis {
            assert!(!redis.redis_is_away(), "this would test the fallback");
        }
        verdicts.into_iter().map(Outcome::from).collect()
    }

    /// Attempts and fails `count` times; all must be allowed.
    pub(crate) async fn fail(&self, attempt: &Attempt, count: usize) {
        for number in 1..=count {
            let outcome = self.charge(attempt).await;
            let Outcome::Allowed { receipt, .. } = outcome else {
                panic!("failure {number} of {count}: {outcome:?}");
            };
            self.keep(receipt).await;
        }
    }

    /// Spends the default budget of `address`: ten users fail five times, of which two are free.
    pub(crate) async fn spend_address(&self, address: &str) {
        for number in 0..10 {
            let attempt = user(&format!("spender-{number}")).at(address);
            self.fail(&attempt, 5).await;
        }
    }

    /// Keeps one failure. Returns the guard that it closed, if it did.
    pub(crate) async fn keep(&self, receipt: Receipt) -> Option<GuessScope> {
        let settlement = Settlement::Keep {
            receipt,
            found: false,
        };
        self.limiter.settle(vec![settlement]).await.pop()
    }

    pub(crate) async fn give_back(&self, receipt: Receipt, effect: Effect) {
        self.give_back_all(vec![receipt], effect).await;
    }

    pub(crate) async fn give_back_all(&self, receipts: Vec<Receipt>, effect: Effect) {
        let settlements = receipts
            .into_iter()
            .map(|receipt| Settlement::GiveBack { receipt, effect })
            .collect();
        assert_eq!(self.limiter.settle(settlements).await, []);
    }
}

pub(crate) fn manual_clock() -> Arc<ManualClock> {
    // The time is not on a boundary of any slot or window.
    Arc::new(ManualClock::new(from_micros(1_790_000_001_234_567)))
}

/// A verdict that can be compared, except for its receipt.
pub(crate) enum Outcome {
    Allowed {
        receipt: Receipt,
        guess_guarded: bool,
    },
    Refused(Dimension, u64),
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed {
                receipt,
                guess_guarded,
            } => Self::Allowed {
                receipt,
                guess_guarded,
            },
            Verdict::Refused {
                dimension,
                retry_after,
            } => {
                assert_eq!(retry_after.subsec_nanos(), 0, "whole seconds");
                Self::Refused(dimension, retry_after.as_secs())
            }
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed { guess_guarded, .. } => {
                write!(formatter, "allowed, guarded: {guess_guarded}")
            }
            Self::Refused(dimension, seconds) => write!(formatter, "{dimension:?} for {seconds} s"),
        }
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn receipt(self) -> Receipt {
        match self {
            Self::Allowed { receipt, .. } => receipt,
            refused @ Self::Refused(..) => panic!("{refused:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn is_guarded(&self) -> bool {
        match self {
            Self::Allowed { guess_guarded, .. } => *guess_guarded,
            refused @ Self::Refused(..) => panic!("{refused:?}"),
        }
    }

    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// Returns the dimension and the seconds of a refusal.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (Dimension, u64) {
        match self {
            Self::Refused(dimension, seconds) => (*dimension, *seconds),
            allowed @ Self::Allowed { .. } => panic!("{allowed:?}"),
        }
    }
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

pub(crate) trait AttemptWith {
    /// Sets the same typed text each time.
    fn typing(self, text: u8) -> Attempt;
    fn at(self, address: &str) -> Attempt;
    fn naming(self, organization: &str, seats: u32) -> Attempt;
    fn vouched(self) -> Attempt;
}

impl AttemptWith for Attempt {
    fn typing(self, text: u8) -> Attempt {
        Attempt {
            guess: GuessHash::of([text; 32]),
            ..self
        }
    }

    fn at(self, address: &str) -> Attempt {
        let address: IpAddr = address.parse().unwrap();
        Attempt {
            address: Some(address),
            ..self
        }
    }

    fn naming(self, organization: &str, seats: u32) -> Attempt {
        Attempt {
            organization: Some(OrganizationId::parse(organization).unwrap()),
            organization_seats: Some(seats),
            ..self
        }
    }

    fn vouched(self) -> Attempt {
        Attempt {
            vouched: true,
            ..self
        }
    }
}

pub(crate) fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
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
