//! A Redis Cluster of three masters on loopback, started by the test and ended with it.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use redis::{Connection, FromRedisValue, RedisResult};

/// The number of masters.
const MASTERS: usize = 3;
/// The number of slots of a Redis Cluster.
const SLOTS: usize = 16_384;
/// The maximum time for a cluster to form on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time for which a server tries a manual failover. Redis gives up after 5 seconds, for example because the other
/// masters refuse a second vote within two node timeouts, and must then be asked again.
const FAILOVER_TRIES_FOR: Duration = Duration::from_secs(6);
/// The maximum number of starts of a master until it finds both its ports free.
const STARTS_MAX: usize = 5;

/// One master.
struct Master {
    child: Child,
    port: u16,
    bus_port: u16,
    id: String,
}

/// Three masters, each with a third of the slots. They are killed when this is dropped.
pub(crate) struct Cluster {
    masters: Vec<Master>,
    /// The replica of the first master, once there is one.
    replica: Option<Master>,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Returns the cluster that runs already, or else a new one.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// Starts a cluster. Returns when every master knows the others and all slots are served.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Self {
            masters: (0..MASTERS).map(|_| Master::start(&folder)).collect(),
            replica: None,
            folder,
        };
        for (index, master) in cluster.masters.iter().enumerate() {
            let (first, end) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS);
            let (first, last) = (first.to_string(), (end - 1).to_string());
            master.ask::<String>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            let epoch = (index + 1).to_string();
            master.ask::<String>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
        }
        for other in &cluster.masters[1..] {
            let (port, bus_port) = (other.port.to_string(), other.bus_port.to_string());
            cluster.ask::<String>(0, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]);
        }
        let expected = [
            "cluster_state:ok",
            "cluster_slots_ok:16384",
            "cluster_known_nodes:3",
        ];
        wait_until("the cluster has formed", || {
            (0..MASTERS).all(|index| {
                let information: String = cluster.ask(index, &["CLUSTER", "INFO"]);
                expected.iter().all(|line| information.contains(line))
            })
        });
        cluster
    }

    /// Returns the masters' URLs, joined by commas.
    pub(crate) fn url(&self) -> String {
        let urls: Vec<String> = self.masters.iter().map(Master::url).collect();
        urls.join(",")
    }

    /// Sends one command to the master of this index.
    pub(crate) fn ask<T: FromRedisValue>(&self, index: usize, words: &[&str]) -> T {
        self.masters[index].ask(words)
    }

    /// Returns the slot of a key.
    pub(crate) fn slot(&self, key: &str) -> usize {
        self.ask(0, &["CLUSTER", "KEYSLOT", key])
    }

    /// Returns the index of the master that was given this slot at the start.
    pub(crate) fn first_owner(slot: usize) -> usize {
        (0..MASTERS)
            .find(|index| slot < (index + 1) * SLOTS / MASTERS)
            .unwrap()
    }

    /// Moves a slot and its keys, as `redis-cli --cluster reshard` does, and calls `halfway` in the middle.
    pub(crate) fn move_slot(&self, slot: usize, from: usize, to: usize, halfway: impl FnOnce()) {
        let slot = slot.to_string();
        let (source, target) = (&self.masters[from], &self.masters[to]);
        target.ask::<String>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source.id]);
        source.ask::<String>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target.id]);
        halfway();
        let port = target.port.to_string();
        loop {
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            source.ask::<String>(&words);
        }
        for master in [target, source] {
            master.ask::<String>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target.id]);
        }
    }

    /// Adds a replica of the first master. Returns when it follows.
    pub(crate) fn add_replica(&mut self) {
        let (first, replica) = (&self.masters[0], Master::start(&self.folder));
        let (port, bus_port) = (first.port.to_string(), first.bus_port.to_string());
        replica.ask::<String>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]);
        wait_until("the replica knows its master", || {
            let replicate = ["CLUSTER", "REPLICATE", &first.id];
            replica.try_ask::<String>(&replicate).is_ok()
        });
        wait_until("the replica follows", || {
            replica.says("master_link_status:up") && self.masters[1].nodes().contains(&replica.id)
        });
        self.replica = Some(replica);
    }

    /// Makes the first master change places with its replica. Returns when all know it. Both go on.
    pub(crate) fn fail_over(&mut self) {
        let [first, others @ ..] = self.masters.as_mut_slice() else {
            panic!("there are masters");
        };
        let replica = self.replica.as_mut().unwrap();
        let mut ask_again_at = Instant::now();
        let demoted = format!("{} 127.0.0.1:{}", first.id, first.port);
        wait_until("the two have changed places", || {
            let is_master = replica.says("role:master");
            if !is_master && Instant::now() >= ask_again_at {
                replica.ask::<String>(&["CLUSTER", "FAILOVER"]);
                ask_again_at = Instant::now() + FAILOVER_TRIES_FOR;
            }
            is_master
                && first.says("master_link_status:up")
                && others.iter().all(|other| {
                    let nodes = other.nodes();
                    let mut lines = nodes.lines();
                    lines.any(|line| line.starts_with(&demoted) && line.contains("slave"))
                })
        });
        std::mem::swap(first, replica);
    }

    /// Kills the first master, or makes it hang with its connections open. Returns when its replica has taken its
    /// place.
    pub(crate) fn lose_the_first(&mut self, signal: &str) {
        let id = self.masters[0].child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal, &id])
            .status();
        assert!(sent.unwrap().success());
        let replica = self.replica.as_ref().unwrap();
        wait_until("the replica has taken over", || {
            replica.says("role:master")
                && self.masters[1..].iter().all(|other| {
                    let information: String = other.ask(&["CLUSTER", "INFO"]);
                    information.contains("cluster_slots_ok:16384")
                })
        });
        self.masters[0] = self.replica.take().unwrap();
    }

    /// Kills one master. Returns when the others consider it dead.
    pub(crate) fn kill(&mut self, index: usize) {
        self.masters[index].end();
        let other = (index + 1) % MASTERS;
        wait_until("the dead master is missed", || {
            let information: String = self.ask(other, &["CLUSTER", "INFO"]);
            !information.contains("cluster_slots_ok:16384")
        });
    }
}

impl Master {
    /// Starts a master. Returns when it serves. A port that was free and is taken in the meantime costs another try.
    fn start(folder: &tempfile::TempDir) -> Self {
        (0..STARTS_MAX)
            .find_map(|_| Self::try_start(folder))
            .expect("a port that stays free")
    }

    fn try_start(folder: &tempfile::TempDir) -> Option<Self> {
        let mut master = Self::spawn(folder);
        let mut ended = false;
        wait_until("a master serves, or ends", || {
            ended = master.child.try_wait().unwrap().is_some();
            ended || master.try_ask::<String>(&["CLUSTER", "MYID"]).is_ok()
        });
        if ended {
            return None;
        }
        master.id = master.ask(&["CLUSTER", "MYID"]);
        Some(master)
    }

    fn spawn(folder: &tempfile::TempDir) -> Self {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, bus_port] = ports.map(|listener| listener.local_addr().unwrap().port());
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .args([
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus_port.to_string(),
            ])
            .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
            .args(["--cluster-node-timeout", "2000"])
            .args(["--cluster-require-full-coverage", "no"])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server: install Redis 7");
        Self {
            child,
            port,
            bus_port,
            id: String::new(),
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn connection(&self) -> RedisResult<Connection> {
        redis::Client::open(self.url())?.get_connection()
    }

    fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query(&mut self.connection()?)
    }

    fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Returns true if the server reports this line about replication.
    fn says(&self, line: &str) -> bool {
        let replication: String = self.ask(&["INFO", "replication"]);
        replication.contains(line)
    }

    /// Returns a line for each node that the server knows.
    fn nodes(&self) -> String {
        self.ask(&["CLUSTER", "NODES"])
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.end();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
