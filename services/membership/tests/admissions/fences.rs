//! Fences (C8, P7).

use std::{collections::BTreeSet, time::Duration};

use homeroom_kit::database::{Engine, Options};
use homeroom_membership::store::{self, Locks, Repository};

use crate::{
    harness::School,
    support::{Database, on_both_engines},
};

on_both_engines!(p6_a_fence_cannot_be_raised_past_an_admission_under_way,);

/// Locks the fences in shared mode, and nothing else.
async fn share(session: &mut Repository, fences: &BTreeSet<String>, school: &School) {
    let no_organization = BTreeSet::new();
    let locked = session.lock(fences, &no_organization, Locks::All, school.now());
    assert_eq!(locked.await.unwrap().fences, *fences);
}

async fn p6_a_fence_cannot_be_raised_past_an_admission_under_way(database: &Database) {
    let school = School::on(database).await;
    let impatient = Options {
        acquire_timeout: Duration::from_millis(100),
        lock_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let store = store::open(&database.url, impatient, false).await.unwrap();
    let invitation = school.redemption("eve").invitation;
    // The fence exists: the shared lock holds it, not the insert of its row.
    school.app.raise_fence(invitation.clone(), 0).await.unwrap();
    let mut admitting = school.app.store.write().await.unwrap();
    let shared = BTreeSet::from([invitation.clone()]);
    share(&mut admitting, &shared, &school).await;
    let raise = async || {
        let mut repository = store.write().await?;
        let stands = repository.raise_fence(&invitation, 1, school.now()).await?;
        repository.commit("test").await?;
        Ok::<_, homeroom_kit::database::Error>(stands)
    };
    assert!(raise().await.is_err(), "it waits for the admission");
    admitting.commit("test").await.unwrap();
    assert_eq!(raise().await.unwrap(), 1);
    // Two admissions hold a fence in shared mode: neither waits for the other.
    if database.url.engine() == Engine::Postgres {
        let mut first = school.app.store.write().await.unwrap();
        share(&mut first, &shared, &school).await;
        let mut second = store.write().await.unwrap();
        share(&mut second, &shared, &school).await;
        let facts = second.facts(&[school.redemption("eve").wanted()]).await;
        assert_eq!(facts.unwrap().fences[&invitation], 1);
        second.rollback().await;
        first.rollback().await;
    }
}
