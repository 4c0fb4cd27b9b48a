//! Writes complete even if the caller has gone (P12), and batches may be regrouped (P11).

use std::{collections::BTreeMap, fmt::Debug, future::Future, pin::Pin, time::Duration};

use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_membership::domain::{admission::Outcome, join_request::State};

use crate::{
    harness::{OWNER, School, class, organization, reason},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p12_an_admission_a_decision_and_a_fence_finish_though_their_caller_has_gone,
    p11_batches_are_regrouped_on_retry,
);

/// The longest time that a test waits for an expected condition, in seconds.
const SECONDS_MAX: u64 = 20;

const INVITE_TOKEN: &str = "organizations/hamilton/inviteToken";

/// Begins a call while another transaction holds what it needs, and stops waiting for it once its write is in progress.
async fn call_and_go<Call: Future<Output: Debug>>(school: &School, mut call: Pin<Box<Call>>) {
    let mut holder = school.app.store.write().await.unwrap();
    for invitation in [format!("{}/classCode", class()), INVITE_TOKEN.to_owned()] {
        let raised = holder.raise_fence(&invitation, 9, school.now());
        raised.await.unwrap();
    }
    let organization = organization();
    let held = holder.lock_organization(organization.organization());
    held.await.unwrap();
    let begun = async {
        while school.app.writes.under_way() == 0 {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(SECONDS_MAX);
    tokio::select! {
        answer = &mut call => panic!("it was answered without its locks: {answer:?}"),
        begun = tokio::time::timeout(limit, begun) => begun.unwrap(),
    }
    drop(call);
    holder.rollback().await;
    let finished = school.app.writes.finished();
    tokio::time::timeout(limit, finished).await.unwrap();
}

async fn p12_an_admission_a_decision_and_a_fence_finish_though_their_caller_has_gone(
    database: &Database,
) {
    let school = School::with_seats(database, 2).await;
    school.make_fence().await;
    let waiting = school.queue("bob").await.name();
    // When callers go while their write is in progress, then it completes.
    let redemption = school.redemption("eve");
    call_and_go(&school, Box::pin(school.admit(&redemption))).await;
    assert!(school.member(&class(), "eve").await.is_some());
    call_and_go(&school, Box::pin(school.approve(OWNER, &waiting))).await;
    assert_eq!(school.request(&waiting).await.state, State::Approved);
    let fence = INVITE_TOKEN.to_owned();
    call_and_go(&school, Box::pin(school.app.raise_fence(fence.clone(), 7))).await;
    assert_eq!(school.app.raise_fence(fence, 0).await.unwrap(), 7);
    // And a repetition returns its outcome.
    assert_eq!(school.admit(&redemption).await.outcome, Outcome::Admitted);
    let again = school.approve(OWNER, &waiting).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
    school.assert_counts(2, 0).await;
}

async fn p11_batches_are_regrouped_on_retry(database: &Database) {
    let school = School::with_seats(database, 2).await;
    let elsewhere = "organizations/another";
    school.found(elsewhere, 0).await;
    let elsewhere = Place::parse(elsewhere).unwrap();
    let sent = [
        school.redemption("eve"),
        school.joining("bob"),
        school.redemption_at(&elsewhere, "eve"),
        school.redemption("kim"),
        school.redemption("lee"),
    ];
    let answers = async |batch: &[usize]| {
        let requests: Vec<_> = batch.iter().map(|index| sent[*index].clone()).collect();
        let outcomes = school.outcomes(&requests).await;
        let answers = batch.iter().copied().zip(outcomes);
        answers.collect::<BTreeMap<usize, Outcome>>()
    };
    // Given lost answers to a batch of three and to one by itself
    let mut first = answers(&[0, 1, 2]).await;
    first.extend(answers(&[3]).await);
    // When they are requested again in other batches, each more than once, together with a new one
    for batch in [&[2, 0][..], &[1, 3, 4], &[4, 2, 1, 0, 3], &[0], &[3, 0, 1]] {
        for (index, outcome) in answers(batch).await {
            // Then each has one answer, whatever else is in its batch.
            assert_eq!(*first.entry(index).or_insert(outcome), outcome, "{batch:?}");
        }
    }
    assert_eq!(first[&0], Outcome::Admitted);
    assert_eq!(first[&1], Outcome::Queued);
    let too_late = Outcome::Refused(ErrorReason::NoSeats);
    assert_eq!(first[&4], too_late);
    school.assert_counts(2, 1).await;
}
