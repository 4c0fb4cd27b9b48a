//! More concurrent calls than a server accepts.

use super::*;

/// Returns the first refusal among this many concurrent calls that hang.
async fn first_refusal(server: &Running, calls: usize) -> Status {
    let hanging = (0..calls).map(|_| Box::pin(server.call(server.request("hang"))));
    let first = futures::future::select_all(hanging);
    let first = tokio::time::timeout(Duration::from_secs(10), first).await;
    first.expect("one of them is refused").0.unwrap_err()
}

#[tokio::test]
async fn beyond_what_the_process_can_carry_calls_are_refused_and_health_is_not() {
    let server = start(|options| options.calls_max = 1).await;
    let refused = first_refusal(&server, 2).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
    assert_eq!(server.serving(LIVENESS).await, 1);
}

#[tokio::test]
async fn a_call_is_refused_before_its_token_is_looked_at() {
    let server = start(|options| options.calls_max = 0).await;
    let mut unknown = server.request("any");
    unknown.metadata_mut().remove("authorization");
    let refused = server.call(unknown).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
}

#[tokio::test]
async fn a_call_has_its_place_until_it_is_answered_and_a_watch_until_it_begins() {
    let server = start(|options| options.calls_max = 1).await;
    let bearer = server.request("any").metadata().clone();
    let mut watch = Request::new(WatchEventsRequest::default());
    *watch.metadata_mut() = bearer;
    let mut client = EventServiceClient::new(server.channel.clone());
    let _watching = client.watch_events(watch).await.unwrap();
    for _ in 0..3 {
        server.call(server.request("any")).await.unwrap();
    }
}
