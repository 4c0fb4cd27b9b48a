//! The connection to Redis, or to a Redis Cluster. It is made anew after each failure.
//!
//! redis-rs connects again only when the network fails. It keeps a connection on which the server refuses every write
//! because it has become a replica, and one on which the server answers nothing; and once a server refuses the login,
//! it never tries again. But an address that follows the master (a virtual IP, a Kubernetes Service) leads only new
//! connections to the new master. In a cluster, redis-rs follows slots that move; while one of the nodes does not
//! answer, none may be heard.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisResult,
    aio::MultiplexedConnection, cluster::ClusterClient, cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::sleep,
};

/// The minimum time between two connections, in milliseconds: a server that stays demoted is connected to at most five
/// times a second.
const CONNECTIONS_APART_MILLIS: u64 = 200;
/// The minimum time for which an answer is waited for until a connection is given up, in milliseconds. It also applies
/// while a connection is made, for which a call's own time may be too short.
const RESPONSE_MIN_MILLIS: u64 = 500;
/// The maximum number of times that one call follows a moved slot of a cluster, or is tried again.
const REDIRECTS_MAX: u32 = 5;
/// The pause before such a try, in milliseconds, if there is one.
const REDIRECT_PAUSE_MILLIS: u64 = 5;

/// One Redis behind an address, or a cluster.
pub(super) struct Link {
    connection: watch::Receiver<Option<Connection>>,
    has_failed: Arc<Notify>,
    /// The task that connects; it ends with the link.
    _connecting: JoinSet<()>,
}

/// A connection, over which any number of calls go at once.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The settings for connecting.
enum Servers {
    One(Client, AsyncConnectionConfig),
    Cluster(ClusterClient),
}

impl Link {
    /// Returns a link to the Redis at `url`, or to the cluster of several nodes' URLs, comma-separated. Redis need not
    /// be reachable yet. It must be called inside the async runtime.
    pub(super) fn new(url: &str, call_max: Duration) -> RedisResult<Self> {
        let servers = Servers::of(
            url,
            call_max.max(Duration::from_millis(RESPONSE_MIN_MILLIS)),
        )?;
        let (sender, connection) = watch::channel(None);
        let has_failed = Arc::new(Notify::new());
        let mut connecting = JoinSet::new();
        connecting.spawn(keep_connected(servers, sender, Arc::clone(&has_failed)));
        Ok(Self {
            connection,
            has_failed,
            _connecting: connecting,
        })
    }

    /// Returns the last connection, and waits for the first one.
    pub(super) async fn connection(&self) -> Option<Connection> {
        let mut connection = self.connection.clone();
        let last = connection.wait_for(Option::is_some).await.ok()?;
        last.clone()
    }

    /// Has a new connection made, unless one was made a moment ago: then after that moment.
    pub(super) fn renew(&self) {
        self.has_failed.notify_one();
    }
}

/// Connects now, and again after each failure. The last connection stays until there is another one.
async fn keep_connected(
    servers: Servers,
    current: watch::Sender<Option<Connection>>,
    has_failed: Arc<Notify>,
) {
    loop {
        match servers.connect().await {
            Ok(connection) => drop(current.send_replace(Some(connection))),
            Err(error) => tracing::debug!(%error, "connecting to the limiter's Redis failed"),
        }
        sleep(Duration::from_millis(CONNECTIONS_APART_MILLIS)).await;
        has_failed.notified().await;
    }
}

impl Servers {
    fn of(url: &str, response_max: Duration) -> RedisResult<Self> {
        // Small calls leave at once.
        let tcp = TcpSettings::default().set_nodelay(true);
        let nodes: Vec<&str> = url
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .collect();
        if let [node] = nodes.as_slice() {
            let address = node.into_connection_info()?.set_tcp_settings(tcp);
            let settings = AsyncConnectionConfig::new().set_response_timeout(Some(response_max));
            return Ok(Self::One(Client::open(address)?, settings));
        }
        let client = ClusterClient::builder(nodes)
            .response_timeout(response_max)
            .retries(REDIRECTS_MAX)
            .min_retry_wait(REDIRECT_PAUSE_MILLIS)
            .max_retry_wait(REDIRECT_PAUSE_MILLIS)
            .tcp_settings(tcp);
        Ok(Self::Cluster(client.build()?))
    }

    async fn connect(&self) -> RedisResult<Connection> {
        Ok(match self {
            Self::One(client, settings) => Connection::One(
                client
                    .get_multiplexed_async_connection_with_config(settings)
                    .await?,
            ),
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}
