//! More calls at once than a server takes.

use super::*;

/// What is refused of so many calls at once that hang, once one of them is.
async fn first_refusal(server: &Running, calls: usize) -> Status {
    let hanging = (0..calls).map(|_| Box::pin(server.call(server.request("hang"))));
    let first = futures::future::select_all(hanging);
    let first = tokio::time::timeout(Duration::from_secs(10), first).await;
    first.expect("one of them is refused").0.unwrap_err()
}

#[tokio::test]
async fn one_person_alone_does_not_make_the_service_shed_everybody() {
    let server = start(|_| {}).await;
    let refused = first_refusal(&server, CALLS_OF_A_PERSON_MAX + 1).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
}

#[tokio::test]
async fn beyond_what_the_process_can_carry_calls_are_refused_and_health_is_not() {
    let server = start(|options| options.calls_max = 1).await;
    let refused = first_refusal(&server, 2).await;
    assert_eq!(reason(&refused), ErrorReason::Overloaded);
    assert_eq!(server.serving(LIVENESS).await, 1);
}
