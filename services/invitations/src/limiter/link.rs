//! The connection to Redis, or to a Redis Cluster. It is made anew if a new one may lead to another server.
//!
//! redis-rs connects again only when the network fails. It keeps a connection on which the server refuses every write
//! because it has become a replica, and one on which the server answers nothing; and once a server refuses the login,
//! it never tries again. But an address that follows the master (a virtual IP, a Kubernetes Service) leads only new
//! connections to the new master. In a cluster, redis-rs follows slots that move; while one of the nodes does not
//! answer, none may be heard.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};

/// The maximum time for connecting to a server, in milliseconds. Connecting goes on after the call that began it.
const CONNECT_MAX_MILLIS: u64 = 1_000;
/// The minimum time for which a new connection is kept, whatever it answers, in milliseconds: a server that stays
/// demoted is connected to at most five times a second.
const CONNECTIONS_APART_MILLIS: u64 = 200;
/// The maximum number of times that one call follows a moved slot of a cluster, or is tried again.
const REDIRECTS_MAX: u32 = 5;
/// The pause before such a try, in milliseconds, if there is one.
const REDIRECT_PAUSE_MILLIS: u64 = 5;
/// The maximum time for which sent data may stay unacknowledged before the connection is given up, in milliseconds.
/// Without it, a Redis whose machine has vanished goes unnoticed for a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX_MILLIS: u64 = 5_000;
/// The error codes of a server that is not the master, or not yet. Another server may be the master by now.
const NOT_THE_MASTER: [&str; 6] = [
    "READONLY",
    "MASTERDOWN",
    "LOADING",
    "NOREPLICAS",
    "UNBLOCKED",
    "CLUSTERDOWN",
];

/// One Redis behind an address, or a cluster.
pub(super) struct Link {
    servers: Servers,
    current: Mutex<Current>,
    /// True if the current connection is being made, or was made a moment ago.
    is_fresh: Arc<AtomicBool>,
}

struct Current {
    connection: Connection,
    number: u64,
    /// True if the connection must be replaced when it is next needed, so that the new one leads to the address's
    /// current target.
    is_stale: bool,
}

/// The settings for connecting.
enum Servers {
    One(Client, ConnectionManagerConfig),
    Cluster(ClusterClient),
}

#[derive(Clone)]
enum Connection {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    /// Makes a link to the Redis at `url`, or to the cluster of several nodes' URLs, comma-separated. Redis need not be
    /// reachable yet. It must be called inside the async runtime.
    pub(super) fn new(url: &str, response_max: Duration) -> RedisResult<Self> {
        let servers = Servers::of(url, response_max)?;
        let connection = servers.connect()?;
        let is_fresh = Arc::new(AtomicBool::new(true));
        tokio::spawn(make(connection.clone(), Arc::clone(&is_fresh)));
        Ok(Self {
            servers,
            current: Mutex::new(Current {
                connection,
                number: 0,
                is_stale: false,
            }),
            is_fresh,
        })
    }

    /// Sends all calls at once to the current master. Returns one answer for each. The connection is replaced if it
    /// leads to no master.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        calls: Vec<Cmd>,
    ) -> RedisResult<Vec<RedisResult<T>>> {
        let (number, connection) = self.connection();
        let answers = connection.ask(calls).await;
        let is_stale = match &answers {
            Ok(answers) => answers
                .iter()
                .any(|answer| answer.as_ref().is_err_and(leads_nowhere)),
            Err(error) => leads_nowhere(error),
        };
        if is_stale {
            let mut current = self.lock();
            current.is_stale |= current.number == number;
        }
        answers
    }

    /// Marks the connection on which a call was not answered in time for replacement, unless it was made a moment ago.
    pub(super) fn leave_the_silent(&self) {
        if !self.is_fresh.load(Ordering::Acquire) {
            self.lock().is_stale = true;
        }
    }

    fn connection(&self) -> (u64, Connection) {
        let mut current = self.lock();
        if current.is_stale && !self.is_fresh.swap(true, Ordering::AcqRel) {
            // Only the settings could make it fail, and those have not changed.
            if let Ok(connection) = self.servers.connect() {
                current.number += 1;
                current.is_stale = false;
                current.connection = connection;
            }
            tokio::spawn(make(current.connection.clone(), Arc::clone(&self.is_fresh)));
        }
        (current.number, current.connection.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers {
    fn of(url: &str, response_max: Duration) -> RedisResult<Self> {
        let connect_max = Duration::from_millis(CONNECT_MAX_MILLIS);
        let nodes: Vec<&str> = url
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .collect();
        if let [node] = nodes.as_slice() {
            let settings = ConnectionManagerConfig::new()
                .set_number_of_retries(0)
                .set_connection_timeout(Some(connect_max))
                .set_response_timeout(Some(response_max));
            let address = node.into_connection_info()?.set_tcp_settings(tcp());
            return Ok(Self::One(Client::open(address)?, settings));
        }
        let client = ClusterClient::builder(nodes)
            .connection_timeout(connect_max)
            .response_timeout(response_max)
            .retries(REDIRECTS_MAX)
            .min_retry_wait(REDIRECT_PAUSE_MILLIS)
            .max_retry_wait(REDIRECT_PAUSE_MILLIS)
            .tcp_settings(tcp());
        Ok(Self::Cluster(client.build()?))
    }

    /// Begins to connect, or prepares to.
    fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::One(client, settings) => Connection::One(
                ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?,
            ),
            Self::Cluster(client) => Connection::Cluster(
                client.get_pending_async_connection_with_config(ClusterConfig::new()),
            ),
        })
    }
}

impl Connection {
    async fn ask<T: FromRedisValue>(self, calls: Vec<Cmd>) -> RedisResult<Vec<RedisResult<T>>> {
        let cluster = match self {
            Self::One(connection) => {
                let mut pipeline = Pipeline::with_capacity(calls.len());
                for call in calls {
                    pipeline.add_command(call);
                }
                return query(pipeline, connection).await;
            }
            Self::Cluster(cluster) => cluster,
        };
        // Each call is sent alone: if a slot moves, redis-rs would repeat a whole pipeline, and charge again what was
        // charged already.
        let asked = calls.into_iter().map(|call| {
            let mut cluster = cluster.clone();
            async move {
                let answer = cluster.req_packed_command(&call).await;
                answer.and_then(|value| Ok(T::from_redis_value(value.extract_error()?)?))
            }
        });
        // All are waited for, because sent calls have been charged.
        Ok(join_all(asked).await)
    }
}

async fn query<T: FromRedisValue>(
    mut pipeline: Pipeline,
    mut connection: impl ConnectionLike,
) -> RedisResult<Vec<RedisResult<T>>> {
    pipeline.ignore_errors().query_async(&mut connection).await
}

/// Connects, even if the call that asked for it has been given up.
async fn make(connection: Connection, is_fresh: Arc<AtomicBool>) {
    let mut ping = Pipeline::new();
    ping.cmd("PING");
    let answer: RedisResult<Vec<RedisResult<Value>>> = match connection {
        Connection::One(connection) => query(ping, connection).await,
        Connection::Cluster(connection) => query(ping, connection).await,
    };
    if let Err(error) = answer {
        tracing::debug!(%error, "a new connection to the limiter's Redis failed");
    }
    tokio::time::sleep(Duration::from_millis(CONNECTIONS_APART_MILLIS)).await;
    is_fresh.store(false, Ordering::Release);
}

/// Returns settings with which small calls leave at once, and a vanished machine is noticed.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_millis(UNACKNOWLEDGED_MAX_MILLIS));
    settings
}

/// Returns true if a new connection may do better. After other network errors redis-rs connects again by itself, and a
/// server's other answers are about the command.
fn leads_nowhere(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => is_not_the_master(error),
        _ => !error.is_io_error() || error.is_timeout(),
    }
}

/// Returns true for the answers of [`NOT_THE_MASTER`]. Before Redis 7, a script wraps them in an ERR.
fn is_not_the_master(error: &RedisError) -> bool {
    let wrapped = |code: &&str| {
        error
            .detail()
            .is_some_and(|detail| detail.contains(&format!(" -{code} ")))
    };
    NOT_THE_MASTER
        .iter()
        .any(|code| error.code() == Some(code) || wrapped(code))
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    #[test]
    fn r10_answers_of_a_server_that_is_not_the_master_are_known() {
        for (answer, expected) in [
            (
                "-READONLY You can't write against a read only replica.",
                true,
            ),
            (
                "-ERR Error running script (call to f_1): @user_script:23: @user_script: 23: \
                 -READONLY You can't write against a read only replica. ",
                true,
            ),
            ("-MASTERDOWN Link with MASTER is down.", true),
            ("-LOADING Redis is loading the dataset in memory", true),
            ("-NOREPLICAS Not enough good replicas to write.", true),
            ("-UNBLOCKED force unblock from blocking operation", true),
            ("-CLUSTERDOWN The cluster is down", true),
            (
                "-OOM command not allowed when used memory > 'maxmemory'.",
                false,
            ),
            ("-BUSY Redis is busy running a script.", false),
            ("-NOSCRIPT No matching script. Please use EVAL.", false),
            ("-MOVED 3999 127.0.0.1:6381", false),
            ("-ERR unknown limiter operation", false),
        ] {
            let value = parse_redis_value(format!("{answer}\r\n").as_bytes()).unwrap();
            let error = value.extract_error().unwrap_err();
            assert_eq!(is_not_the_master(&error), expected, "{answer}");
        }
    }
}
