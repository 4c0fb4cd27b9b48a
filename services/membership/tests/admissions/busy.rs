//! One organization, or one row, in trouble leaves the others alone.

use std::time::Duration;

use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_membership::{
    admission::{admit::AdmitRequest, lanes::WAITING_MAX},
    app::{classes, closing::CLOSED_TOGETHER_MAX},
    domain::{admission::Outcome, join_request::State, seat::Seats},
};
use tokio::time::timeout;

use crate::{
    harness::{ADMINISTRATOR, School, caller, class_name, reason},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p5_the_sweep_passes_over_an_organization_that_fails,
    p5_a_class_that_ends_closes_a_queue_of_any_length,
);

/// A transaction that waits for a lock fails after 5 seconds.
const SOONER_THAN_A_LOCK_TIMEOUT: Duration = Duration::from_secs(4);

const ANOTHER: &str = "organizations/another";

/// Returns a school beside another one, and a place there.
async fn two_schools(database: &Database) -> (School, Place) {
    let school = School::on(database).await;
    school.found(ANOTHER, 0).await;
    let elsewhere = Place::parse(&format!("{ANOTHER}/classes/bio-101")).unwrap();
    (school, elsewhere)
}

async fn submit(school: &School, batch: &[AdmitRequest]) -> Vec<homeroom_kit::Result<Outcome>> {
    let left = Some(Duration::from_millis(400));
    let answers = school.admissions.submit(batch.to_vec(), left).await;
    let answers = answers.unwrap().into_iter();
    let outcomes = answers.map(|answer| answer.map(|answer| answer.outcome));
    outcomes.collect()
}

#[tokio::test]
async fn p6_a_busy_organization_holds_up_no_other() {
    let database = Database::postgres().await;
    let (school, elsewhere) = two_schools(&database).await;
    // Given somebody who holds the other organization's lock
    let mut holder = school.app.store.write().await.unwrap();
    let held = holder.lock_organization(elsewhere.organization()).await;
    assert!(held.unwrap().is_some());
    // When redemptions of both come together, twice
    let waits = school.redemption_at(&elsewhere, "bob");
    for (first, last) in [("eve", "kim"), ("lee", "mia")] {
        let batch = [
            school.redemption(first),
            waits.clone(),
            school.redemption(last),
        ];
        // Then those of the free one are admitted, and the outcome of the other's is unknown.
        let mut answers = submit(&school, &batch).await;
        assert_eq!(answers.remove(2).unwrap(), Outcome::Admitted);
        let busy = reason(answers.remove(1));
        assert_eq!(busy, ErrorReason::DatabaseUnavailable);
        assert_eq!(answers.remove(0).unwrap(), Outcome::Admitted);
    }
    school.assert_counts(4, 0).await;
    // And when the lock is free, a repetition returns the outcome.
    holder.rollback().await;
    assert_eq!(school.admit(&waits).await.outcome, Outcome::Admitted);
    assert!(school.member(&elsewhere, "bob").await.is_some());
}

#[tokio::test]
async fn p6_a_fence_that_is_being_raised_holds_up_no_other_organization() {
    let database = Database::postgres().await;
    let (school, elsewhere) = two_schools(&database).await;
    for (number, there_before) in [false, true].into_iter().enumerate() {
        // Given a fence that another transaction is raising
        let waits = school.redemption_at(&elsewhere, &format!("bob-{number}"));
        let mut raising = school.app.store.write().await.unwrap();
        let raised = raising.raise_fence(&waits.invitation, 0, school.now());
        assert_eq!(raised.await.unwrap(), 0, "there before: {there_before}");
        // When redemptions of this invitation and of another organization come together
        let batch = [school.redemption(&format!("eve-{number}")), waits.clone()];
        let left = Some(Duration::from_secs(10));
        let submitted = timeout(
            SOONER_THAN_A_LOCK_TIMEOUT,
            school.admissions.submit(batch.to_vec(), left),
        );
        let mut answers = submitted.await.unwrap().unwrap();
        // Then the other one is admitted, and the outcome of this one is unknown.
        assert_eq!(reason(answers.remove(1)), ErrorReason::DatabaseUnavailable);
        assert_eq!(answers.remove(0).unwrap().outcome, Outcome::Admitted);
        raising.commit("test").await.unwrap();
        assert_eq!(school.admit(&waits).await.outcome, Outcome::Admitted);
    }
}

#[tokio::test]
async fn more_redemptions_than_may_wait_are_refused() {
    let database = Database::postgres().await;
    let school = School::on(&database).await;
    let too_many = vec![school.redemption("eve"); WAITING_MAX + 1];
    let refused = school.admissions.submit(too_many, None).await;
    let refused = refused.map(|rows| rows.len());
    assert_eq!(reason(refused), ErrorReason::Overloaded);
    school.assert_counts(0, 0).await;
}

#[tokio::test]
async fn p11_a_row_that_the_database_refuses_spoils_no_other() {
    let database = Database::postgres().await;
    let (school, elsewhere) = two_schools(&database).await;
    // PostgreSQL stores no NUL in text.
    let mut poisoned = school.redemption("bob");
    poisoned.particulars.display_name = "b\0b".to_owned();
    let batch = [
        school.redemption("eve"),
        poisoned,
        school.redemption_at(&elsewhere, "bob"),
        school.redemption("kim"),
    ];
    let mut answers = school.admit_all(&batch).await;
    let refused = answers.remove(1).unwrap_err();
    assert!(!refused.message().contains("NUL"), "{}", refused.message());
    for answer in answers {
        assert_eq!(answer.unwrap().outcome, Outcome::Admitted);
    }
    school.assert_counts(2, 0).await;
}

async fn p5_the_sweep_passes_over_an_organization_that_fails(database: &Database) {
    let (school, elsewhere) = two_schools(database).await;
    let mut waits = school.joining("bob");
    waits.place = elsewhere.clone();
    waits.redemption.place = Place::Organization(elsewhere.organization().clone());
    waits.invitation = format!("{elsewhere}/joinUrl");
    assert_eq!(school.admit(&waits).await.outcome, Outcome::Queued);
    school.queue("eve").await;
    // Given a count that cannot be lowered
    let save = async |seats: Seats| {
        let mut repository = school.app.store.write().await.unwrap();
        let saved = repository.save_seats(elsewhere.organization(), &seats);
        saved.await.unwrap();
        repository.commit("test").await.unwrap();
    };
    let none = Seats::default();
    save(none).await;
    school.advance(chrono::TimeDelta::days(90));
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 1);
    school.assert_counts(0, 0).await;
    save(Seats { waiting: 1, ..none }).await;
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 1);
}

async fn p5_a_class_that_ends_closes_a_queue_of_any_length(database: &Database) {
    let school = School::on(database).await;
    let count = usize::try_from(CLOSED_TOGETHER_MAX).unwrap() + 1;
    let batch: Vec<_> = (0..count)
        .map(|number| school.joining(&format!("student-{number}")))
        .collect();
    let answers = school.admit_all(&batch).await;
    let first = answers[0].as_ref().unwrap().join_request.clone().unwrap();
    let administrator = caller(ADMINISTRATOR);
    let archive = school.change(&administrator, |change| {
        Box::pin(async move {
            let archived = classes::archive(change, class_name(), String::new());
            archived.await.map(drop)
        })
    });
    archive.await.unwrap();
    assert_eq!(school.request(&first.name()).await.state, State::Closed);
    assert_eq!(school.count("join_request.closed").await, count);
    let types = school.event_types().await;
    assert_eq!(types.last().map(String::as_str), Some("class.archived"));
    school.assert_counts(0, 0).await;
}
