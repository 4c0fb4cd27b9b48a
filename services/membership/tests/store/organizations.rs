//! Organizations and their seats.

use homeroom_membership::{domain::seat::Seats, store::InsertOutcome};

use crate::{
    samples::{hamilton, now, open, organization, organization_id, user, write, write_to_hamilton},
    support::{Database, on_both_engines},
};

on_both_engines!(
    an_organization_is_read_as_it_was_stored,
    b4_ids_and_prefixes_are_taken_once_and_stay_taken,
    organizations_are_listed_in_the_order_of_their_ids,
    p6_a_second_writer_sees_what_the_first_one_left,
    a_writer_that_is_dropped_leaves_nothing,
);

async fn an_organization_is_read_as_it_was_stored(database: &Database) {
    let store = open(database).await;
    let mut stored = organization("hamilton", "HAMILTON");
    let mut session = store.write().await.unwrap();
    session.insert_organization(&stored).await.unwrap();
    let found = session.organization(&stored.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&stored));
    "Hamilton High".clone_into(&mut stored.display_name);
    stored.labels.clear();
    stored.seat_limit = 0;
    stored.revision = 2;
    session.save_organization(&stored).await.unwrap();
    session.commit("test").await.unwrap();
    let mut session = store.read().await.unwrap();
    let found = session.organization(&stored.id).await.unwrap();
    assert_eq!(found, Some(stored.clone()));
    let seats = session.seats(&stored.id).await.unwrap();
    assert_eq!(seats, Some(Seats::default()));
    let nobody = session.organization(&organization_id("nowhere")).await;
    assert_eq!(nobody.unwrap(), None);
}

async fn b4_ids_and_prefixes_are_taken_once_and_stay_taken(database: &Database) {
    let (_store, mut session) = write(database).await;
    let first = organization("hamilton", "HAMILTON");
    session.insert_organization(&first).await.unwrap();
    for _ in 0..2 {
        let again = session.insert_organization(&first).await.unwrap();
        assert_eq!(again, InsertOutcome::IdTaken);
        let other = organization("other-hamilton", "HAMILTON");
        let same_prefix = session.insert_organization(&other).await.unwrap();
        assert_eq!(same_prefix, InsertOutcome::PrefixTaken);
        session.delete_organization(&first.id, now()).await.unwrap();
        assert_eq!(session.organization(&first.id).await.unwrap(), None);
    }
    // The transaction still works after the refusal.
    let other = organization("other-hamilton", "2HAMILTON");
    let inserted = session.insert_organization(&other).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    session.commit("test").await.unwrap();
}

async fn organizations_are_listed_in_the_order_of_their_ids(database: &Database) {
    let (_store, mut session) = write_to_hamilton(database).await;
    // Ids are ordered by bytes, not by a language's alphabet: `-` is before digits, digits before letters.
    for (id, prefix) in [("a-z", "P1"), ("ab1", "P2"), ("a1z", "P3"), ("abc", "P4")] {
        let inserted = session.insert_organization(&organization(id, prefix)).await;
        assert_eq!(inserted.unwrap(), InsertOutcome::Inserted);
    }
    for (after, member, expected) in [
        (None, None, &["a-z", "a1z", "ab1"][..]),
        (Some("ab1"), None, &["abc", "hamilton"]),
        (None, Some("tess"), &["hamilton"]),
        (None, Some("nobody"), &[]),
    ] {
        let (past, of) = (after.map(organization_id), member.map(user));
        let found = session.list_organizations(of.as_ref(), past.as_ref(), 3);
        let found = found.await.unwrap();
        let ids: Vec<_> = found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(ids, expected, "after {after:?} of {member:?}");
    }
}

async fn a_writer_that_is_dropped_leaves_nothing(database: &Database) {
    let store = open(database).await;
    let stored = organization("hamilton", "HAMILTON");
    let mut session = store.write().await.unwrap();
    session.insert_organization(&stored).await.unwrap();
    drop(session);
    let mut session = store.write().await.unwrap();
    assert_eq!(session.organization(&stored.id).await.unwrap(), None);
    let inserted = session.insert_organization(&stored).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
}

async fn p6_a_second_writer_sees_what_the_first_one_left(database: &Database) {
    let store = open(database).await;
    let id = organization_id("hamilton");
    let mut session = store.write().await.unwrap();
    hamilton(&mut session).await;
    session.commit("test").await.unwrap();

    let mut first = store.write().await.unwrap();
    let seats = first.lock_organization(&id).await.unwrap().unwrap();
    let waiting = {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move {
            let mut second = store.write().await.unwrap();
            second.lock_organization(&id).await.unwrap().unwrap()
        })
    };
    tokio::task::yield_now().await;
    let taken = Seats {
        waiting: 7,
        ..seats.take().unwrap()
    };
    first.save_seats(&id, &taken).await.unwrap();
    first.commit("test").await.unwrap();
    assert_eq!(waiting.await.unwrap(), taken);
    let mut session = store.write().await.unwrap();
    let nowhere = session.lock_organization(&organization_id("nowhere")).await;
    assert_eq!(nowhere.unwrap(), None);
}
