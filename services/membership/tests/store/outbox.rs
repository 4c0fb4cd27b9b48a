//! Events and request ids.

use std::collections::BTreeMap;

use homeroom_kit::{
    outbox::{NewEvent, Scope},
    random::SystemRandomness,
};
use homeroom_membership::store::Repository;

use crate::{
    samples::{now, open, organization_id, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    r11_many_events_keep_the_order_in_which_they_were_given,
    r11_an_event_is_read_as_it_was_written_whatever_signs_are_in_it,
    r11_an_event_that_an_earlier_version_writes_has_its_place_too,
);

fn event(subject: &str) -> NewEvent {
    NewEvent {
        event_type: "member.joined".into(),
        organization: organization_id("hamilton"),
        class: None,
        subject: subject.to_owned(),
        actor: "ada".to_owned(),
        notify: vec![user("tess")],
        data: BTreeMap::from([("user".to_owned(), "sam".to_owned())]),
    }
}

async fn append(session: &mut Repository, events: &[NewEvent]) {
    let appended = session.outbox().append(events, now(), &SystemRandomness);
    appended.await.unwrap();
}

/// SQLite has one writer, so nothing commits late there.
#[tokio::test]
async fn r11_a_change_that_commits_late_is_read_by_who_has_read_later_ones() {
    let database = Database::postgres().await;
    let store = open(&database).await;
    let mut late = store.write().await.unwrap();
    append(&mut late, &[event("late")]).await;
    let mut early = store.write().await.unwrap();
    append(&mut early, &[event("early")]).await;
    early.commit("test").await.unwrap();
    let read = store.events(&Scope::Everything, 0, 10).await.unwrap();
    assert_eq!(read.last().unwrap().subject, "early");
    late.commit("test").await.unwrap();
    let after = read.last().unwrap().position;
    let rest = store.events(&Scope::Everything, after, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].subject, "late");
}

async fn r11_many_events_keep_the_order_in_which_they_were_given(database: &Database) {
    let store = open(database).await;
    let given: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
    let events: Vec<NewEvent> = given.iter().map(|subject| event(subject)).collect();
    let mut session = store.write().await.unwrap();
    append(&mut session, &events).await;
    session.commit("test").await.unwrap();
    let found = store.events(&Scope::Everything, 0, 10_000).await;
    let found = found.unwrap().into_iter();
    assert!(found.map(|event| event.subject).eq(given));
}

async fn r11_an_event_is_read_as_it_was_written_whatever_signs_are_in_it(database: &Database) {
    let store = open(database).await;
    let signs = "$$, $1); '' \\' \" \\u0024 \u{1f600} ; COMMIT; --";
    let mut written = event(signs);
    written.data.insert(signs.to_owned(), signs.to_owned());
    let mut session = store.write().await.unwrap();
    append(&mut session, &[written]).await;
    session.commit("test").await.unwrap();
    let found = store.events(&Scope::Everything, 0, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subject, signs);
    assert_eq!(found[0].data[signs], signs);
}

async fn r11_an_event_that_an_earlier_version_writes_has_its_place_too(database: &Database) {
    let store = open(database).await;
    let happens = async |subject: &str| {
        let mut session = store.write().await.unwrap();
        append(&mut session, &[event(subject)]).await;
        session.commit("test").await.unwrap();
    };
    happens("one").await;
    let insert = "INSERT INTO events (event_id, event_type, organization_id, class_id, subject, actor, notify, data, \
                  create_time) VALUES ('018c8f2e-0000-7000-8000-000000000001', 'member.joined', 'hamilton', NULL, \
                  'two', 'ada', '[]', '{}', 1), ('018c8f2e-0000-7000-8000-000000000002', 'member.joined', \
                  'hamilton', NULL, 'three', 'ada', '[]', '{}', 1)";
    database.run(insert).await;
    happens("four").await;
    let found = store.events(&Scope::Everything, 0, 10).await.unwrap();
    let found: Vec<(i64, &str)> = found
        .iter()
        .map(|event| (event.position, event.subject.as_str()))
        .collect();
    assert_eq!(found, [(1, "one"), (2, "two"), (3, "three"), (4, "four")]);
}
