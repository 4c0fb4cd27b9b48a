//! Calls without an access token are limited, and a probe is always answered.

use futures::FutureExt as _;
use tonic_health::pb::HealthCheckResponse;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};

use super::*;

/// The time within which a place must become free, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens another connection to the server.
async fn channel(server: &Running) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    endpoint.connect().await.unwrap()
}

async fn watch(channel: &Channel) -> Result<tonic::Streaming<HealthCheckResponse>, Status> {
    let watch = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await;
    watch.map(Response::into_inner)
}

#[tokio::test]
async fn a_watch_of_health_is_sent_changes_alone() {
    let server = start(|_| {}).await;
    let mut watching = watch(&server.channel).await.unwrap();
    assert_eq!(watching.message().await.unwrap().unwrap().status, 2);
    for _ in 0..2 {
        server.health.set_ready(false).await;
        // Everything sent before this answer has arrived with it.
        server.call(server.request("any")).await.unwrap();
        assert!(watching.message().now_or_never().is_none());
    }
    server.health.set_ready(true).await;
    assert_eq!(watching.message().await.unwrap().unwrap().status, 1);
}

#[tokio::test]
async fn so_many_watches_of_health_are_open_at_once_and_probes_are_answered_beyond() {
    let server = start(|_| {}).await;
    let mut held = Vec::new();
    while held.len() < HEALTH_CALLS_MAX {
        let channel = channel(&server).await;
        // One place of each connection is left for the following calls.
        for _ in 1..STREAMS_PER_CONNECTION_MAX {
            if held.len() < HEALTH_CALLS_MAX {
                held.push((watch(&channel).await.unwrap(), channel.clone()));
            }
        }
    }
    let other = channel(&server).await;
    let refused = watch(&other).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
    assert_eq!(server.serving(LIVENESS).await, 1);
    server.call(server.request("any")).await.unwrap();
    held.truncate(1);
    // The server learns of it a moment later.
    let free = async { while watch(&other).await.is_err() {} };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn so_many_calls_of_reflection_are_under_way_at_once() {
    let server = start(|_| {}).await;
    // The returned value keeps the call open.
    let reflect = async || {
        let (open, requests) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        let answers = ServerReflectionClient::new(server.channel.clone())
            .server_reflection_info(requests)
            .await?;
        Ok::<_, Status>((open, answers))
    };
    let mut held = Vec::new();
    for _ in 0..REFLECTION_CALLS_MAX {
        held.push(reflect().await.unwrap());
    }
    let refused = reflect().await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
    // Health has its own places.
    watch(&server.channel).await.unwrap();
    held.pop();
    let free = async { while reflect().await.is_err() {} };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn a_message_without_a_token_may_have_4_kib_and_not_a_byte_more() {
    let server = start(|_| {}).await;
    // The tag and a length of two bytes precede the text.
    let longest = OPEN_MESSAGE_BYTES_MAX - 3;
    let mut health = HealthClient::new(server.channel.clone());
    let mut check = async |chars: usize| {
        let service = "s".repeat(chars);
        health.check(HealthCheckRequest { service }).await
    };
    assert_eq!(check(longest).await.unwrap_err().code(), Code::NotFound);
    let refused = check(longest + 1).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::MessageTooLarge);
    assert!(refused.message().contains("4096 bytes"), "{refused}");
}
