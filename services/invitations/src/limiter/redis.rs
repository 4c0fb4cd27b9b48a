//! The limiter's state in Redis: one script, one key a call, all calls of a round trip in one pipeline.

use std::{fmt, sync::Arc, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use homeroom_kit::{
    clock::{SharedClock, micros},
    keys::KeyRing,
};
use redis::{
    Client, Cmd, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError, RedisResult, Script,
    ServerErrorKind,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

use super::{
    budget::{ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, GUARD_MICROS, IN_FLIGHT_SLOT_MICROS},
    budgeted::{Command, Operation, Store, StoreAway, Subject},
    state::Reply,
};

/// What every key of the limiter starts with.
pub const KEY_PREFIX: &str = "homeroom:limiter:";
/// The tag of the MAC that stands for a subject in its key.
const MAC_TAG: &str = "limiter-key";
/// Bytes of the MAC that are kept in a key: 128 bits, no two subjects meet.
const KEY_MAC_BYTES: usize = 16;
/// How long connecting may take, in milliseconds. It goes on beyond the call that began it.
const CONNECT_MAX_MILLIS: u64 = 1_000;
/// How long an answer may take before the connection is given up, in milliseconds.
const RESPONSE_MAX_MILLIS: u64 = 500;
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
}

#[derive(Clone)]
enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
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
        let nodes: Vec<&str> = url
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .collect();
        let connection = match nodes.as_slice() {
            [node] => {
                let settings = ConnectionManagerConfig::new()
                    .set_number_of_retries(0)
                    .set_connection_timeout(Some(Duration::from_millis(CONNECT_MAX_MILLIS)))
                    .set_response_timeout(Some(Duration::from_millis(RESPONSE_MAX_MILLIS)));
                let address = node.into_connection_info().map_err(away)?;
                let client = Client::open(address.set_tcp_settings(tcp())).map_err(away)?;
                Connection::Single(
                    ConnectionManager::new_lazy_with_config(client, settings).map_err(away)?,
                )
            }
            nodes => {
                let client = ClusterClient::builder(nodes.iter().copied())
                    .connection_timeout(Duration::from_millis(CONNECT_MAX_MILLIS))
                    .response_timeout(Duration::from_millis(RESPONSE_MAX_MILLIS))
                    .tcp_settings(tcp())
                    .build()
                    .map_err(away)?;
                Connection::Cluster(
                    client.get_pending_async_connection_with_config(ClusterConfig::new()),
                )
            }
        };
        Ok(Self {
            connection,
            keys,
            test_clock: None,
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

    fn call(&self, command: &Command, script: ScriptForm) -> Cmd {
        let mut call = Cmd::new();
        match script {
            ScriptForm::Hash => call.arg("EVALSHA").arg(SCRIPT.get_hash()),
            ScriptForm::Text => call.arg("EVAL").arg(SCRIPT_TEXT),
        };
        let now = self.test_clock.as_ref().map(|clock| micros(clock.now()));
        let (name, arguments) = words(command.operation);
        call.arg(1)
            .arg(self.key(&command.subject))
            .arg(name)
            .arg(now.map_or_else(String::new, |now| now.to_string()))
            .arg(arguments);
        call
    }

    async fn send(&self, calls: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Raw>>> {
        match self.connection.clone() {
            Connection::Single(connection) => pipeline(connection, calls).await,
            Connection::Cluster(connection) => Ok(together(&connection, calls).await),
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
type Raw = (i64, i64, i64, i64);

async fn pipeline(
    mut connection: impl ConnectionLike,
    calls: Vec<Cmd>,
) -> RedisResult<Vec<RedisResult<Raw>>> {
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        pipeline.add_command(call);
    }
    pipeline.ignore_errors().query_async(&mut connection).await
}

/// On a cluster a pipeline would need one slot; calls sent together share each node's connection
/// instead, which is the same one round trip. Nothing depends on their order.
async fn together(connection: &ClusterConnection, calls: Vec<Cmd>) -> Vec<RedisResult<Raw>> {
    join_all(calls.into_iter().map(|call| {
        let mut connection = connection.clone();
        async move { call.query_async(&mut connection).await }
    }))
    .await
}

#[async_trait]
impl Store for RedisStore {
    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway> {
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
        answers
            .into_iter()
            .map(|answer| answer.map(reply).map_err(away))
            .collect()
    }
}

fn reply((allowed, count, retry_micros, mark): Raw) -> Reply {
    Reply {
        allowed: allowed == 1,
        count,
        retry_micros,
        mark,
    }
}

/// An operation as the script's words: its name, and the arguments in the script's order.
fn words(operation: Operation) -> (&'static str, Vec<i64>) {
    match operation {
        Operation::ChargeUser(budget) => (
            "charge_user",
            vec![
                budget.rate.burst,
                budget.rate.interval_micros,
                budget.daily,
                DAY_MICROS,
            ],
        ),
        Operation::RefundUser { mark } => ("refund_user", vec![mark, DAY_MICROS]),
        Operation::ChargeBucket(rate) => (
            "charge_bucket",
            vec![
                ADDRESS_ADMISSIONS_WINDOW_MICROS,
                rate.burst,
                rate.interval_micros,
            ],
        ),
        Operation::RefundBucket { mark, rate } => (
            "refund_bucket",
            vec![ADDRESS_ADMISSIONS_WINDOW_MICROS, mark, rate.interval_micros],
        ),
        Operation::AddToBucket { most } => (
            "add_to_bucket",
            vec![ADDRESS_ADMISSIONS_WINDOW_MICROS, most],
        ),
        Operation::EnterGuard { in_flight_max } => (
            "enter_guard",
            vec![GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, in_flight_max],
        ),
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
