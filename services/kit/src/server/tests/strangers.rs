//! Connections without an authenticated call, while connections run short.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper_util::rt::TokioIo;

use super::*;

/// Connections of the server at most.
const CONNECTIONS: usize = 8;
/// How long a good client may wait, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A channel that counts how often it has connected.
async fn counted(address: SocketAddr, connects: Arc<AtomicUsize>) -> Channel {
    let connect = tower::service_fn(move |_: http::Uri| {
        connects.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, io::Error>(TokioIo::new(TcpStream::connect(address).await?)) }
    });
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect_with_connector(connect).await.unwrap()
}

async fn good_client_gets_in(server: &Running) {
    let good = async {
        let channel = counted(server.address, Arc::default()).await;
        let mut client = EventServiceClient::new(channel);
        client.list_events(server.request("any")).await
    };
    let answered = tokio::time::timeout(PATIENCE, good).await;
    answered.expect("the good client gets in").unwrap();
}

#[tokio::test]
async fn strangers_who_hold_every_connection_make_room_and_who_has_authenticated_stays() {
    let server = start(|options| {
        options.connections_max = CONNECTIONS;
        options.unauthenticated = Duration::from_millis(500);
    });
    let mut server = server.await;
    let connects = Arc::new(AtomicUsize::new(0));
    // Instead of the first, which is a stranger too.
    server.channel = counted(server.address, Arc::clone(&connects)).await;
    server.call(server.request("any")).await.unwrap();
    // They say no more than that they live, as their library does for them, and look at health.
    let mut strangers = Vec::new();
    for _ in 1..CONNECTIONS {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let stranger = endpoint.connect().await.unwrap();
        let watching = HealthClient::new(stranger.clone())
            .watch(HealthCheckRequest::default())
            .await;
        strangers.push((stranger, watching));
    }
    good_client_gets_in(&server).await;
    server.call(server.request("any")).await.unwrap();
    assert_eq!(connects.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stranger_stays_while_there_is_room() {
    let server = start(|options| options.unauthenticated = Duration::from_millis(1));
    let server = server.await;
    let mut watch = HealthClient::new(server.channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
    for (ready, status) in [(true, 1), (false, 2), (true, 1)] {
        server.health.set_ready(ready).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status, status);
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_makes_nobody_known() {
    let server = start(|options| {
        options.connections_max = 1;
        options.unauthenticated = Duration::from_millis(500);
    })
    .await;
    let mut bad = server.request("any");
    let value = "Bearer none".parse().unwrap();
    bad.metadata_mut().insert("authorization", value);
    let refused = server.call(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    good_client_gets_in(&server).await;
}
