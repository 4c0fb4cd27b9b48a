//! T2 of the redemption protocol.

use std::sync::Arc;

use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_membership::{
    admission::plan::Admission,
    domain::{
        admission::{Outcome, Route},
        join_request::{Cause, State},
    },
};

use crate::{
    harness::{School, class, organization, reason, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p1_a_redemption_is_answered_the_same_for_ever,
    p1_a_redemption_sent_fifty_times_at_once_admits_once,
    p1_a_redemption_stands_for_one_person_and_place,
    b14_fifty_at_once_on_one_free_seat_admit_exactly_one,
    r2_p8_who_waits_is_admitted_at_once_and_the_request_closed,
    p11_a_batch_seats_each_person_once_and_only_as_many_as_there_are_seats,
    p11_a_row_that_fails_leaves_the_others,
    i8_two_organizations_in_one_batch_stay_apart,
    p6_batches_that_cross_do_not_deadlock,
    p8_a_request_filed_and_closed_in_one_batch_tells_both,
);

async fn p1_a_redemption_is_answered_the_same_for_ever(database: &Database) {
    let school = School::on(database).await;
    let admitted = school.redemption("eve");
    let queued = school.joining("bob");
    let first = school.admit(&admitted).await;
    let waiting = school.admit(&queued).await;
    assert!(!first.answered_before && !waiting.answered_before);
    // A repetition says that it is one, and is otherwise the same.
    let again = |answer: Admission| Admission {
        answered_before: true,
        ..answer
    };
    let (first, waiting) = (again(first), again(waiting));
    assert_eq!(school.admit(&admitted).await, first);
    assert_eq!(school.admit(&queued).await, waiting);
    let invitation = admitted.invitation.clone();
    school.app.raise_fence(invitation, 9).await.unwrap();
    let again = school.admit(&admitted).await;
    assert_eq!(again, first, "a fence changes no answer");
    school.remove(&organization(), "eve").await;
    let gone = school.admit(&admitted).await;
    assert_eq!(gone.outcome, Outcome::Admitted);
    assert_eq!(gone.member, None, "the membership is over");
    let member = school.member(&class(), "eve").await;
    assert_eq!(member, None, "and stays over");
    let (joined, asked) = ("member.joined", "join_request.created");
    assert_eq!(school.event_types().await, [joined, joined, asked]);
    school.assert_counts(0, 1).await;
}

async fn p1_a_redemption_sent_fifty_times_at_once_admits_once(database: &Database) {
    let school = Arc::new(School::with_seats(database, 5).await);
    let redemption = school.redemption("eve");
    school.make_fence().await;
    let sent = (0..50).map(|_| school.admitting(redemption.clone()));
    for answer in futures::future::join_all(sent).await {
        assert_eq!(answer.unwrap(), Outcome::Admitted);
    }
    assert_eq!(school.events().await.len(), 2);
    school.assert_counts(1, 0).await;
}

async fn p1_a_redemption_stands_for_one_person_and_place(database: &Database) {
    let school = School::on(database).await;
    let redemption = school.redemption("eve");
    school.admit(&redemption).await;
    let mut another = redemption.clone();
    another.user = user("bob");
    let mut elsewhere = redemption.clone();
    elsewhere.place = organization();
    for wrong in [another, elsewhere] {
        let answer = school.admit_all(&[wrong]).await.remove(0);
        assert_eq!(reason(answer), ErrorReason::InvalidRequest);
    }
    assert!(school.member(&organization(), "bob").await.is_none());
}

async fn b14_fifty_at_once_on_one_free_seat_admit_exactly_one(database: &Database) {
    let school = Arc::new(School::with_seats(database, 1).await);
    school.make_fence().await;
    let redemptions = (0..50).map(|number| school.redemption(&format!("student-{number}")));
    let sent = redemptions.map(|redemption| school.admitting(redemption));
    let mut admitted = 0;
    for answer in futures::future::join_all(sent).await {
        match answer.unwrap() {
            Outcome::Admitted => admitted += 1,
            other => assert_eq!(other, Outcome::Refused(ErrorReason::NoSeats)),
        }
    }
    assert_eq!(admitted, 1);
    school.assert_counts(1, 0).await;
}

async fn r2_p8_who_waits_is_admitted_at_once_and_the_request_closed(database: &Database) {
    let school = School::with_seats(database, 1).await;
    let waiting = school.queue("eve").await;
    let mut organization_wide = school.redemption_at(&organization(), "eve");
    organization_wide.attempt.route = Route::Queue(Cause::GuessGuard);
    school.admit(&organization_wide).await;
    school.assert_counts(0, 2).await;
    let admitted = school.admit(&school.redemption("eve")).await;
    assert_eq!(admitted.outcome, Outcome::Admitted);
    school.assert_counts(1, 0).await;
    let closed = school.request(&waiting.name()).await;
    assert_eq!(closed.state, State::Closed);
    assert_eq!(closed.decided_by, "system");
    let mut events = school.events().await;
    events.retain(|event| event.event_type == "join_request.closed");
    assert_eq!(events.len(), 2, "of the class and of the organization");
    let of_class = events.iter().find(|event| event.class.is_some()).unwrap();
    assert_eq!(of_class.subject, waiting.name().to_string());
    assert_eq!(of_class.data["redemption"], waiting.redemption);
    assert_eq!(of_class.data["invitation"], waiting.invitation);
    assert_eq!(of_class.data["state"], "CLOSED");
}

async fn p11_a_batch_seats_each_person_once_and_only_as_many_as_there_are_seats(
    database: &Database,
) {
    let school = School::with_seats(database, 2).await;
    let first = school.redemption("eve");
    let batch = [
        first.clone(),
        school.redemption("eve"),
        first.clone(),
        school.redemption("bob"),
        school.redemption("kim"),
        school.redemption("ada"),
        school.joining("lee"),
        school.joining("lee"),
    ];
    let outcomes = school.outcomes(&batch).await;
    assert_eq!(
        outcomes,
        [
            Outcome::Admitted,
            Outcome::AlreadyMember,
            Outcome::Admitted,
            Outcome::Admitted,
            Outcome::Refused(ErrorReason::NoSeats),
            Outcome::Admitted,
            Outcome::Queued,
            Outcome::AlreadyPending,
        ]
    );
    school.assert_counts(2, 1).await;
    let again = school.outcomes(&batch).await;
    assert_eq!(again, outcomes, "regrouped or not, the answers stand");
    school.assert_counts(2, 1).await;
}

async fn p11_a_row_that_fails_leaves_the_others(database: &Database) {
    let school = School::on(database).await;
    let first = school.redemption("eve");
    let mut wrong = first.clone();
    wrong.user = user("mallory");
    let batch = [first, wrong, school.redemption("bob")];
    let mut answers = school.admit_all(&batch).await;
    assert_eq!(answers.pop().unwrap().unwrap().outcome, Outcome::Admitted);
    assert_eq!(reason(answers.pop().unwrap()), ErrorReason::InvalidRequest);
    assert_eq!(answers.pop().unwrap().unwrap().outcome, Outcome::Admitted);
    school.assert_counts(2, 0).await;
}

async fn i8_two_organizations_in_one_batch_stay_apart(database: &Database) {
    let school = School::with_seats(database, 1).await;
    school.found("organizations/another", 0).await;
    let elsewhere = Place::parse("organizations/another/classes/bio-101").unwrap();
    let batch = [
        school.redemption("eve"),
        school.redemption_at(&elsewhere, "eve"),
        school.redemption_at(&elsewhere, "bob"),
        school.redemption("bob"),
    ];
    let outcomes = school.outcomes(&batch).await;
    assert_eq!(
        outcomes,
        [
            Outcome::Admitted,
            Outcome::Admitted,
            Outcome::Admitted,
            Outcome::Refused(ErrorReason::NoSeats),
        ]
    );
    school.assert_counts(1, 0).await;
    assert!(school.member(&elsewhere, "bob").await.is_some());
    assert!(school.member(&class(), "bob").await.is_none());
}

async fn p6_batches_that_cross_do_not_deadlock(database: &Database) {
    let school = Arc::new(School::on(database).await);
    let mut places = vec![class()];
    for number in 0..4 {
        let name = format!("organizations/school-{number}");
        school.found(&name, 0).await;
        places.push(Place::parse(&format!("{name}/classes/bio-101")).unwrap());
    }
    let sent = (0..20).map(|number: usize| {
        let name = format!("student-{number}");
        let batch = places
            .iter()
            .map(|place| school.redemption_at(place, &name));
        let mut batch: Vec<_> = batch.collect();
        batch.rotate_left(number % places.len());
        let school = school.clone();
        tokio::spawn(async move { school.outcomes(&batch).await })
    });
    for outcomes in futures::future::join_all(sent.collect::<Vec<_>>()).await {
        assert_eq!(outcomes.unwrap(), [Outcome::Admitted; 5]);
    }
    school.assert_counts(20, 0).await;
}

async fn p8_a_request_filed_and_closed_in_one_batch_tells_both(database: &Database) {
    let school = School::on(database).await;
    let batch = [school.joining("eve"), school.redemption("eve")];
    let answers = school.admit_all(&batch).await;
    let filed = answers[0].as_ref().unwrap();
    assert_eq!(filed.outcome, Outcome::Queued);
    assert_eq!(filed.join_request.as_ref().unwrap().state, State::Closed);
    assert_eq!(answers[1].as_ref().unwrap().outcome, Outcome::Admitted);
    let (created, closed) = ("join_request.created", "join_request.closed");
    let expected = [created, closed, "member.joined", "member.joined"];
    assert_eq!(school.event_types().await, expected);
    school.assert_counts(1, 0).await;
}
