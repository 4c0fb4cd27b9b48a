//! Each call gets the fate that was decided, which counts when it took effect.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{Answer, Loss, Repetition, RpcFault, RpcProxy, Upstream};
use crate::surroundings::rpc_message::Body;

const PATH: &str = "/school.Roll/Call";

/// The requests that the upstream received, in order: path, timeout and message.
type Seen = Arc<Mutex<Vec<(String, String, Bytes)>>>;

/// Serves an upstream that answers each request with its number and a status in trailers, as gRPC
/// does, until it is aborted.
async fn numbering(address: SocketAddr) -> (SocketAddr, Seen, JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let records = Arc::clone(&seen);
    let serving = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&records);
            let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
                let seen = Arc::clone(&seen);
                async move { Ok::<_, Infallible>(number(request, &seen).await) }
            });
            let http = http2::Builder::new(TokioExecutor::new());
            connections.spawn(http.serve_connection(TokioIo::new(stream), answer));
        }
    });
    (address, seen, serving)
}

async fn number(request: Request<Incoming>, seen: &Seen) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let timeout = request.headers().get("grpc-timeout").cloned();
    let timeout = timeout.map_or_else(String::new, |timeout| timeout.to_str().unwrap().to_owned());
    let message = request.into_body().collect().await.unwrap().to_bytes();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push((path, timeout, message));
        seen.len()
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = Full::new(Bytes::from(number.to_string()))
        .with_trailers(async { Some(Ok(trailers)) })
        .map_err(|never: Infallible| match never {});
    Response::new(body.boxed_unsync())
}

/// A caller, the proxy, and the requests that the upstream received.
struct Story {
    upstream: SocketAddr,
    proxy: RpcProxy,
    caller: Upstream,
    seen: Seen,
    serving: JoinHandle<()>,
}

impl Story {
    async fn given(fault: RpcFault) -> Self {
        let (upstream, seen, serving) = numbering("127.0.0.1:0".parse().unwrap()).await;
        let proxy = RpcProxy::start(upstream).await;
        proxy.decide(move |path| {
            assert_eq!(path, PATH);
            fault
        });
        let caller = Upstream::new(proxy.address(), CancellationToken::new());
        Self {
            upstream,
            proxy,
            caller,
            seen,
            serving,
        }
    }

    /// Returns the status and the message of the reply, or `None` if the call was reset.
    async fn call(&self, timeout: &str) -> Option<Told> {
        self.call_path(PATH, timeout).await
    }

    async fn call_path(&self, path: &str, timeout: &str) -> Option<Told> {
        let mut request = Request::post(format!("http://school{path}"));
        if !timeout.is_empty() {
            request = request.header("grpc-timeout", timeout);
        }
        let body = Full::new(Bytes::from("here")).map_err(|never: Infallible| match never {});
        let request = request.body(body.boxed_unsync()).unwrap();
        let response = self.caller.send(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.ok()?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let status = parts.headers.get("grpc-status");
        let status = status.or_else(|| trailers.get("grpc-status")).unwrap();
        let status = status.to_str().unwrap().to_owned();
        let message = collected.to_bytes();
        Some((status, String::from_utf8(message.to_vec()).unwrap()))
    }

    fn arrived(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// The status and the message of a call that was not reset.
type Told = (String, String);

fn reply(number: &str) -> Told {
    ("0".to_owned(), number.to_owned())
}

fn lost() -> Told {
    ("14".to_owned(), String::new())
}

#[tokio::test]
async fn a_call_goes_through_unchanged() {
    let story = Story::given(RpcFault::None).await;
    assert_eq!(story.call("2S").await, Some(reply("1")));
    let (path, timeout, message) = story.seen.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), timeout.as_str()), (PATH, "2S"));
    assert_eq!(message, "here");
    assert_eq!(
        (story.proxy.counts().passed, story.proxy.counts().faults()),
        (1, 0)
    );
}

#[tokio::test]
async fn a_lost_request_never_arrives() {
    for (loss, told) in [(Loss::Unavailable, Some(lost())), (Loss::Reset, None)] {
        let story = Story::given(RpcFault::DropRequest(loss)).await;
        assert_eq!(story.call("").await, told);
        assert_eq!(story.arrived(), 0);
        assert_eq!(story.proxy.counts().requests_dropped, 1);
    }
}

#[tokio::test]
async fn a_lost_reply_was_given() {
    for (loss, told) in [(Loss::Unavailable, Some(lost())), (Loss::Reset, None)] {
        let story = Story::given(RpcFault::DropReply(loss)).await;
        assert_eq!(story.call("").await, told);
        assert_eq!(story.arrived(), 1);
        assert_eq!(story.proxy.counts().replies_dropped, 1);
    }
}

#[tokio::test]
async fn silence_lasts_until_the_caller_gives_up() {
    let story = Story::given(RpcFault::DropReply(Loss::Silence)).await;
    let silence = tokio::time::timeout(Duration::from_millis(200), story.call(""));
    assert!(silence.await.is_err(), "the caller was told");
    assert_eq!(story.proxy.counts().replies_dropped, 1);
}

#[tokio::test]
async fn a_delay_lies_before_the_request_or_before_the_reply() {
    let delay = Duration::from_millis(300);
    for (fault, arrives_at_once) in [
        (RpcFault::Delay(delay), false),
        (RpcFault::DelayReply(delay), true),
    ] {
        let story = Story::given(fault).await;
        let began = Instant::now();
        let (answer, arrived) = tokio::join!(story.call(""), async {
            while story.arrived() == 0 {
                tokio::task::yield_now().await;
            }
            began.elapsed()
        });
        assert_eq!(answer, Some(reply("1")));
        assert_eq!(arrived < delay, arrives_at_once, "{arrived:?}");
        assert!(began.elapsed() >= delay);
        assert_eq!(story.proxy.counts().faults(), 1);
    }
}

#[tokio::test]
async fn a_delayed_request_whose_caller_gave_up_is_not_sent() {
    let story = Story::given(RpcFault::Delay(Duration::from_millis(100))).await;
    let gave_up = tokio::time::timeout(Duration::from_millis(20), story.call("")).await;
    assert!(gave_up.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((story.arrived(), story.proxy.counts().delayed), (0, 0));
}

#[tokio::test]
async fn a_repeated_request_arrives_twice_and_one_reply_is_given() {
    let pause = Some(Duration::from_millis(20));
    for (pause, answer, told) in [
        (pause, Answer::First, Some("1")),
        (pause, Answer::Second, Some("2")),
        (None, Answer::First, None),
        (None, Answer::Second, None),
    ] {
        let story = Story::given(RpcFault::Repeat(Repetition { pause, answer })).await;
        let answered = story.call("").await;
        if let Some(told) = told {
            assert_eq!(answered, Some(reply(told)));
        }
        assert!(answered.is_some());
        story.proxy.delivered().await;
        assert_eq!((story.arrived(), story.proxy.counts().repeated), (2, 1));
    }
}

#[tokio::test]
async fn a_held_request_arrives_after_its_callers_deadline() {
    let story = Story::given(RpcFault::Hold(Duration::from_millis(50))).await;
    let began = Instant::now();
    let gave_up = tokio::time::timeout(Duration::from_millis(100), story.call("100m")).await;
    assert!(gave_up.is_err(), "the caller was told");
    assert_eq!((story.arrived(), story.proxy.pending()), (0, 1));
    story.proxy.heal();
    assert_eq!(
        story.call("").await,
        Some(reply("1")),
        "sent later, arrives before"
    );
    story.proxy.delivered().await;
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!((story.arrived(), story.proxy.counts().held), (2, 1));
}

#[tokio::test]
async fn a_late_request_arrives_though_its_caller_was_told_otherwise() {
    for fault in [RpcFault::Late, RpcFault::Hold].map(|fault| fault(Duration::from_millis(50))) {
        let story = Story::given(fault).await;
        assert_eq!(story.call("").await, Some(lost()));
        assert_eq!((story.arrived(), story.proxy.pending()), (0, 1));
        story.proxy.delivered().await;
        assert_eq!((story.arrived(), story.proxy.counts().late), (1, 1));
    }
}

#[tokio::test]
async fn a_deadline_is_replaced_and_counts_where_it_passed() {
    for (deadline, told, counted) in [
        (Duration::ZERO, "0u", 1),
        (Duration::from_secs(61), "61000000u", 0),
    ] {
        for timeout in ["", "30S"] {
            let story = Story::given(RpcFault::Deadline(deadline)).await;
            assert_eq!(story.call(timeout).await, Some(reply("1")));
            assert_eq!(story.seen.lock().unwrap()[0].1, told);
            assert_eq!(story.proxy.counts().deadlines, counted);
        }
    }
}

#[tokio::test]
async fn streams_pass_through_unasked() {
    let story = Story::given(RpcFault::DropRequest(Loss::Reset)).await;
    for (path, number) in [
        ("/school.Roll/WatchEvents", "1"),
        ("/grpc.health.v1.Health/Check", "2"),
    ] {
        assert_eq!(story.call_path(path, "").await, Some(reply(number)));
    }
}

#[tokio::test]
async fn an_upstream_that_is_away_is_reached_when_it_is_back() {
    let story = Story::given(RpcFault::None).await;
    assert_eq!(story.call("").await, Some(reply("1")));
    story.serving.abort();
    let upstream = story.upstream;
    let away = async {
        // Waits until its connection has ended, too.
        while story.call("").await != Some(lost()) {}
    };
    tokio::time::timeout(Duration::from_secs(10), away)
        .await
        .unwrap();
    story.proxy.decide(|_| RpcFault::DropReply(Loss::Reset));
    assert_eq!(story.call("").await, None);
    let counts = story.proxy.counts();
    assert_eq!(
        (counts.unreachable, counts.faults()),
        (2, 0),
        "nothing was replied, so nothing lost"
    );
    story.proxy.heal();
    numbering(upstream).await;
    assert_eq!(story.call("").await, Some(reply("1")));
}
