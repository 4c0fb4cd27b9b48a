//! A TCP proxy whose network fails on demand: cuts, refusals and one-way partitions.

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

#[derive(Default)]
struct Counters {
    open: AtomicUsize,
    /// Chunks that were held by a stall, and connections that were refused or cut.
    faults: AtomicU64,
}

/// The current behavior of the network.
#[derive(Debug, Clone)]
struct Network {
    upstream: SocketAddr,
    refuse: bool,
    stalled: [bool; 2],
    /// The generation: connections of an older one must be reset.
    generation: u64,
}

/// A listener on loopback that passes every connection to its upstream, as far as its network
/// allows. When dropped, it stops and its connections end.
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

    /// Ends all faults: refusals and stalls.
    pub fn heal(&self) {
        self.network.send_modify(|network| {
            network.refuse = false;
            network.stalled = [false; 2];
        });
    }

    /// Returns the number of chunks that were held and of connections that were reset or refused.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.counters.faults.load(Ordering::SeqCst)
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
            count(&counters.faults);
            continue;
        }
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
    let Network {
        upstream,
        generation,
        ..
    } = *network.borrow();
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        reset(&client);
        return;
    };
    for stream in [&client, &server] {
        drop(stream.set_nodelay(true));
    }
    let ends_in_order = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let [out, back] = [network.clone(), network.clone()];
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
                count(&counters.faults);
                false
            }
            passed = both => passed.is_ok(),
        }
    };
    if !ends_in_order {
        reset(&client);
        reset(&server);
    }
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
        if network.borrow().stalled[direction as usize] {
            if length > 0 {
                count(&counters.faults);
            }
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
