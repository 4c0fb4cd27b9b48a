//! Accepts connections up to a limit. A shutdown ends accepting.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{coop::unconstrained, yield_now},
};

use super::{connection::Connection, wire::Wires};
use crate::{shutdown::Shutdown, tls::ServerTls};

/// The time to wait after a failed accept, most often caused by a lack of file descriptors, in
/// milliseconds.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// The most connections that were made before the shutdown and are accepted after it: more than a
/// listener's queue holds, so that accepting ends even if more keep coming.
const LATE_CONNECTIONS_MAX: usize = 1_024;

/// The most connections, and the time within which one must begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    pub(super) handshake: Duration,
}

/// Accepts connections until the shutdown, and then those that had already been made. Further ones
/// wait in the listener's queue while `connections_max` are open; a shutdown does not wait for
/// room. A connection whose TLS handshake has not ended within `handshake` is dropped, one that has
/// not sent HTTP/2's preface by then fails on read, and after the cut every one that would wait
/// fails.
pub(super) fn accepted(
    listener: TcpListener,
    limits: Limits,
    tls: Option<ServerTls>,
    shutdown: Shutdown,
    wires: Wires,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let most = limits.connections_max.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    // The number of connections accepted after the shutdown; `None` before it.
    let opening = futures::stream::unfold((listener, None), move |(listener, mut late)| {
        let (permits, shutdown) = (Arc::clone(&permits), shutdown.clone());
        let (tls, wires) = (tls.clone(), wires.clone());
        async move {
            let mut early = None;
            if late.is_none() && !shutdown.has_begun() {
                let accepting = accept(&listener, Arc::clone(&permits));
                early = shutdown.unless_begun(accepting).await;
            }
            let accepted = if early.is_some() {
                early
            } else {
                if late.is_none() {
                    // During this yield the runtime learns of new connections.
                    yield_now().await;
                }
                let count = late.unwrap_or(0);
                if count == LATE_CONNECTIONS_MAX {
                    return None;
                }
                late = Some(count + 1);
                // Without `unconstrained` the task's budget could leave connections in the queue.
                unconstrained(accept(&listener, permits)).now_or_never()
            };
            let (socket, permit) = accepted??;
            let opening = Connection::open(socket, permit, limits.handshake, tls, wires);
            // Each handshake has its own task, since it costs a signature.
            Some((tokio::spawn(opening), (listener, late)))
        }
    });
    let opened = opening.buffer_unordered(most);
    opened.filter_map(|opened| ready(opened.ok().flatten().map(Ok)))
}

/// Returns the next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    permits: Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = permits.acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpSocket;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::server::wire::Activity;

    #[tokio::test]
    async fn who_had_connected_before_the_shutdown_is_accepted_after_it() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(400).unwrap();
        let address = listener.local_addr().unwrap();
        // More than a task may accept before it must yield to others.
        let mut early = Vec::new();
        for _ in 0..300 {
            early.push(TcpStream::connect(address).await.unwrap());
        }
        let shutdown = Shutdown::new();
        shutdown.begin();
        let limits = Limits {
            connections_max: 9,
            handshake: Duration::ZERO,
        };
        let wires = Wires {
            cut: CancellationToken::new(),
            activity: Activity::default(),
        };
        let connections = accepted(listener, limits, None, shutdown, wires);
        assert_eq!(connections.count().await, early.len());
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_until_another_has_gone() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            connections_max: 2,
            handshake: Duration::from_hours(1),
        };
        let wires = Wires {
            cut: CancellationToken::new(),
            activity: Activity::default(),
        };
        let connections = accepted(listener, limits, None, Shutdown::new(), wires);
        tokio::pin!(connections);
        let _clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        for _ in 0..1_000 {
            let third = connections.next().now_or_never();
            assert!(third.is_none(), "it is accepted beside two others");
            yield_now().await;
        }
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
    }
}
