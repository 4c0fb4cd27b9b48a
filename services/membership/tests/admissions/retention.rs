//! Ended requests past their retention do not say who asked; what came of them stays (F9).

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_membership::{
    app::retention::{FORGOTTEN_REQUESTS_BATCH, JOIN_REQUESTS_DAYS_MIN},
    domain::{
        admission::Outcome,
        join_request::{JoinRequest, State},
        member::Particulars,
    },
};

use crate::{
    harness::{OWNER, School, reason},
    support::{Database, on_both_engines},
};

on_both_engines!(
    f9_a_request_that_ended_long_ago_loses_who_asked_and_keeps_what_came_of_it,
    f9_requests_lose_their_people_in_batches,
);

/// Returns the days of the retention.
fn retention() -> TimeDelta {
    TimeDelta::days(i64::from(JOIN_REQUESTS_DAYS_MIN))
}

/// Deletes once what is past the shortest retention. Returns true if there may be more.
async fn forget(school: &School) -> bool {
    let forgotten = school.app.forget_persons_once(JOIN_REQUESTS_DAYS_MIN).await;
    forgotten.unwrap()
}

async fn f9_a_request_that_ended_long_ago_loses_who_asked_and_keeps_what_came_of_it(
    database: &Database,
) {
    let school = School::on(database).await;
    // Given one who is denied with a note, one who is denied a moment later, and one who waits,
    let [eve, bob, ann] = [
        school.queue("eve").await,
        school.queue("bob").await,
        school.queue("ann").await,
    ];
    school.deny(OWNER, &eve.name()).await.unwrap();
    let eve = school.request(&eve.name()).await;
    school.advance(TimeDelta::microseconds(1));
    school.deny(OWNER, &bob.name()).await.unwrap();
    let bob = school.request(&bob.name()).await;
    assert!(!eve.particulars.display_name.is_empty() && !eve.decide_note.is_empty());
    // when the first was denied just longer ago than requests are kept,
    school.clock.set(eve.decide_time.unwrap() + retention());
    assert!(!forget(&school).await);
    assert_eq!(school.request(&eve.name()).await, eve);
    school.advance(TimeDelta::microseconds(1));
    assert!(!forget(&school).await);
    // then it is as it was but for who asked, and the others are as they were,
    let nameless = JoinRequest {
        particulars: Particulars::default(),
        decide_note: String::new(),
        ..eve
    };
    assert_eq!(school.request(&nameless.name()).await, nameless);
    assert_eq!(school.request(&bob.name()).await, bob);
    assert_eq!(
        school.request(&ann.name()).await.particulars,
        ann.particulars
    );
    // and it stays decided.
    let again = school.approve(OWNER, &nameless.name()).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
}

async fn f9_requests_lose_their_people_in_batches(database: &Database) {
    let school = School::on(database).await;
    // Given one request more than a batch, all expired by the sweep,
    let count = usize::try_from(FORGOTTEN_REQUESTS_BATCH).unwrap() + 1;
    let all: Vec<_> = (0..count)
        .map(|number| school.joining(&format!("student-{number}")))
        .collect();
    for some in all.chunks(500) {
        assert_eq!(
            school.outcomes(some).await,
            vec![Outcome::Queued; some.len()]
        );
    }
    let last = school.queue("last").await;
    school.advance(TimeDelta::days(90));
    school.app.expire_join_requests().await.unwrap();
    // when their time is over, then one run deletes a batch, and the next the rest.
    school.advance(retention() + TimeDelta::microseconds(1));
    assert!(forget(&school).await);
    assert!(!forget(&school).await);
    let last = school.request(&last.name()).await;
    assert_eq!(
        (last.state, last.particulars),
        (State::Expired, Particulars::default())
    );
}
