//! Fences (C8, P7).

use std::{collections::BTreeSet, time::Duration};

use homeroom_kit::database::{Engine, Options};
use homeroom_membership::{
    domain::admission::Outcome,
    store::{self, Locks, Repository},
};

use crate::{
    harness::{School, class},
    support::{Database, on_both_engines},
};

on_both_engines!(
    c8_p7_nothing_below_an_answered_fence_is_admitted,
    p7_a_fence_is_never_lowered,
    p6_a_fence_cannot_be_raised_past_an_admission_under_way,
);

async fn c8_p7_nothing_below_an_answered_fence_is_admitted(database: &Database) {
    let school = School::on(database).await;
    let before = school.redemption("eve");
    assert_eq!(
        school
            .app
            .raise_fence(before.invitation.clone(), 1)
            .await
            .unwrap(),
        1
    );
    let stale = school.admit(&before).await;
    assert_eq!(stale.outcome, Outcome::StaleEpoch);
    assert!(school.member(&class(), "eve").await.is_none());
    let mut living = school.redemption("eve");
    living.attempt.epoch = 1;
    assert_eq!(school.admit(&living).await.outcome, Outcome::Admitted);
    let other = school.joining("bob");
    assert_eq!(
        school.admit(&other).await.outcome,
        Outcome::Queued,
        "another invitation's"
    );
    school.assert_counts(1, 1).await;
}

async fn p7_a_fence_is_never_lowered(database: &Database) {
    let school = School::on(database).await;
    let invitation = school.redemption("eve").invitation;
    for (raised, stands) in [(3, 3), (2, 3), (0, 3), (4, 4)] {
        let answered = school
            .app
            .raise_fence(invitation.clone(), raised)
            .await
            .unwrap();
        assert_eq!(answered, stands);
    }
}

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
    let store = store::connect(&database.url, impatient).await.unwrap();
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
