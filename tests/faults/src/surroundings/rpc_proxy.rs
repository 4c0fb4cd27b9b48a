//! A gRPC proxy (HTTP/2 without TLS) that loses, delays, repeats and reorders calls on demand.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The time after which a silent loss is told, later than every caller's deadline.
const SILENCE: Duration = Duration::from_secs(12);
/// The most streams that one connection may have open at once.
const STREAMS_MAX: u32 = 1_000;
const STATUS: &str = "grpc-status";
/// gRPC's numbers for `CANCELLED` and `DEADLINE_EXCEEDED`.
const GIVEN_UP: [&[u8]; 2] = [b"1", b"4"];

/// The fate of one unary call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcFault {
    /// It goes through.
    None,
    /// The request never arrives.
    DropRequest(Loss),
    /// The request arrives and is answered; the reply is lost.
    DropReply(Loss),
    /// The request is sent this much later. A request whose caller gives up before is not sent.
    Delay(Duration),
    /// The reply is returned this much later.
    DelayReply(Duration),
    /// The request arrives twice.
    Repeat {
        /// `None` sends both at once. Otherwise the second is sent this long after the first's
        /// reply.
        pause: Option<Duration>,
        /// True if the caller gets the reply to the second.
        second: bool,
    },
    /// The caller is told of a loss, and the request still arrives this much later, behind requests
    /// that the caller sends meanwhile.
    Late(Duration, Loss),
    /// The deadline that the caller set (`grpc-timeout`) is replaced by this one.
    Deadline(Duration),
}

/// The way in which the caller learns of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The caller gets the status UNAVAILABLE, as gRPC libraries report a lost connection.
    Unavailable,
    /// The caller's stream is reset.
    Reset,
    /// The caller learns nothing before its deadline.
    Silence,
}

type Decide = dyn Fn() -> RpcFault + Send + Sync;
/// A body that is passed through or was read before.
type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A listener on loopback that passes unary calls to its upstream as a function decides. Streams
/// (`Watch…`, health, reflection) always pass through. It stops when dropped.
pub struct RpcProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    decide: RwLock<Arc<Decide>>,
    faults: AtomicU64,
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
            decide: RwLock::new(Arc::new(|| RpcFault::None)),
            faults: AtomicU64::new(0),
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

    /// Sets the function that decides the fate of each call from now on.
    pub fn decide(&self, decide: impl Fn() -> RpcFault + Send + Sync + 'static) {
        *self.shared.decide.write().unwrap() = Arc::new(decide);
    }

    /// Ends all faults, and waits until requests that no longer depend on their caller have
    /// arrived.
    pub async fn heal(&self) {
        self.decide(|| RpcFault::None);
        let mut pending = self.shared.pending.subscribe();
        pending.wait_for(|pending| *pending == 0).await.unwrap();
    }

    /// Returns the number of faults so far that took effect: a lost reply was given, a late request
    /// was answered, a deadline passed.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::SeqCst)
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// A request in transit, which is counted as long as this value exists.
struct Pending(watch::Sender<usize>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.send_modify(|pending| *pending -= 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
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
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .retry_canceled_requests(false)
        .build(connector);
    let path = Path { shared, client };
    let serve = service_fn(move |request| path.clone().call(request));
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.max_concurrent_streams(STREAMS_MAX);
    // An error means that the caller's connection ended, so there is nobody to tell.
    drop(server.serve_connection(TokioIo::new(stream), serve).await);
}

/// Returns true if the call has, or may have, more than one message each way.
fn is_stream(path: &str) -> bool {
    path.starts_with("/grpc.") || path.contains("/Watch")
}

/// The upstream accepts no connection, or the existing one is lost.
#[derive(Debug, Clone, Copy)]
struct Unreachable;

/// A request of a unary call, read completely.
#[derive(Clone)]
struct Call {
    uri: Uri,
    headers: HeaderMap,
    message: Bytes,
}

/// A reply to a unary call, read completely.
struct Reply {
    headers: HeaderMap,
    message: Bytes,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// Returns true if it reports that the time was over: `CANCELLED` or `DEADLINE_EXCEEDED`.
    fn was_given_up(&self) -> bool {
        let maps = self.trailers.iter().chain([&self.headers]);
        let mut statuses = maps.filter_map(|map| map.get(STATUS));
        statuses.any(|status| GIVEN_UP.contains(&status.as_bytes()))
    }
}

/// The path from a caller's connection to the upstream.
#[derive(Clone)]
struct Path {
    shared: Arc<Shared>,
    client: Client<HttpConnector, Body>,
}

impl Path {
    async fn call(self, request: Request<Incoming>) -> Result<Response<Body>, h2::Error> {
        let fault = if is_stream(request.uri().path()) {
            RpcFault::None
        } else {
            let decide = Arc::clone(&self.shared.decide.read().unwrap());
            decide()
        };
        let (parts, body) = request.into_parts();
        let mut call = Call {
            uri: parts.uri,
            headers: parts.headers,
            message: Bytes::new(),
        };
        if fault == RpcFault::None {
            let passed = self.pass(call, body.boxed_unsync()).await;
            return Ok(passed.map_or_else(
                |Unreachable| unavailable(),
                |response| response.map(BodyExt::boxed_unsync),
            ));
        }
        let Ok(message) = body.collect().await else {
            // The caller gave up before it had sent everything.
            return Err(h2::Reason::CANCEL.into());
        };
        call.message = message.to_bytes();
        match fault {
            RpcFault::None => Ok(answer(self.send(call).await)),
            RpcFault::DropRequest(loss) => {
                self.took_effect();
                lose(loss).await
            }
            RpcFault::DropReply(loss) => {
                drop(self.send_aside(call, Duration::ZERO).await);
                lose(loss).await
            }
            RpcFault::Delay(delay) => {
                sleep(delay).await;
                self.took_effect();
                Ok(answer(self.send(call).await))
            }
            RpcFault::DelayReply(delay) => {
                let reply = self.send(call).await;
                if reply.is_ok() {
                    self.took_effect();
                }
                sleep(delay).await;
                Ok(answer(reply))
            }
            RpcFault::Repeat { pause, second } => Ok(self.repeat(call, pause, second).await),
            RpcFault::Late(delay, loss) => {
                drop(self.send_aside(call, delay));
                lose(loss).await
            }
            RpcFault::Deadline(deadline) => {
                let timeout = format!("{}m", deadline.as_millis());
                call.headers
                    .insert("grpc-timeout", timeout.parse().unwrap());
                let began = Instant::now();
                let reply = self.send(call).await;
                let passed = began.elapsed() >= deadline;
                if reply
                    .as_ref()
                    .is_ok_and(|reply| passed || reply.was_given_up())
                {
                    self.took_effect();
                }
                Ok(answer(reply))
            }
        }
    }

    fn took_effect(&self) {
        self.shared.faults.fetch_add(1, Ordering::SeqCst);
    }

    async fn pass(&self, call: Call, body: Body) -> Result<Response<Incoming>, Unreachable> {
        let path = call.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("http://{}{path}", self.shared.upstream);
        let mut request = Request::post(uri).body(body).unwrap();
        *request.headers_mut() = call.headers;
        self.client.request(request).await.map_err(|_| Unreachable)
    }

    async fn send(&self, mut call: Call) -> Result<Reply, Unreachable> {
        let body = Full::new(std::mem::take(&mut call.message));
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let (parts, body) = self.pass(call, body).await?.into_parts();
        let collected = body.collect().await.map_err(|_| Unreachable)?;
        Ok(Reply {
            headers: parts.headers,
            trailers: collected.trailers().cloned(),
            message: collected.to_bytes(),
        })
    }

    /// Spawns a task that runs to its end even if the caller goes, unless the proxy stops.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<Option<()>> {
        let pending = &self.shared.pending;
        pending.send_modify(|pending| *pending += 1);
        let pending = Pending(pending.clone());
        let work = async move {
            let _pending = pending;
            work.await;
        };
        tokio::spawn(self.shared.stop.clone().run_until_cancelled_owned(work))
    }

    /// Sends a request later, whose caller gets no reply to it.
    fn send_aside(&self, call: Call, delay: Duration) -> JoinHandle<Option<()>> {
        let path = self.clone();
        self.spawn(async move {
            sleep(delay).await;
            if path.send(call).await.is_ok() {
                path.took_effect();
            }
        })
    }

    async fn repeat(&self, call: Call, pause: Option<Duration>, second: bool) -> Response<Body> {
        let (tell, told) = oneshot::channel();
        let (tell_again, told_again) = oneshot::channel();
        let path = self.clone();
        self.spawn(async move {
            let send = async |tell: oneshot::Sender<_>| {
                let reply = path.send(call.clone()).await;
                let arrived = reply.is_ok();
                // Nobody listens to one of the two replies.
                let _ = tell.send(reply);
                arrived
            };
            let arrived = if let Some(pause) = pause {
                let first = send(tell).await;
                sleep(pause).await;
                (first, send(tell_again).await)
            } else {
                tokio::join!(send(tell), send(tell_again))
            };
            if arrived == (true, true) {
                path.took_effect();
            }
        });
        let reply = if second { told_again.await } else { told.await };
        answer(reply.unwrap_or(Err(Unreachable)))
    }
}

fn answer(reply: Result<Reply, Unreachable>) -> Response<Body> {
    let Ok(reply) = reply else {
        return unavailable();
    };
    let trailers = reply.trailers;
    let body = Full::new(reply.message).with_trailers(async move { trailers.map(Ok) });
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.headers_mut() = reply.headers;
    response
}

/// Returns the reply in the upstream's place, as gRPC libraries report a lost connection.
fn unavailable() -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from_static("14"));
    headers.insert("grpc-message", HeaderValue::from_static("lost on its way"));
    response
}

/// Returns what the caller sees of a loss.
async fn lose(loss: Loss) -> Result<Response<Body>, h2::Error> {
    match loss {
        Loss::Unavailable => return Ok(unavailable()),
        Loss::Reset => {}
        // The caller gives up at its deadline, which ends this.
        Loss::Silence => sleep(SILENCE).await,
    }
    Err(h2::Reason::CANCEL.into())
}

#[cfg(test)]
#[path = "rpc_proxy_tests.rs"]
mod tests;
