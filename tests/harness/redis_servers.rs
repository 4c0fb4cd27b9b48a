//! Separate Redis servers for one test, which can be killed, stopped, flushed and replaced: a primary with its replica
//! behind one address, and a cluster.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{FromRedisValue, RedisResult};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, watch},
};

use crate::free_address;

/// The time within which a server must serve or follow, on a busy machine.
const PATIENCE_SECONDS: u64 = 60;
/// The time for which a server tries a planned failover. Redis gives up after 5 seconds, for example because a master
/// refuses its vote, and must then be asked again.
const FAILOVER_TRIES_FOR: Duration = Duration::from_secs(6);
/// The number of masters of a cluster.
const MASTERS: usize = 3;
/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// One server, which is killed when dropped.
struct Server {
    address: SocketAddr,
    /// The port by which the nodes of a cluster talk, if it is one.
    bus_port: Option<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Server {
    async fn start(is_node: bool) -> Self {
        let mut server = Self {
            address: free_address(),
            bus_port: is_node.then(|| free_address().port().to_string()),
            folder: tempfile::tempdir().unwrap(),
            child: None,
        };
        server.begin().await;
        server
    }

    async fn begin(&mut self) {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.port(), "--repl-diskless-sync-delay", "0"])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(bus_port) = &self.bus_port {
            command
                .args(["--cluster-enabled", "yes", "--cluster-port", bus_port])
                .args(["--cluster-node-timeout", "2000"])
                .args(["--cluster-replica-validity-factor", "0"])
                .args(["--cluster-require-full-coverage", "no"]);
        }
        let child = command.spawn();
        self.child = Some(child.expect("redis-server: tests/run installs it"));
        eventually("Redis serves", async || {
            self.try_ask::<String>(&["PING"]).await.is_ok()
        })
        .await;
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    async fn follow(&self, primary: &Self) {
        self.ask::<String>(&["REPLICAOF", "127.0.0.1", &primary.port()])
            .await;
        eventually("the replica follows", async || self.follows().await).await;
    }

    async fn follows(&self) -> bool {
        let up = "master_link_status:up";
        self.says(&["INFO", "replication"], up).await
    }

    async fn leads(&self) -> bool {
        self.says(&["INFO", "replication"], "role:master").await
    }

    /// Returns true if the server's answer contains a text.
    async fn says(&self, words: &[&str], text: &str) -> bool {
        self.ask::<String>(words).await.contains(text)
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .status();
        assert!(sent.unwrap().success());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(format!("redis://{}", self.address))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let answer = self.try_ask(words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
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
        let (primary, replica) = (Server::start(false).await, Server::start(false).await);
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
        self.primary.ask(words).await
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
            self.ask::<String>(words).await;
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
        self.promote_replica().await;
    }

    /// Stops the primary (SIGSTOP) and promotes the replica. Open connections stay with the stopped
    /// one.
    pub async fn replace_the_stopped(&mut self) {
        self.stop();
        self.promote_replica().await;
    }

    async fn promote_replica(&mut self) {
        self.replica
            .ask::<String>(&["REPLICAOF", "NO", "ONE"])
            .await;
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.lead_to_the_primary();
    }

    /// Swaps the roles of the two, as before maintenance: nothing is lost, both keep running, and
    /// open connections stay with the demoted server. The address leads to it too, until
    /// [`Self::lead_to_the_primary`].
    pub async fn fail_over(&mut self) {
        self.ask::<String>(&["FAILOVER"]).await;
        eventually("the two have changed places", async || {
            self.replica.leads().await && self.primary.follows().await
        })
        .await;
        std::mem::swap(&mut self.primary, &mut self.replica);
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

/// A cluster of three masters, each with a third of the slots. They end when dropped.
pub struct RedisCluster {
    masters: Vec<Server>,
    /// The replica of the first master, once there is one, and later the former master.
    replica: Option<Server>,
}

impl RedisCluster {
    /// Returns the cluster that runs already, or else a new one.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RedisCluster>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// Starts a cluster. Returns when every master knows the others and all slots are served.
    pub async fn start() -> Self {
        let mut masters = Vec::new();
        for index in 0..MASTERS {
            let master = Server::start(true).await;
            let (first, end) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS);
            let (first, last) = (first.to_string(), (end - 1).to_string());
            master
                .ask::<String>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                .await;
            let epoch = (index + 1).to_string();
            master
                .ask::<String>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .await;
            masters.push(master);
        }
        let cluster = Self {
            masters,
            replica: None,
        };
        for other in &cluster.masters[1..] {
            other.meet(&cluster.masters[0]).await;
        }
        eventually("the cluster has formed", async || {
            let mut knowing = 0;
            for master in &cluster.masters {
                let knows = master.says(&["CLUSTER", "INFO"], "cluster_known_nodes:3");
                knowing += usize::from(knows.await && master.serves_all().await);
            }
            knowing == MASTERS
        })
        .await;
        cluster
    }

    /// Returns the masters' URLs, joined by commas.
    #[must_use]
    pub fn url(&self) -> String {
        let url = |master: &Server| format!("redis://{}/", master.address);
        self.masters.iter().map(url).collect::<Vec<_>>().join(",")
    }

    /// Sends one command to the master of this index.
    pub async fn ask<T: FromRedisValue>(&self, index: usize, words: &[&str]) -> T {
        self.masters[index].ask(words).await
    }

    /// Returns the slot of a key.
    pub async fn slot(&self, key: &str) -> usize {
        self.ask(0, &["CLUSTER", "KEYSLOT", key]).await
    }

    /// Returns the index of the master that was given this slot at the start.
    #[must_use]
    pub fn first_owner(slot: usize) -> usize {
        (slot * MASTERS + MASTERS - 1) / SLOTS
    }

    /// Moves a slot and its keys, as `redis-cli --cluster reshard` does.
    pub async fn move_slot(&self, slot: usize, from: usize, to: usize) {
        let slot = slot.to_string();
        let (source, target) = (&self.masters[from], &self.masters[to]);
        let (source_id, target_id) = (source.id().await, target.id().await);
        target
            .ask::<String>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id])
            .await;
        source
            .ask::<String>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id])
            .await;
        loop {
            let keys: Vec<String> = source
                .ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])
                .await;
            if keys.is_empty() {
                break;
            }
            let port = target.port();
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            source.ask::<String>(&words).await;
        }
        for master in [target, source] {
            master
                .ask::<String>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id])
                .await;
        }
    }

    /// Adds a replica of the first master. Returns when it follows.
    pub async fn add_replica(&mut self) {
        let (first, replica) = (&self.masters[0], Server::start(true).await);
        replica.meet(first).await;
        let (id, first_id) = (replica.id().await, first.id().await);
        eventually("the replica knows its master", async || {
            let replicate = ["CLUSTER", "REPLICATE", &first_id];
            replica.try_ask::<String>(&replicate).await.is_ok()
        })
        .await;
        eventually("the replica follows, and all know each other", async || {
            let mut know = replica.follows().await;
            for other in &self.masters[1..] {
                let other_id = other.id().await;
                know &= other.says(&["CLUSTER", "NODES"], &id).await
                    && replica.says(&["CLUSTER", "NODES"], &other_id).await;
            }
            know
        })
        .await;
        self.replica = Some(replica);
    }

    /// Puts the replica in the place of the first master, which agrees (`FAILOVER`), or is killed or stopped by this
    /// signal. Returns when the others know it.
    pub async fn replace_the_first(&mut self, how: &str) {
        let replica = self.replica.as_mut().expect("it was added");
        let [first, others @ ..] = self.masters.as_mut_slice() else {
            panic!("there are masters");
        };
        if how != "FAILOVER" {
            first.signal(how);
        }
        let id = replica.id().await;
        let mut ask_again_at = Instant::now();
        eventually("the replica has taken over", async || {
            if how == "FAILOVER" && Instant::now() >= ask_again_at && !replica.leads().await {
                replica.ask::<String>(&["CLUSTER", "FAILOVER"]).await;
                ask_again_at = Instant::now() + FAILOVER_TRIES_FOR;
            }
            let mut knowing = 0;
            for other in &*others {
                let nodes: String = other.ask(&["CLUSTER", "NODES"]).await;
                let is_master = |line: &str| line.starts_with(&id) && line.contains("master");
                knowing += usize::from(nodes.lines().any(is_master) && other.serves_all().await);
            }
            knowing == others.len() && replica.leads().await
        })
        .await;
        std::mem::swap(first, replica);
    }

    /// Kills one master. Returns when the others consider it dead.
    pub async fn kill(&mut self, index: usize) {
        self.masters[index].kill();
        let other = &self.masters[(index + 1) % MASTERS];
        eventually("the dead master is missed", async || {
            !other.serves_all().await
        })
        .await;
    }
}

impl Server {
    async fn meet(&self, other: &Self) {
        let (port, bus_port) = (other.port(), other.bus_port.as_ref().expect("a node"));
        self.ask::<String>(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port])
            .await;
    }

    async fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"]).await
    }

    /// Returns true if this node serves, and knows a live master of every slot.
    async fn serves_all(&self) -> bool {
        let information: String = self.ask(&["CLUSTER", "INFO"]).await;
        ["cluster_state:ok", "cluster_slots_ok:16384"]
            .iter()
            .all(|line| information.contains(line))
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
