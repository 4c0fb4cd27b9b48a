//! The limiter's state in Redis: one script, one key a call, all calls of a round trip in one pipeline.

use std::{fmt, sync::Arc, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use homeroom_kit::{
    clock::{SharedClock, micros},
    keys::KeyRing,
};
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisResult, Script, ServerErrorKind, aio::ConnectionManagerConfig, io::tcp::TcpSettings,
};

use super::{
    Effect,
    budget::{
        ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, Rate,
        UNDER_WAY_MICROS,
    },
    cluster::{Call, Nodes, slot_of},
    link::Link,
    state::Reply,
    store::{Command, Operation, Store, StoreAway, Subject},
};

/// What every key of the limiter starts with. The number is that of the values' format, so that
/// processes of two versions side by side do not misread each other.
pub const KEY_PREFIX: &str = "homeroom:limiter:2:";
/// The tag of the MAC that stands for a subject in its key.
const MAC_TAG: &str = "limiter-key";
/// Bytes of the MAC that are kept in a key: 128 bits, no two subjects meet.
const KEY_MAC_BYTES: usize = 16;
/// How long connecting may take, in milliseconds. It goes on beyond the call that began it.
const CONNECT_MAX_MILLIS: u64 = 1_000;
/// How long an answer may take before the connection is given up, in milliseconds.
const RESPONSE_MAX_MILLIS: u64 = 500;
/// How long one node of a cluster may take to answer, in milliseconds: two round trips are less than a
/// call may take in all, so that those whose nodes answer are not given up with those whose nodes do not.
const NODE_MAX_MILLIS: u64 = 20;
/// How long sent data may stay unacknowledged before the connection is given up, in milliseconds.
/// Without it a Redis whose machine vanished is missed for a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX_MILLIS: u64 = 5_000;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SCRIPT_TEXT));
const SCRIPT_TEXT: &str = include_str!("gcra.lua");

/// Redis, or a Redis Cluster, as the limiter's store. Connects on first use and again by itself.
pub struct RedisStore {
    connection: Connection,
    keys: Arc<KeyRing>,
    /// In tests the time that scripts go by; otherwise Redis's own.
    test_clock: Option<SharedClock>,
    /// How long one node of a cluster may take.
    node_max: Duration,
}

enum Connection {
    Single(Box<Link>),
    Cluster(Arc<Nodes>),
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// The Redis at `url` (`redis://host:port/database`); several, comma-separated, are nodes of a
    /// cluster. Must be called within the async runtime. Needs no Redis to be there yet.
    ///
    /// # Errors
    /// When an address cannot be understood.
    pub fn new(url: &str, keys: Arc<KeyRing>) -> Result<Self, StoreAway> {
        Self::patient(url, keys, Duration::from_millis(RESPONSE_MAX_MILLIS))
    }

    /// The same, with `response_max` instead of half a second until a connection is given up.
    ///
    /// # Errors
    /// When an address cannot be understood.
    pub fn patient(
        url: &str,
        keys: Arc<KeyRing>,
        response_max: Duration,
    ) -> Result<Self, StoreAway> {
        let nodes: Vec<&str> = url
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .collect();
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(Duration::from_millis(CONNECT_MAX_MILLIS)))
            .set_response_timeout(Some(response_max));
        let connection = match nodes.as_slice() {
            [node] => {
                let address = node.into_connection_info().map_err(away)?;
                let client = Client::open(address.set_tcp_settings(tcp())).map_err(away)?;
                Connection::Single(Box::new(Link::new(client, settings).map_err(away)?))
            }
            nodes => {
                let seeds: RedisResult<Vec<ConnectionInfo>> = nodes
                    .iter()
                    .map(|node| Ok(node.into_connection_info()?.set_tcp_settings(tcp())))
                    .collect();
                Connection::Cluster(Arc::new(Nodes::new(seeds.map_err(away)?, settings)))
            }
        };
        Ok(Self {
            connection,
            keys,
            test_clock: None,
            node_max: Duration::from_millis(NODE_MAX_MILLIS),
        })
    }

    /// Whether one node's address can be understood.
    #[must_use]
    pub fn check_url(node: &str) -> bool {
        node.into_connection_info().is_ok()
    }

    /// Makes scripts go by `clock` instead of Redis's own: for tests only.
    #[must_use]
    pub fn with_test_clock(mut self, clock: SharedClock) -> Self {
        self.test_clock = Some(clock);
        self
    }

    /// Lets each node of a cluster take up to `node_max` instead of [`NODE_MAX_MILLIS`].
    pub(super) fn set_node_max(&mut self, node_max: Duration) {
        self.node_max = node_max;
    }

    /// Connects anew before the next call, where calls went unanswered: the address may lead elsewhere by
    /// now. The nodes of a cluster stay where they are.
    pub(super) fn leave_the_silent(&self) {
        if let Connection::Single(link) = &self.connection {
            link.leave_the_silent();
        }
    }

    /// The key of a subject: its kind in clear, and a MAC in place of its value.
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

    fn call(&self, command: &Command, script: ScriptForm) -> Call {
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
        Call {
            slot: slot_of(&key),
            command: call,
        }
    }

    async fn send(&self, calls: Vec<Call>) -> RedisResult<Vec<RedisResult<Raw>>> {
        match &self.connection {
            Connection::Single(link) => {
                let mut pipeline = Pipeline::with_capacity(calls.len());
                for call in calls {
                    pipeline.add_command(call.command);
                }
                link.ask_master(&mut pipeline).await
            }
            // A pipeline for each node, all at once, is the same one round trip. Nothing depends on
            // the order of calls to different nodes.
            Connection::Cluster(nodes) => nodes.send(self.node_max, &calls).await,
        }
    }
}

/// Small calls leave at once, and a machine that vanished is noticed.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_millis(UNACKNOWLEDGED_MAX_MILLIS));
    settings
}

/// How a call names the script.
#[derive(Clone, Copy)]
enum ScriptForm {
    Hash,
    Text,
}

/// What the script answers.
type Raw = (i64, i64, i64, i64, i64);

#[async_trait]
impl Store for RedisStore {
    async fn run(&self, commands: &[Command]) -> Result<Vec<Option<Reply>>, StoreAway> {
        let calls = commands
            .iter()
            .map(|command| self.call(command, ScriptForm::Hash))
            .collect();
        let mut answers = self.send(calls).await.map_err(away)?;
        // A Redis that has not seen the script (new, flushed, promoted) is sent its text, once.
        let unknown: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer.as_ref().is_err_and(is_unknown_script))
            .map(|(index, _)| index)
            .collect();
        if !unknown.is_empty() {
            let calls = unknown
                .iter()
                .filter_map(|index| commands.get(*index))
                .map(|command| self.call(command, ScriptForm::Text))
                .collect();
            for (index, answer) in unknown
                .into_iter()
                .zip(self.send(calls).await.map_err(away)?)
            {
                if let Some(slot) = answers.get_mut(index) {
                    *slot = answer;
                }
            }
        }
        let mut failure = None;
        let replies: Vec<Option<Reply>> = answers
            .into_iter()
            .map(|answer| match answer {
                Ok(raw) => Some(reply(raw)),
                Err(error) => {
                    failure.get_or_insert(error);
                    None
                }
            })
            .collect();
        match failure {
            Some(error) if replies.iter().all(Option::is_none) => Err(away(error)),
            Some(error) => {
                tracing::debug!(%error, "a node of the limiter's Redis does not answer");
                Ok(replies)
            }
            None => Ok(replies),
        }
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

/// An operation as the script's words: its name, and the arguments in the script's order.
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
        Operation::ChargeUser(budget) => (
            "charge_user",
            vec![
                budget.rate.burst,
                budget.rate.interval_micros,
                budget.daily,
                DAY_MICROS,
                UNDER_WAY_MICROS,
            ],
        ),
        Operation::RefundUser {
            mark,
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
                vec![mark, effect, effects_max, DAY_MICROS, UNDER_WAY_MICROS],
            )
        }
        Operation::KeepUser { mark } => ("keep_user", vec![mark, DAY_MICROS, UNDER_WAY_MICROS]),
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
