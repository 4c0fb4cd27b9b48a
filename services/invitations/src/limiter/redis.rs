//! The limiter's state in Redis: one script, one key for each call, all calls of a round trip at once.

use std::{fmt, sync::Arc, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use homeroom_kit::{
    clock::{SharedClock, micros},
    keys::KeyRing,
};
use redis::{Cmd, ErrorKind, IntoConnectionInfo as _, RedisError, Script, ServerErrorKind};

use super::{
    Effect,
    budget::{
        ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, Rate,
        UNDER_WAY_MICROS,
    },
    link::Link,
    state::Reply,
    store::{Command, Operation, Store, StoreAway, Subject},
};

/// The prefix of every key of the limiter. Its number is the version of the values' format, so that processes of two
/// versions side by side do not misread each other's values.
pub const KEY_PREFIX: &str = "homeroom:limiter:3:";
/// The tag of the MAC that replaces a subject in its key.
const MAC_TAG: &str = "limiter-key";
/// The number of bytes of the MAC in a key: with 128 bits, two subjects do not collide.
const KEY_MAC_BYTES: usize = 16;
/// The maximum time for an answer before the connection is given up, in milliseconds.
const RESPONSE_MAX_MILLIS: u64 = 500;
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SCRIPT_TEXT));
const SCRIPT_TEXT: &str = include_str!("gcra.lua");

/// Redis, or a Redis Cluster, as the limiter's store. It connects on first use and reconnects by itself.
pub struct RedisStore {
    link: Link,
    keys: Arc<KeyRing>,
    /// The clock that scripts use in tests; otherwise they use Redis's own.
    test_clock: Option<SharedClock>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Makes the store for the Redis at `url` (`redis://host:port/database`); several URLs, comma-separated, are nodes
    /// of a cluster. It must be called inside the async runtime. Redis need not be reachable yet.
    ///
    /// # Errors
    /// An address cannot be parsed.
    pub fn new(url: &str, keys: Arc<KeyRing>) -> Result<Self, StoreAway> {
        Self::patient(url, keys, Duration::from_millis(RESPONSE_MAX_MILLIS))
    }

    /// Does the same, with `response_max` instead of half a second until a connection is given up.
    ///
    /// # Errors
    /// An address cannot be parsed.
    pub fn patient(
        url: &str,
        keys: Arc<KeyRing>,
        response_max: Duration,
    ) -> Result<Self, StoreAway> {
        Ok(Self {
            link: Link::new(url, response_max).map_err(away)?,
            keys,
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

    /// Makes a new connection before the next call, if a call went unanswered: the address may lead elsewhere by now,
    /// or another node may have the keys.
    pub(super) fn leave_the_silent(&self) {
        self.link.leave_the_silent();
    }

    /// Returns the key of a subject: its kind in clear text, and a MAC in place of its value.
    fn key(&self, subject: &Subject) -> String {
        let (kind, value) = match subject {
            Subject::User(user) => ("user", user.to_string()),
            Subject::Address(address) => ("address", address.to_string()),
            Subject::Organization(organization) => ("organization", organization.to_string()),
            Subject::Service => ("service", String::new()),
            Subject::CallingService(service) => ("calling-service", service.clone()),
        };
        let data = format!("{kind}\n{value}");
        let mac = self.keys.mac(self.keys.current(), MAC_TAG, data.as_bytes());
        mac.iter()
            .take(KEY_MAC_BYTES)
            .fold(format!("{KEY_PREFIX}{kind}:"), |key, byte| {
                format!("{key}{byte:02x}")
            })
    }

    fn call(&self, command: &Command, script: ScriptForm) -> Cmd {
        let mut call = Cmd::new();
        match script {
            ScriptForm::Hash => call.arg("EVALSHA").arg(SCRIPT.get_hash()),
            ScriptForm::Text => call.arg("EVAL").arg(SCRIPT_TEXT),
        };
        let now = self.test_clock.as_ref().map(|clock| micros(clock.now()));
        let (name, arguments) = words(command.operation);
        let key = self.key(&command.subject);
        call.arg(1)
            .arg(&key)
            .arg(name)
            .arg(now.map_or_else(String::new, |now| now.to_string()))
            .arg(arguments);
        call
    }
}

/// The form in which a call names the script.
#[derive(Clone, Copy)]
enum ScriptForm {
    Hash,
    Text,
}

/// The answer of the script.
type Raw = (i64, i64, i64, i64, i64);

#[async_trait]
impl Store for RedisStore {
    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway> {
        let calls = commands
            .iter()
            .map(|command| self.call(command, ScriptForm::Hash))
            .collect();
        let mut answers = self.link.ask::<Raw>(calls).await.map_err(away)?;
        // A Redis that has not seen the script (new, flushed, promoted) is sent its text, once.
        let (unknown, calls): (Vec<_>, Vec<_>) = answers
            .iter_mut()
            .zip(commands)
            .filter(|(answer, _)| answer.as_ref().is_err_and(is_unknown_script))
            .map(|(answer, command)| (answer, self.call(command, ScriptForm::Text)))
            .unzip();
        if !unknown.is_empty() {
            let known = self.link.ask(calls).await.map_err(away)?;
            for (slot, answer) in unknown.into_iter().zip(known) {
                *slot = answer;
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.map(reply).map_err(away))
            .collect()
    }
}

fn reply((allowed, count, retry_micros, mark, settled): Raw) -> Reply {
    Reply {
        allowed: allowed == 1,
        count,
        retry_micros,
        mark,
        settled,
    }
}

/// Returns an operation in the script's words: its name, and the arguments in the script's order.
fn words(operation: Operation) -> (&'static str, Vec<i64>) {
    let bucket = |rate: Rate, argument: i64| {
        vec![
            ADDRESS_ADMISSIONS_WINDOW_MICROS,
            UNDER_WAY_MICROS,
            rate.burst,
            rate.interval_micros,
            argument,
        ]
    };
    match operation {
        Operation::ChargeUser { guess, budget } => (
            "charge_user",
            vec![
                DAY_MICROS,
                UNDER_WAY_MICROS,
                budget.rate.burst,
                budget.rate.interval_micros,
                budget.daily,
                guess.0,
                budget.repeats.burst,
                budget.repeats.interval_micros,
            ],
        ),
        Operation::RefundUser {
            mark,
            guess,
            repeats,
            effect,
            effects_max,
        } => {
            let effect = match effect {
                Effect::Nothing => 0,
                Effect::Filed => 1,
                Effect::Admitted => 2,
            };
            (
                "refund_user",
                vec![
                    DAY_MICROS,
                    UNDER_WAY_MICROS,
                    mark,
                    guess.0,
                    repeats.interval_micros,
                    effect,
                    effects_max,
                ],
            )
        }
        Operation::KeepUser { mark, guess } => (
            "keep_user",
            vec![DAY_MICROS, UNDER_WAY_MICROS, mark, guess.0],
        ),
        Operation::ClearUser => ("clear_user", Vec::new()),
        Operation::ChargeBucket { rate, held } => ("charge_bucket", bucket(rate, i64::from(held))),
        Operation::PeekBucket(rate) => ("peek_bucket", bucket(rate, 0)),
        Operation::RefundBucket { mark, rate } => ("refund_bucket", bucket(rate, mark)),
        Operation::KeepBucket { mark, rate } => ("keep_bucket", bucket(rate, mark)),
        Operation::AddToBucket { most, rate } => ("add_to_bucket", bucket(rate, most)),
        Operation::EnterGuard { in_flight_max } => (
            "enter_guard",
            vec![GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, in_flight_max],
        ),
        Operation::PeekGuard => ("peek_guard", vec![GUARD_MICROS, IN_FLIGHT_SLOT_MICROS]),
        Operation::LeaveGuard { mark } => (
            "leave_guard",
            vec![GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, mark],
        ),
        Operation::KeepGuard { mark, rate } => (
            "keep_guard",
            vec![
                GUARD_MICROS,
                IN_FLIGHT_SLOT_MICROS,
                mark,
                rate.burst,
                rate.interval_micros,
            ],
        ),
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn away(error: impl fmt::Display) -> StoreAway {
    StoreAway(error.to_string())
}
