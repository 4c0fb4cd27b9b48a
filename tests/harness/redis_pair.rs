//! A separate Redis for one test, behind one address, which can be killed, stopped, flushed and
//! replaced by its replica.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{FromRedisValue, RedisResult};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::free_address;

/// The time within which a server must serve or follow, on a busy machine.
const PATIENCE_SECONDS: u64 = 30;

/// One server, which keeps nothing on disk.
struct Server {
    address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    async fn start() -> Self {
        let mut server = Self {
            address: free_address(),
            child: None,
        };
        server.begin().await;
        server
    }

    async fn begin(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.address.port().to_string()])
            .args(["--repl-diskless-sync-delay", "0", "--dir", "/"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server: tests/run installs it");
        self.child = Some(child);
        eventually("Redis serves", async || {
            self.ask::<String>(&["PING"]).await.is_ok()
        })
        .await;
    }

    async fn follow(&self, primary: &Self) {
        let port = primary.address.port().to_string();
        self.ask::<String>(&["REPLICAOF", "127.0.0.1", &port])
            .await
            .unwrap();
        eventually("the replica follows", async || {
            self.says("master_link_status:up").await
        })
        .await;
    }

    /// Returns true if the server's replication status has this line.
    async fn says(&self, line: &str) -> bool {
        let replication: String = self.ask(&["INFO", "replication"]).await.unwrap();
        replication.contains(line)
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .status();
        assert!(sent.unwrap().success());
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(format!("redis://{}", self.address))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A primary and its replica, and an address that leads to the primary. All end when dropped.
///
/// As behind a virtual IP or a Kubernetes Service, open connections stay with the server to which
/// they were made; only new ones lead to the new primary.
pub struct RedisPair {
    address: SocketAddr,
    upstream: watch::Sender<SocketAddr>,
    accepted: Arc<AtomicUsize>,
    primary: Server,
    replica: Server,
    forwarding: tokio::task::JoinHandle<()>,
}

impl RedisPair {
    /// Starts both; returns when the replica follows.
    pub async fn start() -> Self {
        let (primary, replica) = (Server::start().await, Server::start().await);
        replica.follow(&primary).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, follows) = watch::channel(primary.address);
        let accepted = Arc::<AtomicUsize>::default();
        Self {
            address,
            upstream,
            accepted: accepted.clone(),
            primary,
            replica,
            forwarding: tokio::spawn(forward(listener, follows, accepted)),
        }
    }

    /// Returns the number of connections that were made to the address so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Sends one command to the primary itself.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.primary.ask(words).await.unwrap()
    }

    /// Returns the URL, which stays the same.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends SIGKILL: all data of the primary is lost.
    pub fn kill(&mut self) {
        self.primary.kill();
    }

    /// Starts the primary again, empty. The replica then loses its data too.
    pub async fn start_again(&mut self) {
        self.primary.begin().await;
    }

    /// Sends SIGSTOP: connections stay open, and nothing is answered.
    pub fn stop(&self) {
        self.primary.signal("STOP");
    }

    /// Sends SIGCONT: it continues with everything that it received meanwhile.
    pub fn resume(&self) {
        self.primary.signal("CONT");
    }

    /// Deletes all data and all scripts.
    pub async fn flush(&self) {
        for words in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
            self.primary.ask::<String>(words).await.unwrap();
        }
    }

    /// Starts the former primary again, as the replica.
    pub async fn renew_replica(&mut self) {
        self.replica.begin().await;
        self.replica.follow(&self.primary).await;
    }

    /// Kills the primary and promotes its replica, which has the data that it had received by then.
    pub async fn promote(&mut self) {
        self.primary.kill();
        self.replica
            .ask::<String>(&["REPLICAOF", "NO", "ONE"])
            .await
            .unwrap();
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.lead_to_the_primary();
    }

    /// Swaps the roles of the two, as before maintenance: nothing is lost, both keep running, and
    /// open connections stay with the demoted server. The address leads to it too, until
    /// [`Self::lead_to_the_primary`].
    pub async fn fail_over(&mut self) {
        self.primary.ask::<String>(&["FAILOVER"]).await.unwrap();
        eventually("the two have changed places", async || {
            self.replica.says("role:master").await
                && self.primary.says("master_link_status:up").await
        })
        .await;
        std::mem::swap(&mut self.primary, &mut self.replica);
    }

    /// Stops the primary (SIGSTOP) and promotes the replica. Open connections stay with the stopped
    /// one.
    pub async fn replace_the_stopped(&mut self) {
        self.stop();
        self.replica
            .ask::<String>(&["REPLICAOF", "NO", "ONE"])
            .await
            .unwrap();
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.lead_to_the_primary();
    }

    /// Directs new connections of the address to the primary.
    pub fn lead_to_the_primary(&self) {
        self.upstream.send_replace(self.primary.address);
    }
}

impl Drop for RedisPair {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// Forwards each connection to the current target of the address, until either side closes it.
async fn forward(
    listener: TcpListener,
    upstream: watch::Receiver<SocketAddr>,
    accepted: Arc<AtomicUsize>,
) {
    while let Ok((mut near, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        let address = *upstream.borrow();
        tokio::spawn(async move {
            if let Ok(mut far) = TcpStream::connect(address).await {
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            }
        });
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(PATIENCE_SECONDS), wait)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE_SECONDS} s: {what}"));
}
