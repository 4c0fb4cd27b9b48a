//! The limiter's counters in Redis: one script, one key for each call.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use homeroom_kit::{
    clock::{SharedClock, micros},
    keys::KeyRing,
};
use redis::{IntoConnectionInfo as _, Script};

use super::{
    attempt::Effect,
    budget::{
        ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, IN_FLIGHT_SLOT_MICROS, Rate, UNDER_WAY_MICROS,
    },
    counter::{Counter, Reply, Step},
    link::{Connection, Link},
};

/// The prefix of every key of the limiter. Its number is the version of the values' format, so that processes of two
/// versions side by side do not misread each other's values.
pub const KEY_PREFIX: &str = "homeroom:limiter:3:";
/// The tag of the MAC that replaces a name in its key.
const MAC_TAG: &str = "limiter-key";
/// The number of bytes of the MAC in a key: with 128 bits, two names do not collide.
const KEY_MAC_BYTES: usize = 16;

/// The script, with its constants.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let constants = format!(
        "local DAY, UNDER_WAY, WINDOW, SLOT = {DAY_MICROS}, {UNDER_WAY_MICROS}, \
         {ADDRESS_ADMISSIONS_WINDOW_MICROS}, {IN_FLIGHT_SLOT_MICROS}\n"
    );
    Script::new(&(constants + include_str!("gcra.lua")))
});

/// The error if the store could not be asked; its steps may or may not have been taken.
#[derive(Debug, thiserror::Error)]
#[error("the limiter's store is away: {0}")]
pub struct StoreAway(pub(super) String);

impl From<redis::RedisError> for StoreAway {
    fn from(error: redis::RedisError) -> Self {
        Self(error.to_string())
    }
}

/// Redis, or a Redis Cluster. It connects at once and reconnects by itself.
pub struct Redis {
    link: Link,
    keys: Arc<KeyRing>,
    pub(super) call_max: Duration,
    /// The clock that scripts use in tests; otherwise they use Redis's own.
    test_clock: Option<SharedClock>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// Returns the Redis at `url` (`redis://host:port/database`); several URLs, comma-separated, are nodes of a
    /// cluster. Each call waits for at most `call_max`. It must be called inside the async runtime. Redis need not be
    /// reachable yet.
    ///
    /// # Errors
    /// An address cannot be parsed.
    pub fn new(url: &str, keys: Arc<KeyRing>, call_max: Duration) -> Result<Self, StoreAway> {
        Ok(Self {
            link: Link::new(url, call_max)?,
            keys,
            call_max,
            test_clock: None,
        })
    }

    /// Returns true if one node's address can be parsed.
    #[must_use]
    pub fn check_url(node: &str) -> bool {
        node.into_connection_info().is_ok()
    }

    /// Makes scripts use `clock` instead of Redis's own, for tests only.
    #[must_use]
    pub fn with_test_clock(mut self, clock: SharedClock) -> Self {
        self.test_clock = Some(clock);
        self
    }

    /// Has a new connection made, because a call failed: the address may lead elsewhere by now, or another node may
    /// have the keys.
    pub(super) fn renew_connection(&self) {
        self.link.renew();
    }

    /// Takes a step. If Redis does not know the script (it is new, flushed or promoted), redis-rs sends it.
    pub(super) async fn run(&self, counter: &Counter, step: Step) -> Result<Reply, StoreAway> {
        let (kind, numbers) = limits(counter);
        let (step, mark, effect) = words(step);
        let now = self.test_clock.as_ref().map(|clock| micros(clock.now()));
        let mut call = SCRIPT.key(self.key(counter));
        call.arg(kind)
            .arg(step)
            .arg(now.map_or_else(String::new, |now| now.to_string()))
            .arg(mark)
            .arg(effect)
            .arg(numbers);
        let connection = self.link.connection().await;
        let (allowed, count, retry_micros, mark, settled) = match connection {
            Some(Connection::One(mut connection)) => call.invoke_async(&mut connection).await?,
            Some(Connection::Cluster(mut connection)) => call.invoke_async(&mut connection).await?,
            None => return Err(StoreAway("there is no connection".to_owned())),
        };
        Ok(Reply {
            allowed,
            count,
            retry_micros,
            mark,
            settled,
        })
    }

    /// Returns the key of a counter: its kind in clear text, and a MAC in place of its name.
    fn key(&self, counter: &Counter) -> String {
        let (kind, name) = counter.name();
        let data = format!("{kind}\n{name}");
        let mac = self.keys.mac(self.keys.current(), MAC_TAG, data.as_bytes());
        mac.iter()
            .take(KEY_MAC_BYTES)
            .fold(format!("{KEY_PREFIX}{kind}:"), |key, byte| {
                format!("{key}{byte:02x}")
            })
    }
}

/// Returns the script's word for the kind of a counter, and the numbers of its limit in the script's order.
fn limits(counter: &Counter) -> (&'static str, Vec<i64>) {
    let rate = |rate: &Rate| [rate.burst, rate.interval_micros];
    let with = |limit, number| [&rate(limit)[..], &[number]].concat();
    match counter {
        Counter::User { guess, budget, .. } => {
            let (failures, repeats) = (rate(&budget.rate), rate(&budget.repeats));
            let numbers = [
                &failures[..],
                &repeats,
                &[budget.daily, budget.refunds, guess.0],
            ];
            ("user", numbers.concat())
        }
        Counter::Address {
            rate,
            additions_max,
            ..
        } => ("bucket", with(rate, *additions_max)),
        Counter::CallingService { rate, .. } => ("bucket", with(rate, 0)),
        Counter::Guard {
            rate,
            in_flight_max,
            ..
        } => ("guard", with(rate, *in_flight_max)),
    }
}

/// Returns a step in the script's words: its name, its mark and its effect.
fn words(step: Step) -> (&'static str, i64, i64) {
    match step {
        Step::Charge => ("charge", 0, 0),
        Step::Spend => ("spend", 0, 0),
        Step::Peek => ("peek", 0, 0),
        Step::Refund { mark, effect } => {
            let effect = match effect {
                Effect::Nothing => 0,
                Effect::Filed => 1,
                Effect::Admitted => 2,
            };
            ("refund", mark, effect)
        }
        Step::Keep { mark } => ("keep", mark, 0),
        Step::Add => ("add", 0, 0),
        Step::Clear => ("clear", 0, 0),
    }
}
