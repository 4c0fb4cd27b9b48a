//! A TCP proxy whose network fails on demand: delays, cuts, refusals and one-way partitions.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// The most bytes that one direction of one connection holds.
const CHUNK_BYTES: usize = 16 * 1024;

/// A direction through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the upstream.
    ToUpstream,
    /// From the upstream to the client.
    ToClient,
}

/// The proxy's counts since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpCounts {
    /// Connections that were accepted and not refused.
    pub accepted: u64,
    /// Connections reset as soon as they were accepted.
    pub refused: u64,
    /// Open connections that were reset by [`TcpProxy::cut`].
    pub cut: u64,
    /// Connections reset because the upstream accepted none.
    pub unreachable: u64,
    /// Chunks that were passed on with a delay.
    pub delayed: u64,
    /// Chunks that were held by a stall (and passed on after it, unless the connection was cut).
    pub stalled: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    unreachable: AtomicU64,
    delayed: AtomicU64,
    stalled: AtomicU64,
    open: AtomicUsize,
}

/// The current behavior of the network.
#[derive(Debug, Clone)]
struct Network {
    upstream: SocketAddr,
    delay: Duration,
    refuse: bool,
    stalled: [bool; 2],
    /// The generation: connections of an older one must be reset.
    generation: u64,
}

/// A listener on loopback that passes every connection to its upstream, as far as its network
/// allows. When dropped, it stops and its connections are reset.
pub struct TcpProxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    counters: Arc<Counters>,
    stop: CancellationToken,
}

impl TcpProxy {
    /// Listens on a free port, without faults.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            network: watch::Sender::new(Network {
                upstream,
                delay: Duration::ZERO,
                refuse: false,
                stalled: [false; 2],
                generation: 0,
            }),
            counters: Arc::default(),
            stop: CancellationToken::new(),
        };
        let accept = accept(
            listener,
            proxy.network.subscribe(),
            Arc::clone(&proxy.counters),
            proxy.stop.clone(),
        );
        tokio::spawn(proxy.stop.clone().run_until_cancelled_owned(accept));
        proxy
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the upstream of new connections. Open connections stay: see [`Self::cut`].
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.network
            .send_modify(|network| network.upstream = upstream);
    }

    /// Delays each chunk of bytes by this much, in both directions. Zero means no delay.
    pub fn delay(&self, delay: Duration) {
        self.network.send_modify(|network| network.delay = delay);
    }

    /// Resets new connections at once, or accepts them again. Open connections stay: see
    /// [`Self::cut`].
    pub fn refuse(&self, refuse: bool) {
        self.network.send_modify(|network| network.refuse = refuse);
    }

    /// Holds the bytes of one direction, or lets them pass again: a one-way partition. Stalling
    /// both directions makes a partition in which neither side learns anything.
    pub fn stall(&self, direction: Direction, stall: bool) {
        self.network
            .send_modify(|network| network.stalled[direction as usize] = stall);
    }

    /// Resets both ends of every open connection now, and returns how many there were.
    #[expect(clippy::must_use_candidate, reason = "called to cut, not to count")]
    pub fn cut(&self) -> usize {
        let open = self.open();
        self.network.send_modify(|network| network.generation += 1);
        open
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counters.open.load(Ordering::SeqCst)
    }

    /// Ends all faults: delays, refusals and stalls.
    pub fn heal(&self) {
        self.network.send_modify(|network| {
            network.delay = Duration::ZERO;
            network.refuse = false;
            network.stalled = [false; 2];
        });
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn counts(&self) -> TcpCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        TcpCounts {
            accepted: read(&self.counters.accepted),
            refused: read(&self.counters.refused),
            cut: read(&self.counters.cut),
            unreachable: read(&self.counters.unreachable),
            delayed: read(&self.counters.delayed),
            stalled: read(&self.counters.stalled),
        }
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

async fn accept(
    listener: TcpListener,
    network: watch::Receiver<Network>,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Too many files are open: other connections close theirs.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if network.borrow().refuse {
            reset(&client);
            count(&counters.refused);
            continue;
        }
        count(&counters.accepted);
        let connection = connection(client, network.clone(), Arc::clone(&counters));
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

/// Makes the peer see a reset when the stream is closed, and not an orderly end.
fn reset(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}

/// An open connection, which is counted as long as this value exists.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(
    mut client: TcpStream,
    mut network: watch::Receiver<Network>,
    counters: Arc<Counters>,
) {
    let _open = Open::new(&counters);
    // Without this, a connection that ends because the proxy is dropped would end in good order.
    reset(&client);
    let Network {
        upstream,
        generation,
        ..
    } = *network.borrow();
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        count(&counters.unreachable);
        return;
    };
    reset(&server);
    for stream in [&client, &server] {
        drop(stream.set_nodelay(true));
    }
    let passed = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let ends = [network.clone(), network.clone()];
        let [out, back] = ends;
        let both = async {
            tokio::try_join!(
                pass(
                    from_client,
                    to_server,
                    Direction::ToUpstream,
                    out,
                    &counters
                ),
                pass(from_server, to_client, Direction::ToClient, back, &counters),
            )
        };
        tokio::select! {
            // A cut takes precedence if both are ready.
            biased;
            _ = network.wait_for(|network| network.generation != generation) => {
                count(&counters.cut);
                return;
            }
            passed = both => passed,
        }
    };
    if passed.is_ok() {
        // Both sides have shut down, so the connection closes in good order.
        for stream in [&client, &server] {
            drop(socket_ends_in_order(stream));
        }
    }
}

/// Undoes [`reset`]. Everything was written and shut down before, so there is nothing to linger
/// for.
fn socket_ends_in_order(stream: &TcpStream) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "None does not block on close, which is what is deprecated"
    )]
    stream.set_linger(None)
}

/// Passes one direction to its end.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut network: watch::Receiver<Network>,
    counters: &Counters,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        let delay = network.borrow().delay;
        if !delay.is_zero() && length > 0 {
            tokio::time::sleep(delay).await;
            count(&counters.delayed);
        }
        if network.borrow().stalled[direction as usize] {
            count(&counters.stalled);
            // An error would mean that the proxy is gone and this task is about to be stopped.
            drop(
                network
                    .wait_for(|network| !network.stalled[direction as usize])
                    .await,
            );
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}

#[cfg(test)]
#[path = "tcp_proxy_tests.rs"]
mod tests;
