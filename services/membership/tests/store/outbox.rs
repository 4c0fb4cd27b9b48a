//! Events and request ids.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use homeroom_kit::{
    keys::KeyRing,
    outbox::{NewEvent, Scope},
    random::SeededRandomness,
    request_ids::{BodyMac, Claim, RequestKey},
};

use crate::{
    samples::{now, open, organization_id, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    r11_events_are_read_in_order_once_they_are_published,
    r3_a_request_id_replays_its_response_for_24_hours,
);

fn event(subject: &str) -> NewEvent {
    NewEvent {
        event_type: "member.joined",
        organization: organization_id("hamilton"),
        class: None,
        subject: subject.to_owned(),
        actor: "ada".to_owned(),
        notify: vec![user("tess")],
        data: BTreeMap::from([("user".to_owned(), "sam".to_owned())]),
    }
}

async fn r11_events_are_read_in_order_once_they_are_published(database: &Database) {
    let store = open(database).await;
    let random = SeededRandomness::new(1);
    let feed = store.feed();
    let list = async || feed.list(&Scope::Everything, 0, 10).await.unwrap();
    let mut session = store.write().await.unwrap();
    session
        .append_events(&[event("one"), event("two")], now(), &random)
        .await
        .unwrap();
    session.commit("test").await.unwrap();
    assert!(list().await.is_empty());
    assert_eq!(store.publish().await.unwrap(), 2);
    assert_eq!(store.publish().await.unwrap(), 0);
    let events = list().await;
    let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(subjects, ["one", "two"]);
    assert_eq!(events[0].notify, ["tess"]);
    assert_eq!(events[0].data["user"], "sam");
    assert_eq!(events[0].create_time, now());
    store.close().await;
}

async fn r3_a_request_id_replays_its_response_for_24_hours(database: &Database) {
    let store = open(database).await;
    let keys = KeyRing::generate(&SeededRandomness::new(1)).unwrap();
    let key = RequestKey {
        subject: "platform".to_owned(),
        acting_user: user("ada"),
        method: "/service/Method".to_owned(),
        request_id: uuid::Uuid::nil(),
    };
    let body = BodyMac::of_bytes(&keys, b"body");
    let mut session = store.write().await.unwrap();
    let claim = session.claim_request(&key, &body, now()).await.unwrap();
    assert_eq!(claim, Claim::New);
    session.complete_request(&key, b"answer").await.unwrap();
    session.commit("test").await.unwrap();

    let mut session = store.write().await.unwrap();
    let replay = session.claim_request(&key, &body, now()).await.unwrap();
    assert_eq!(replay, Claim::Replay(b"answer".to_vec()));
    let other = BodyMac::of_bytes(&keys, b"another body");
    let conflict = session.claim_request(&key, &other, now()).await.unwrap();
    assert_eq!(conflict, Claim::Conflict);
    let edge = now();
    assert_eq!(session.prune_requests(edge, 10).await.unwrap(), 0);
    let past = edge + TimeDelta::microseconds(1);
    assert_eq!(session.prune_requests(past, 10).await.unwrap(), 1);
    let claim = session.claim_request(&key, &other, now()).await.unwrap();
    assert_eq!(claim, Claim::New);
}
