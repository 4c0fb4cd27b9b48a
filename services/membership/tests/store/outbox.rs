//! Events and request ids.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::{
    outbox::{NewEvent, Pruned, Scope},
    random::SystemRandomness,
};
use homeroom_membership::store::{Repository, Store};
use sqlx::{Connection as _, PgConnection};

use crate::{
    samples::{BIO, HAMILTON, now, open, organization_id, place, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    r11_many_events_keep_the_order_in_which_they_were_given,
    r11_an_event_is_read_as_it_was_written_whatever_signs_are_in_it,
    r11_an_event_that_an_earlier_version_writes_has_its_place_too,
    f9_old_events_are_pruned_in_batches_from_the_beginning_and_the_newest_stays,
    f9_an_event_that_a_wrong_clock_dated_later_keeps_those_after_it,
    f9_what_was_pruned_is_known_of_each_feed,
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

/// Writes events, each at its time.
async fn happen(store: &Store, events: &[(NewEvent, DateTime<Utc>)]) {
    for (event, time) in events {
        let mut session = store.write().await.unwrap();
        let event = std::slice::from_ref(event);
        let appended = session.outbox().append(event, *time, &SystemRandomness);
        appended.await.unwrap();
        session.commit("test").await.unwrap();
    }
}

async fn prune(store: &Store, before: DateTime<Utc>, limit: u32) -> u64 {
    let mut session = store.write().await.unwrap();
    let pruned = session.outbox().prune_events(before, limit).await.unwrap();
    session.commit("test").await.unwrap();
    pruned
}

async fn kept(store: &Store) -> Vec<(i64, String)> {
    let events = store.events(&Scope::Everything, 0, 100).await.unwrap();
    let kept = events.into_iter();
    kept.map(|event| (event.position, event.subject)).collect()
}

/// Returns a store with events a to e, a day apart from now on.
async fn five_days(database: &Database) -> Arc<Store> {
    let store = open(database).await;
    let days = ["a", "b", "c", "d", "e"].into_iter().zip(0..);
    let events = days.map(|(subject, day)| (event(subject), now() + TimeDelta::days(day)));
    happen(&store, &events.collect::<Vec<_>>()).await;
    store
}

async fn f9_old_events_are_pruned_in_batches_from_the_beginning_and_the_newest_stays(
    database: &Database,
) {
    let store = five_days(database).await;
    assert_eq!(prune(&store, now(), 2).await, 0);
    let third = now() + TimeDelta::days(2) + TimeDelta::microseconds(1);
    assert_eq!(prune(&store, third, 2).await, 2);
    assert_eq!(prune(&store, third, 2).await, 1);
    assert_eq!(prune(&store, third, 2).await, 0);
    let last = [(4, "d".to_owned()), (5, "e".to_owned())];
    assert_eq!(kept(&store).await, last);

    // All are old: the newest stays, and the next one follows it.
    let later = now() + TimeDelta::days(100);
    assert_eq!(prune(&store, later, 9).await, 1);
    assert_eq!(prune(&store, later, 9).await, 0);
    happen(&store, &[(event("f"), later)]).await;
    let last = [(5, "e".to_owned()), (6, "f".to_owned())];
    assert_eq!(kept(&store).await, last);
}

async fn f9_an_event_that_a_wrong_clock_dated_later_keeps_those_after_it(database: &Database) {
    let store = open(database).await;
    let ahead = now() + TimeDelta::days(10);
    let times = [now(), ahead, now(), now()];
    let events = times.map(|time| (event("x"), time));
    happen(&store, &events).await;
    let before = now() + TimeDelta::days(1);
    assert_eq!(prune(&store, before, 9).await, 1);
    assert_eq!(prune(&store, before, 9).await, 0);
    assert_eq!(prune(&store, ahead + TimeDelta::days(1), 9).await, 2);
}

async fn f9_what_was_pruned_is_known_of_each_feed(database: &Database) {
    let store = open(database).await;
    let in_class = NewEvent {
        class: place(BIO).class().cloned(),
        ..event("a")
    };
    let elsewhere = NewEvent {
        organization: organization_id("jefferson"),
        ..event("c")
    };
    let day = |day| now() + TimeDelta::days(day);
    let events = [
        (in_class, day(0)),
        (event("b"), day(1)),
        (elsewhere, day(2)),
        (event("d"), day(3)),
    ];
    happen(&store, &events).await;
    let scopes = [
        Scope::Everything,
        Scope::Place(place(HAMILTON)),
        Scope::Place(place(BIO)),
        Scope::Place(place("organizations/jefferson")),
    ];
    for scope in &scopes {
        assert_eq!(store.pruned_events(scope).await.unwrap(), None);
    }
    // Recorded in two steps, of which the second moves on.
    assert_eq!(prune(&store, day(1), 9).await, 1);
    assert_eq!(prune(&store, day(9), 9).await, 2);
    let pruned = |position, at| {
        Some(Pruned {
            position,
            till: day(at),
        })
    };
    let expected = [pruned(3, 2), pruned(2, 1), pruned(1, 0), pruned(3, 2)];
    for (scope, expected) in scopes.iter().zip(expected) {
        assert_eq!(store.pruned_events(scope).await.unwrap(), expected);
    }
}

/// SQLite has one writer, so nobody is in the way there.
#[tokio::test]
async fn f9_pruning_waits_for_nobody_and_nobody_for_it() {
    let database = Database::postgres().await;
    let store = five_days(&database).await;
    // Given an erasure that is rewriting the third event, and another process that prunes the first two,
    let mut erasure = PgConnection::connect(database.postgres_url())
        .await
        .unwrap();
    let rewrite = "BEGIN; UPDATE events SET actor = 'erased-1' WHERE subject = 'c'";
    sqlx::raw_sql(rewrite).execute(&mut erasure).await.unwrap();
    let mut other = store.write().await.unwrap();
    let later = now() + TimeDelta::days(100);
    let pruned = other.outbox().prune_events(later, 2).await.unwrap();
    assert_eq!(pruned, 2);

    // when this one prunes, and a change is made, then neither waits,
    assert_eq!(prune(&store, later, 9).await, 0);
    happen(&store, &[(event("f"), later)]).await;
    other.commit("test").await.unwrap();
    // and pruning stops before the event that is locked, so that what is kept is the feed's whole end.
    assert_eq!(prune(&store, later, 9).await, 0);
    sqlx::raw_sql("COMMIT").execute(&mut erasure).await.unwrap();
    assert_eq!(prune(&store, later, 9).await, 3);
    assert_eq!(kept(&store).await, [(6, "f".to_owned())]);
}
