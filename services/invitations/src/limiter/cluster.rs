//! The masters of a Redis Cluster, each with a connection of its own, so that one that does not answer
//! keeps nobody waiting but those whose keys it holds.
//!
//! redis-rs's own cluster connection is not used: while it recovers from a node that died, no call to
//! any other node goes on.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{join_all, select_ok},
};
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError,
    RedisResult, ServerErrorKind, Value, aio::ConnectionManagerConfig,
};
use tokio::time::timeout;

use super::link::Link;

/// Slots of a Redis Cluster.
const SLOTS: u16 = 16_384;
/// How often one call follows a slot that has moved.
const REDIRECTS_MAX: usize = 3;
/// How long the map of slots is left alone after it was read anew, in milliseconds.
const MAP_PAUSE_MILLIS: u64 = 200;
/// How long reading the map may take, in milliseconds.
const MAP_MAX_MILLIS: u64 = 2_000;

/// A node's host and port.
type Address = (String, u16);

/// A command, and the slot of its one key.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) slot: u16,
    pub(super) command: Cmd,
}

/// The slot of a key: CRC-16 (XMODEM) of it all, since no key of the limiter holds braces.
pub(super) fn slot_of(key: &str) -> u16 {
    let remainder = key.bytes().fold(0_u16, |remainder, byte| {
        (0..8).fold(remainder ^ (u16::from(byte) << 8), |remainder, _| {
            let shifted = remainder << 1;
            if remainder & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    });
    remainder % SLOTS
}

/// A cluster.
pub(super) struct Nodes {
    /// The nodes that were configured; also how to log in at those that are found.
    seeds: Vec<ConnectionInfo>,
    settings: ConnectionManagerConfig,
    state: Mutex<State>,
    /// The map is being read, or has just been.
    map_is_fresh: AtomicBool,
}

#[derive(Default)]
struct State {
    /// By the last slot of each range: its first, and who has it.
    ranges: BTreeMap<u16, (u16, Address)>,
    /// Slots that moved since the map was read.
    moved: HashMap<u16, Address>,
    links: HashMap<Address, Arc<Link>>,
}

impl fmt::Debug for Nodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Nodes").finish_non_exhaustive()
    }
}

/// A call on its way: its position, whom it goes to, and whether as a guest of a slot that is moving.
struct Routed {
    index: usize,
    address: Address,
    asking: bool,
}

impl Nodes {
    pub(super) fn new(seeds: Vec<ConnectionInfo>, settings: ConnectionManagerConfig) -> Self {
        Self {
            seeds,
            settings,
            state: Mutex::default(),
            map_is_fresh: AtomicBool::new(false),
        }
    }

    /// Sends each call to who has its slot, all at once, in one pipeline a node; each node has
    /// `node_max` to answer. One answer each.
    pub(super) async fn send<T: FromRedisValue>(
        self: &Arc<Self>,
        node_max: Duration,
        calls: &[Call],
    ) -> RedisResult<Vec<RedisResult<T>>> {
        if self.with(|state| state.ranges.is_empty()) {
            self.read_map().await?;
        }
        let mut answers: Vec<RedisResult<T>> =
            calls.iter().map(|_| Err(failure("no node"))).collect();
        let mut routed: Vec<Routed> = calls
            .iter()
            .enumerate()
            .filter_map(|(index, call)| {
                Some(Routed {
                    index,
                    address: self.with(|state| state.owner(call.slot))?,
                    asking: false,
                })
            })
            .collect();
        if routed.len() < calls.len() {
            self.read_map_soon();
        }
        for _ in 0..=REDIRECTS_MAX {
            let mut by_node: BTreeMap<Address, Vec<Routed>> = BTreeMap::new();
            for one in routed.drain(..) {
                by_node.entry(one.address.clone()).or_default().push(one);
            }
            if by_node.is_empty() {
                break;
            }
            let answered = by_node
                .into_iter()
                .map(|(address, routed)| self.ask_node(address, routed, calls, node_max));
            for (one, value) in join_all(answered).await.into_iter().flatten() {
                let answer = value.and_then(|value| {
                    let value = value.extract_error()?;
                    T::from_redis_value(value).map_err(RedisError::from)
                });
                if let Err(error) = &answer {
                    routed.extend(self.follow(&one, error));
                }
                if let Some(slot) = answers.get_mut(one.index) {
                    *slot = answer;
                }
            }
        }
        Ok(answers)
    }

    /// Where a call goes next that was answered by this error; None: nowhere.
    fn follow(self: &Arc<Self>, one: &Routed, error: &RedisError) -> Option<Routed> {
        let Some((address, slot)) = error.redirect_node() else {
            if !matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoScript)) {
                // The node may be gone, and another have its slots.
                self.read_map_soon();
            }
            return None;
        };
        let (host, port) = address.rsplit_once(':')?;
        let host = if host.is_empty() {
            one.address.0.clone()
        } else {
            host.to_owned()
        };
        let address = (host, port.parse().ok()?);
        let asking = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Ask));
        if !asking {
            self.with(|state| state.moved.insert(slot, address.clone()));
            self.read_map_soon();
        }
        Some(Routed {
            index: one.index,
            address,
            asking,
        })
    }

    async fn ask_node(
        &self,
        address: Address,
        routed: Vec<Routed>,
        calls: &[Call],
        node_max: Duration,
    ) -> Vec<(Routed, RedisResult<Value>)> {
        let mut pipeline = Pipeline::new();
        for one in &routed {
            if one.asking {
                pipeline.cmd("ASKING");
            }
            if let Some(call) = calls.get(one.index) {
                pipeline.add_command(call.command.clone());
            }
        }
        let asked = async { self.link(&address)?.ask::<Value>(&mut pipeline).await };
        let answers = match timeout(node_max, asked).await {
            Ok(answers) => answers,
            Err(_elapsed) => Err(failure("a node did not answer in time")),
        };
        match answers {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                let mut next = || answers.next().unwrap_or_else(|| Err(failure("no answer")));
                let pairs = routed.into_iter().map(|one| {
                    if one.asking {
                        // Its own answer says nothing.
                        let _ = next();
                    }
                    (one, next())
                });
                pairs.collect()
            }
            Err(error) => {
                let text = error.to_string();
                let failed = |one| (one, Err(failure(&text)));
                routed.into_iter().map(failed).collect()
            }
        }
    }

    fn link(&self, address: &Address) -> RedisResult<Arc<Link>> {
        if let Some(link) = self.with(|state| state.links.get(address).cloned()) {
            return Ok(link);
        }
        let seed = self.seeds.first().ok_or_else(|| failure("no node"))?;
        let information = seed.clone().set_addr(moved_to(seed.addr(), address)?);
        let link = Link::new(Client::open(information)?, self.settings.clone())?;
        Ok(self.with(|state| {
            let links = &mut state.links;
            links
                .entry(address.clone())
                .or_insert_with(|| Arc::new(link))
                .clone()
        }))
    }

    /// Reads the map again, aside, unless that has just been done.
    fn read_map_soon(self: &Arc<Self>) {
        if self.map_is_fresh.swap(true, Ordering::AcqRel) {
            return;
        }
        let nodes = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = nodes.read_map().await {
                tracing::debug!(%error, "no node of the limiter's Redis Cluster told the slots");
            }
            tokio::time::sleep(Duration::from_millis(MAP_PAUSE_MILLIS)).await;
            nodes.map_is_fresh.store(false, Ordering::Release);
        });
    }

    /// Reads who has which slots, from whichever node answers first.
    async fn read_map(&self) -> RedisResult<()> {
        let mut addresses: Vec<Address> = self.with(|state| state.links.keys().cloned().collect());
        addresses.extend(self.seeds.iter().filter_map(|seed| place(seed.addr())));
        addresses.sort();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(failure("no node"));
        }
        let asked = addresses.into_iter().map(|address| {
            async move {
                let link = self.link(&address)?;
                let mut pipeline = Pipeline::new();
                pipeline.cmd("CLUSTER").arg("SLOTS");
                let limit = Duration::from_millis(MAP_MAX_MILLIS);
                let mut answers = timeout(limit, link.ask::<Value>(&mut pipeline))
                    .await
                    .unwrap_or_else(|_elapsed| Err(failure("no answer in time")))?;
                let slots = answers.pop().unwrap_or_else(|| Err(failure("no answer")))?;
                let ranges = ranges(&slots, &address.0);
                if ranges.is_empty() {
                    return Err(failure("it knows no slots"));
                }
                Ok(ranges)
            }
            .boxed()
        });
        let (ranges, _) = select_ok(asked).await?;
        self.with(|state| {
            let known = |address: &Address| ranges.values().any(|(_, owner)| owner == address);
            state.links.retain(|address, _| known(address));
            state.moved.clear();
            state.ranges = ranges;
        });
        Ok(())
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn owner(&self, slot: u16) -> Option<Address> {
        if let Some(address) = self.moved.get(&slot) {
            return Some(address.clone());
        }
        let (_, (first, address)) = self.ranges.range(slot..).next()?;
        (*first <= slot).then(|| address.clone())
    }
}

/// Where a node is; None for what is no node of a cluster, such as a socket of this machine.
fn place(address: &ConnectionAddr) -> Option<Address> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

/// Another node, reached as the seed is: over TLS where the seed is.
fn moved_to(seed: &ConnectionAddr, (host, port): &Address) -> RedisResult<ConnectionAddr> {
    match seed {
        ConnectionAddr::Tcp(..) => Ok(ConnectionAddr::Tcp(host.clone(), *port)),
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => Ok(ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        }),
        _ => Err(failure("a cluster's nodes are reached over TCP")),
    }
}

/// What CLUSTER SLOTS says, a node that names no host being the one that was asked.
fn ranges(slots: &Value, asked: &str) -> BTreeMap<u16, (u16, Address)> {
    let Value::Array(slots) = slots else {
        return BTreeMap::new();
    };
    let range = |range: &Value| {
        let Value::Array(range) = range else {
            return None;
        };
        let [first, last, Value::Array(master), ..] = range.as_slice() else {
            return None;
        };
        let host = String::from_redis_value_ref(master.first()?).unwrap_or_default();
        let host = if host.is_empty() {
            asked.to_owned()
        } else {
            host
        };
        let number = |value: &Value| u16::from_redis_value_ref(value).ok();
        Some((
            number(last)?,
            (number(first)?, (host, number(master.get(1)?)?)),
        ))
    };
    slots.iter().filter_map(range).collect()
}

fn failure(text: &str) -> RedisError {
    io::Error::other(text.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_slots_are_those_of_the_clusters_specification() {
        assert_eq!(slot_of("123456789"), 0x31C3);
        assert_eq!(slot_of("foo"), 12_182);
        assert_eq!(slot_of(""), 0);
    }

    #[test]
    fn r10_a_slot_that_moved_goes_before_the_map() {
        let (one, other) = (("one".to_owned(), 1), ("other".to_owned(), 2));
        let mut state = State::default();
        state.ranges.insert(99, (0, one.clone()));
        state.ranges.insert(299, (200, other.clone()));
        state.moved.insert(5, other.clone());
        for (slot, owner) in [
            (0, Some(&one)),
            (99, Some(&one)),
            (100, None),
            (200, Some(&other)),
            (300, None),
            (5, Some(&other)),
        ] {
            assert_eq!(state.owner(slot).as_ref(), owner, "{slot}");
        }
    }
    #[test]
    fn r10_nodes_are_reached_as_the_seed_is() {
        use redis::IntoConnectionInfo as _;
        let other = ("10.0.0.2".to_owned(), 7001);
        for (seed, tls) in [
            ("redis://10.0.0.1:7000", false),
            ("rediss://10.0.0.1:7000", true),
        ] {
            let seed = seed.into_connection_info().unwrap();
            assert_eq!(place(seed.addr()), Some(("10.0.0.1".to_owned(), 7000)));
            let moved = moved_to(seed.addr(), &other).unwrap();
            assert_eq!(place(&moved), Some(other.clone()));
            assert_eq!(matches!(moved, ConnectionAddr::TcpTls { .. }), tls);
        }
    }

    #[tokio::test]
    async fn r10_a_cluster_without_a_node_is_away() {
        let nodes = Nodes::new(Vec::new(), ConnectionManagerConfig::new());
        assert!(nodes.read_map().await.is_err());
    }
}
