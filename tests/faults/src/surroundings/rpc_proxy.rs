//! A gRPC proxy (HTTP/2 without TLS) that loses, delays, repeats and reorders calls on demand.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    rpc_fault::{Answer, Counters, Loss, Repetition, RpcCounts, RpcFault, count},
    rpc_message::{Body, Call, Reply, boxed, unavailable},
    rpc_upstream::{Unreachable, Upstream},
};

/// The time for which silence lasts beyond the caller's deadline, or for a caller without one.
const SILENCE_SECONDS: u64 = 10;
/// The most streams that one connection may have open at once.
const STREAMS_MAX: u32 = 1_000;

type Decide = dyn Fn(&str) -> RpcFault + Send + Sync;

/// A listener on loopback that passes unary calls to its upstream as a function decides. Streams
/// (`Watch…`, health, reflection) always pass through. It stops when dropped.
pub struct RpcProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    decide: RwLock<Arc<Decide>>,
    counters: Counters,
    /// The number of requests that continue even if their caller has gone.
    pending: watch::Sender<usize>,
    stop: CancellationToken,
}

impl RpcProxy {
    /// Listens on a free port, without faults.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let shared = Arc::new(Shared {
            upstream,
            decide: RwLock::new(Arc::new(|_| RpcFault::None)),
            counters: Counters::default(),
            pending: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        let address = listener.local_addr().unwrap();
        let accept = accept(listener, Arc::clone(&shared));
        tokio::spawn(shared.stop.clone().run_until_cancelled_owned(accept));
        Self { address, shared }
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the function that decides the fate of each call from now on, by its path
    /// (`/package.Service/Rpc`).
    pub fn decide(&self, decide: impl Fn(&str) -> RpcFault + Send + Sync + 'static) {
        *self.shared.decide.write().unwrap() = Arc::new(decide);
    }

    /// Ends all faults. Held requests still arrive: see [`Self::delivered`].
    pub fn heal(&self) {
        self.decide(|_| RpcFault::None);
    }

    /// Returns the number of requests in transit that no longer depend on their caller.
    #[must_use]
    pub fn pending(&self) -> usize {
        *self.shared.pending.borrow()
    }

    /// Waits until no request is [`pending`](Self::pending).
    pub async fn delivered(&self) {
        let mut pending = self.shared.pending.subscribe();
        pending.wait_for(|pending| *pending == 0).await.unwrap();
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn counts(&self) -> RpcCounts {
        self.shared.counters.read()
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// Spawns a task that runs to its end even if the caller goes, unless the proxy stops.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let pending = Pending::new(&self.pending);
        let work = async move {
            let _pending = pending;
            work.await
        };
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(work))
    }
}

/// A request in transit, which is counted as long as this value exists.
struct Pending(watch::Sender<usize>);

impl Pending {
    fn new(pending: &watch::Sender<usize>) -> Self {
        pending.send_modify(|pending| *pending += 1);
        Self(pending.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.send_modify(|pending| *pending -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let connection = connection(stream, Arc::clone(&shared));
        tokio::spawn(shared.stop.clone().run_until_cancelled_owned(connection));
    }
}

/// Serves one connection of a caller with its own connection to the upstream, so that connections
/// begin and end as they would without the proxy.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let upstream = Arc::new(Upstream::new(shared.upstream, shared.stop.clone()));
    let serve = service_fn(move |request| {
        let path = Path {
            shared: Arc::clone(&shared),
            upstream: Arc::clone(&upstream),
        };
        path.call(request)
    });
    // An error means that the caller's connection ended, so there is nobody to tell.
    drop(
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(STREAMS_MAX)
            .serve_connection(TokioIo::new(stream), serve)
            .await,
    );
}

/// Returns true if the call has, or may have, more than one message each way.
fn is_stream(path: &str) -> bool {
    path.starts_with("/grpc.")
        || path
            .rsplit('/')
            .next()
            .is_some_and(|rpc| rpc.starts_with("Watch"))
}

/// The path from a caller's connection to the upstream.
#[derive(Clone)]
struct Path {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
}

impl Path {
    async fn call(self, request: Request<Incoming>) -> Result<Response<Body>, h2::Error> {
        let fault = if is_stream(request.uri().path()) {
            RpcFault::None
        } else {
            let decide = Arc::clone(&self.shared.decide.read().unwrap());
            decide(request.uri().path())
        };
        if fault == RpcFault::None {
            return Ok(self.pass(request.map(boxed)).await);
        }
        let Some(call) = Call::read(request).await else {
            // The caller gave up before it had sent everything.
            return Err(h2::Reason::CANCEL.into());
        };
        self.fail(call, fault).await
    }

    /// Passes a request on without a fault.
    async fn pass(&self, request: Request<Body>) -> Response<Body> {
        match self.upstream.send(request).await {
            Ok(response) => {
                count(&self.shared.counters.passed);
                response.map(boxed)
            }
            Err(Unreachable) => self.away(),
        }
    }

    async fn fail(&self, mut call: Call, fault: RpcFault) -> Result<Response<Body>, h2::Error> {
        let counters = &self.shared.counters;
        let deadline = call.timeout();
        match fault {
            RpcFault::None => Ok(self.answer(self.send(call).await)),
            RpcFault::DropRequest(loss) => {
                count(&counters.requests_dropped);
                lose(loss, deadline).await
            }
            RpcFault::DropReply(loss) => {
                let path = self.clone();
                let sent = self.shared.spawn(async move {
                    let counters = &path.shared.counters;
                    match path.send(call).await {
                        Ok(_) => count(&counters.replies_dropped),
                        Err(Unreachable) => count(&counters.unreachable),
                    }
                });
                drop(sent.await);
                lose(loss, deadline).await
            }
            RpcFault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                count(&counters.delayed);
                Ok(self.answer(self.send(call).await))
            }
            RpcFault::DelayReply(delay) => {
                let reply = self.send(call).await;
                if reply.is_ok() {
                    count(&counters.replies_delayed);
                }
                tokio::time::sleep(delay).await;
                Ok(self.answer(reply))
            }
            RpcFault::Repeat(repetition) => Ok(self.repeat(call, repetition).await),
            RpcFault::Hold(behind) => {
                let Some(deadline) = deadline else {
                    self.send_later(call, behind, RpcFault::Late(behind));
                    return Ok(unavailable());
                };
                self.send_later(call, deadline + behind, fault);
                lose(Loss::Silence, Some(deadline)).await
            }
            RpcFault::Late(delay) => {
                self.send_later(call, delay, fault);
                Ok(unavailable())
            }
            RpcFault::Deadline(deadline) => {
                call.set_timeout(deadline);
                let began = Instant::now();
                let reply = self.send(call).await;
                let passed = began.elapsed() >= deadline;
                if reply
                    .as_ref()
                    .is_ok_and(|reply| passed || reply.was_given_up())
                {
                    count(&counters.deadlines);
                }
                Ok(self.answer(reply))
            }
        }
    }

    async fn send(&self, call: Call) -> Result<Reply, Unreachable> {
        let response = self.upstream.send(call.into_request()).await?;
        Reply::read(response).await.ok_or(Unreachable)
    }

    fn answer(&self, reply: Result<Reply, Unreachable>) -> Response<Body> {
        match reply {
            Ok(reply) => reply.into_response(),
            Err(Unreachable) => self.away(),
        }
    }

    fn away(&self) -> Response<Body> {
        count(&self.shared.counters.unreachable);
        unavailable()
    }

    /// Sends a request later, without the knowledge of its caller; `fault` is the kind that it
    /// counts as.
    fn send_later(&self, call: Call, delay: Duration, fault: RpcFault) {
        let path = self.clone();
        self.shared.spawn(async move {
            tokio::time::sleep(delay).await;
            let counters = &path.shared.counters;
            match (path.send(call).await, fault) {
                (Err(Unreachable), _) => count(&counters.unreachable),
                (Ok(_), RpcFault::Hold(_)) => count(&counters.held),
                (Ok(_), _) => count(&counters.late),
            }
        });
    }

    async fn repeat(&self, call: Call, repetition: Repetition) -> Response<Body> {
        let (first_ended, first_end) = oneshot::channel();
        let (path, copy) = (self.clone(), call.clone());
        let first = self.shared.spawn(async move {
            let reply = path.send(copy).await;
            // Nobody listens if the proxy has stopped.
            let _ = first_ended.send(reply.is_ok());
            reply
        });
        let path = self.clone();
        let second = self.shared.spawn(async move {
            let (first_answered, reply) = if let Some(pause) = repetition.pause {
                let answered = first_end.await;
                tokio::time::sleep(pause).await;
                (answered, path.send(call).await)
            } else {
                let (reply, answered) = tokio::join!(path.send(call), first_end);
                (answered, reply)
            };
            if first_answered == Ok(true) && reply.is_ok() {
                count(&path.shared.counters.repeated);
            }
            reply
        });
        let chosen = match repetition.answer {
            Answer::First => first,
            Answer::Second => second,
        };
        let reply = chosen.await.ok().flatten();
        self.answer(reply.unwrap_or(Err(Unreachable)))
    }
}

/// Returns what the caller sees of a loss.
async fn lose(loss: Loss, deadline: Option<Duration>) -> Result<Response<Body>, h2::Error> {
    match loss {
        Loss::Unavailable => return Ok(unavailable()),
        Loss::Reset => {}
        // The caller gives up at its deadline, which ends this.
        Loss::Silence => {
            let silence = Duration::from_secs(SILENCE_SECONDS);
            tokio::time::sleep(deadline.unwrap_or_default() + silence).await;
        }
    }
    Err(h2::Reason::CANCEL.into())
}

#[cfg(test)]
#[path = "rpc_proxy_tests.rs"]
mod tests;
