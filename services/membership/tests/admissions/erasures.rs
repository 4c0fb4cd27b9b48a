//! Erasure of a person: keys and outcomes stay (P1), each waiting request ends with one event (P5), and the counts stay
//! true (R13).

use homeroom_api::{common::v1::ErrorReason, membership::v1::EraseUserRequest, names::UserName};
use homeroom_kit::{
    Result,
    auth::Scope,
    erasure::{Replacement, pseudonym},
};
use homeroom_membership::domain::{admission::Outcome, join_request::State};
use uuid::Uuid;

use crate::{
    harness::{CO_TEACHER, School, caller, class, organization, reason, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p1_r13_an_erased_persons_admission_keeps_key_and_outcome_and_lets_nobody_in_again,
    p5_r13_what_an_erased_person_waits_for_is_closed_with_one_event_that_names_nobody,
    r13_an_erasure_is_made_once_for_each_pseudonym,
    r13_whoever_the_person_let_in_or_turned_away_keeps_what_was_decided,
    p6_r13_erasures_and_admissions_of_one_person_that_race_leave_true_counts,
);

fn replacement(id: &str, number: u128) -> Replacement {
    Replacement {
        user: user(id),
        by: pseudonym(Uuid::from_u128(number)).unwrap(),
    }
}

async fn erase(school: &School, by: &Replacement) -> Result<()> {
    let service = caller("invitations").with_scopes([Scope::Admit]);
    let request = EraseUserRequest {
        name: UserName(by.user.clone()).to_string(),
        ..EraseUserRequest::default()
    };
    school.app.erase_user(&service, &request, by.clone()).await
}

/// Returns true if the text contains her id, her address or her name; the word "event" does not count.
fn tells_of_eve(told: &str) -> bool {
    let marks = ["\"eve\"", "/eve", "eve@", "EVE"];
    marks.iter().any(|mark| told.contains(mark))
}

async fn p1_r13_an_erased_persons_admission_keeps_key_and_outcome_and_lets_nobody_in_again(
    database: &Database,
) {
    let school = School::with_seats(database, 1).await;
    let redemption = school.redemption("eve");
    assert_eq!(school.admit(&redemption).await.outcome, Outcome::Admitted);
    let by = replacement("eve", 1);
    erase(&school, &by).await.unwrap();
    school.assert_counts(0, 0).await;
    assert_eq!(school.member(&class(), "eve").await, None);
    // A late or repeated T2 meets somebody else's admission.
    let mut again = school.admit_all(std::slice::from_ref(&redemption)).await;
    assert_eq!(reason(again.remove(0)), ErrorReason::InvalidRequest);
    school.assert_counts(0, 0).await;
    let service = caller("invitations");
    let read = school.app.get_admission(&service, &redemption.redemption);
    let read = read.await.unwrap();
    assert_eq!((read.outcome, read.user), (Outcome::Admitted, by.by));
    // Another person can take the seat.
    let next = school.admit(&school.redemption("bob")).await;
    assert_eq!(next.outcome, Outcome::Admitted);
}

async fn p5_r13_what_an_erased_person_waits_for_is_closed_with_one_event_that_names_nobody(
    database: &Database,
) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    erase(&school, &replacement("eve", 1)).await.unwrap();
    school.assert_counts(0, 0).await;
    school.assert_ended(&request, "CLOSED").await;
    let stored = school.request(&request.name()).await;
    assert_eq!(stored.state, State::Closed);
    assert_eq!(stored.invitation, request.invitation);
    let erased = school.event("user.erased").await;
    assert_eq!(erased.subject, format!("users/{}", stored.user));
    let told = format!("{:?} {stored:?}", school.events().await);
    assert!(!tells_of_eve(&told), "{told}");
}

async fn r13_an_erasure_is_made_once_for_each_pseudonym(database: &Database) {
    let school = School::on(database).await;
    school.admit(&school.redemption("eve")).await;
    erase(&school, &replacement("eve", 1)).await.unwrap();
    // A person who joins under that id is not erased by a repetition,
    school.admit(&school.redemption("eve")).await;
    erase(&school, &replacement("eve", 1)).await.unwrap();
    school.assert_counts(1, 0).await;
    // but is by another erasure.
    erase(&school, &replacement("eve", 2)).await.unwrap();
    school.assert_counts(0, 0).await;
}

async fn r13_whoever_the_person_let_in_or_turned_away_keeps_what_was_decided(database: &Database) {
    let school = School::on(database).await;
    let [let_in, turned_away] = [school.queue("eve").await, school.queue("bob").await];
    school.approve(CO_TEACHER, &let_in.name()).await.unwrap();
    school.deny(CO_TEACHER, &turned_away.name()).await.unwrap();
    let by = replacement(CO_TEACHER, 1);
    erase(&school, &by).await.unwrap();
    for (request, state) in [(let_in, State::Approved), (turned_away, State::Denied)] {
        let stored = school.request(&request.name()).await;
        assert_eq!((stored.state, stored.user), (state, request.user));
        assert_eq!(stored.decided_by, by.by.as_str());
    }
    for place in [class(), organization()] {
        let member = school.member(&place, "eve").await.unwrap();
        assert_eq!(member.provenance.approved_by, by.by.as_str());
    }
    let told = format!("{:?}", school.events().await);
    assert!(!told.contains(CO_TEACHER), "{told}");
}

async fn p6_r13_erasures_and_admissions_of_one_person_that_race_leave_true_counts(
    database: &Database,
) {
    let school = School::with_seats(database, 5).await;
    school.make_fence().await;
    let redemptions: Vec<_> = (0..10).map(|_| school.redemption("eve")).collect();
    let admissions = redemptions
        .iter()
        .map(|one| school.admit_all(std::slice::from_ref(one)));
    let replacements: Vec<_> = (1..=5).map(|number| replacement("eve", number)).collect();
    let erasures = replacements.iter().map(|by| erase(&school, by));
    let (admitted, erased) = tokio::join!(
        futures::future::join_all(admissions),
        futures::future::join_all(erasures)
    );
    for answer in admitted.into_iter().flatten() {
        answer.unwrap();
    }
    for answer in erased {
        answer.unwrap();
    }
    let stays = i64::from(school.member(&class(), "eve").await.is_some());
    school.assert_counts(stays, 0).await;
    erase(&school, &replacement("eve", 6)).await.unwrap();
    school.assert_counts(0, 0).await;
    let told = format!("{:?}", school.events().await);
    assert!(!tells_of_eve(&told), "{told}");
}
