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
    r11_many_events_keep_the_order_in_which_they_were_given,
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
        .outbox()
        .append(&[event("one"), event("two")], now(), &random)
        .await
        .unwrap();
    session.commit("test").await.unwrap();
    store.publish().await.unwrap();
    assert_eq!(store.publish().await.unwrap(), 0);
    let events = list().await;
    let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(subjects, ["one", "two"]);
    assert_eq!(events[0].notify, ["tess"]);
    assert_eq!(events[0].data["user"], "sam");
    assert_eq!(events[0].create_time, now());
    store.close().await;
}

/// SQLite has one writer, so that nothing commits late there.
#[tokio::test]
async fn r11_a_change_that_commits_late_is_read_by_who_has_read_later_ones() {
    let database = Database::postgres().await;
    let store = open(&database).await;
    let random = SeededRandomness::new(1);
    let feed = store.feed();
    let mut late = store.write().await.unwrap();
    late.outbox()
        .append(&[event("late")], now(), &random)
        .await
        .unwrap();
    let mut early = store.write().await.unwrap();
    early
        .outbox()
        .append(&[event("early")], now(), &random)
        .await
        .unwrap();
    early.commit("test").await.unwrap();
    store.publish().await.unwrap();
    let read = feed.list(&Scope::Everything, 0, 10).await.unwrap();
    assert_eq!(read.last().unwrap().subject, "early");
    late.commit("test").await.unwrap();
    store.publish().await.unwrap();
    let after = read.last().unwrap().position;
    let rest = feed.list(&Scope::Everything, after, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].subject, "late");
    store.close().await;
    database.end().await;
}

async fn r11_many_events_keep_the_order_in_which_they_were_given(database: &Database) {
    let store = open(database).await;
    let given: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    let events: Vec<NewEvent> = given.iter().map(|subject| event(subject)).collect();
    let mut session = store.write().await.unwrap();
    session
        .outbox()
        .append(&events, now(), &SeededRandomness::new(1))
        .await
        .unwrap();
    session.commit("test").await.unwrap();
    while store.publish().await.unwrap() > 0 {}
    let found = store.feed().list(&Scope::Everything, 0, 10_000).await;
    let found = found.unwrap().into_iter();
    assert!(found.map(|event| event.subject).eq(given));
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
    let claim = session
        .request_ids()
        .claim(&key, &body, now())
        .await
        .unwrap();
    assert_eq!(claim, Claim::New);
    session
        .request_ids()
        .complete(&key, b"answer")
        .await
        .unwrap();
    session.commit("test").await.unwrap();

    let mut session = store.write().await.unwrap();
    let replay = session
        .request_ids()
        .claim(&key, &body, now())
        .await
        .unwrap();
    assert_eq!(replay, Claim::Replay(b"answer".to_vec()));
    let other = BodyMac::of_bytes(&keys, b"another body");
    let conflict = session
        .request_ids()
        .claim(&key, &other, now())
        .await
        .unwrap();
    assert_eq!(conflict, Claim::Conflict);
    let edge = now();
    assert_eq!(
        session
            .request_ids()
            .prune_request_ids(edge, 10)
            .await
            .unwrap(),
        0
    );
    let past = edge + TimeDelta::microseconds(1);
    assert_eq!(
        session
            .request_ids()
            .prune_request_ids(past, 10)
            .await
            .unwrap(),
        1
    );
    let claim = session
        .request_ids()
        .claim(&key, &other, now())
        .await
        .unwrap();
    assert_eq!(claim, Claim::New);
}
