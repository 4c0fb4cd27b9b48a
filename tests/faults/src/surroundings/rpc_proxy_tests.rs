//! Each call gets the fate that was decided, which counts when it took effect.

use std::{convert::Infallible, sync::Mutex};

use super::*;

/// The timeouts of the requests that the upstream received, in order.
type Seen = Arc<Mutex<Vec<String>>>;

/// Serves an upstream that answers each request with its number, as gRPC does.
async fn numbering() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let records = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&records);
            let serve = service_fn(move |request: Request<Incoming>| {
                let timeout = request.headers().get("grpc-timeout").cloned();
                let timeout = timeout
                    .map_or_else(String::new, |timeout| timeout.to_str().unwrap().to_owned());
                let mut seen = seen.lock().unwrap();
                seen.push(timeout);
                let body = Bytes::from(seen.len().to_string());
                let trailers =
                    HeaderMap::from_iter([(STATUS.parse().unwrap(), "0".parse().unwrap())]);
                async move {
                    let body = Full::new(body).with_trailers(async { Some(Ok(trailers)) });
                    Ok::<_, Infallible>(Response::new(body))
                }
            });
            let server = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), serve));
        }
    });
    (address, seen)
}

/// Returns the status and the message of the reply, or `None` if the call was reset.
async fn call(proxy: &RpcProxy, path: &str) -> Option<(String, String)> {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let request = Request::post(format!("http://{}{path}", proxy.address()));
    let request = request.body(Full::new(Bytes::from("here"))).unwrap();
    let (parts, body) = client.request(request).await.ok()?.into_parts();
    let collected = body.collect().await.ok()?;
    let maps = [Some(&parts.headers), collected.trailers()];
    let status = maps
        .into_iter()
        .flatten()
        .find_map(|map| map.get(STATUS))
        .unwrap();
    let status = status.to_str().unwrap().to_owned();
    let message = collected.to_bytes();
    Some((status, String::from_utf8(message.to_vec()).unwrap()))
}

#[tokio::test]
async fn each_call_gets_the_fate_that_was_decided_which_counts_when_it_took_effect() {
    let while_ = Duration::from_millis(50);
    let reply = |number: &str| Some(("0".to_owned(), number.to_owned()));
    let lost = || Some(("14".to_owned(), String::new()));
    let repeat = |pause, second| RpcFault::Repeat { pause, second };
    for (fault, told, arrives, counts, timeout) in [
        (RpcFault::None, reply("1"), 1, 0, ""),
        (RpcFault::DropRequest(Loss::Unavailable), lost(), 0, 1, ""),
        (RpcFault::DropRequest(Loss::Reset), None, 0, 1, ""),
        (RpcFault::DropReply(Loss::Unavailable), lost(), 1, 1, ""),
        (RpcFault::DropReply(Loss::Reset), None, 1, 1, ""),
        (RpcFault::Delay(while_), reply("1"), 1, 1, ""),
        (RpcFault::DelayReply(while_), reply("1"), 1, 1, ""),
        (repeat(Some(while_), false), reply("1"), 2, 1, ""),
        (repeat(Some(while_), true), reply("2"), 2, 1, ""),
        (RpcFault::Late(while_, Loss::Unavailable), lost(), 1, 1, ""),
        (RpcFault::Late(while_, Loss::Reset), None, 1, 1, ""),
        (RpcFault::Deadline(Duration::ZERO), reply("1"), 1, 1, "0m"),
        (
            RpcFault::Deadline(10 * SILENCE),
            reply("1"),
            1,
            0,
            "120000m",
        ),
    ] {
        let (upstream, seen) = numbering().await;
        let proxy = RpcProxy::start(upstream).await;
        proxy.decide(move || fault);
        let began = Instant::now();
        assert_eq!(call(&proxy, "/school.Roll/Call").await, told, "{fault:?}");
        let is_delay = matches!(fault, RpcFault::Delay(_) | RpcFault::DelayReply(_));
        assert!(!is_delay || began.elapsed() >= while_);
        proxy.heal().await;
        let seen = seen.lock().unwrap().clone();
        assert_eq!((seen.len(), proxy.faults()), (arrives, counts), "{fault:?}");
        assert!(seen.iter().all(|seen| seen == timeout), "{seen:?}");
    }
}

#[tokio::test]
async fn silence_lasts_until_the_caller_gives_up_streams_pass_and_what_is_away_is_not_lost() {
    let (upstream, seen) = numbering().await;
    let proxy = RpcProxy::start(upstream).await;
    proxy.decide(|| RpcFault::DropReply(Loss::Silence));
    let silence = tokio::time::timeout(
        Duration::from_millis(200),
        call(&proxy, "/school.Roll/Call"),
    );
    assert!(silence.await.is_err(), "the caller was told");
    for path in ["/school.Roll/WatchEvents", "/grpc.health.v1.Health/Check"] {
        assert!(call(&proxy, path).await.is_some());
    }
    assert_eq!((seen.lock().unwrap().len(), proxy.faults()), (3, 1));
    let away = RpcProxy::start(homeroom_tests::free_address()).await;
    away.decide(|| RpcFault::DropReply(Loss::Reset));
    assert_eq!(call(&away, "/school.Roll/Call").await, None);
    assert_eq!(away.faults(), 0, "nothing was replied, so nothing lost");
}
