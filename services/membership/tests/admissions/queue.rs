//! The approval queue as people see it.

use chrono::TimeDelta;
use homeroom_membership::{
    domain::join_request::JoinRequestFilter,
    domain::{
        admission::{Outcome, Route},
        join_request::{Cause, State},
    },
};

use crate::{
    harness::{CO_TEACHER, OWNER, School, caller, class, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p2_who_waits_already_has_the_same_request,
    c11_staff_list_the_queue_newest_first_and_others_their_own,
);

async fn p2_who_waits_already_has_the_same_request(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    let mut locked = school.redemption("eve");
    locked.attempt.route = Route::Queue(Cause::CodeLocked);
    let second = school.admit(&locked).await;
    assert_eq!(second.outcome, Outcome::AlreadyPending);
    assert_eq!(second.join_request, Some(request.clone()));
    school.deny(OWNER, &request.name()).await.unwrap();
    let replayed = school.admit(&locked).await;
    assert_eq!(replayed.outcome, Outcome::AlreadyPending);
    assert_eq!(
        replayed.join_request.unwrap().state,
        State::Denied,
        "as it is now"
    );
}

async fn c11_staff_list_the_queue_newest_first_and_others_their_own(database: &Database) {
    let school = School::on(database).await;
    let mut names = Vec::new();
    for number in 0..5 {
        names.push(school.queue(&format!("student-{number}")).await.name());
        school.advance(TimeDelta::seconds(1));
    }
    school.deny(OWNER, &names[2]).await.unwrap();
    // Returns the numbers of the requests that are shown, in pages of three.
    let list = async |who: &str, shown: JoinRequestFilter| {
        let (mut numbers, mut token) = (Vec::<usize>::new(), String::new());
        loop {
            let page = school.app.paging.parse(3, &token, "queue").unwrap();
            let by = caller(who);
            let listed = school
                .app
                .list_join_requests(&by, class(), shown.clone(), &page);
            let listed = listed.await.unwrap();
            assert!(listed.items.len() <= 3);
            let number = |id| names.iter().position(|name| name.id == id).unwrap();
            numbers.extend(listed.items.iter().map(|request| number(request.id)));
            token = listed.next_page_token;
            if token.is_empty() {
                return numbers;
            }
        }
    };
    let everything = JoinRequestFilter::default();
    let of_user = |id: &str| JoinRequestFilter {
        user: Some(user(id)),
        ..JoinRequestFilter::default()
    };
    let of_state = |state| JoinRequestFilter {
        state: Some(state),
        ..JoinRequestFilter::default()
    };
    let of_cause = JoinRequestFilter {
        cause: Some(Cause::CodeLocked),
        ..JoinRequestFilter::default()
    };
    for (who, shown, expected) in [
        (CO_TEACHER, everything.clone(), vec![4, 3, 2, 1, 0]),
        (OWNER, of_state(State::Denied), vec![2]),
        (OWNER, of_user("student-1"), vec![1]),
        (OWNER, of_cause, vec![]),
        ("student-3", everything, vec![3]),
        ("student-3", of_user("student-1"), vec![]),
    ] {
        assert_eq!(list(who, shown).await, expected, "{who}");
    }
    // No request waits after its time, though no sweep came by.
    school.advance(TimeDelta::days(90));
    assert!(list(OWNER, of_state(State::Pending)).await.is_empty());
}
