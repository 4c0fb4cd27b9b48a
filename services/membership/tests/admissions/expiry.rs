//! Requests that nobody decided.

use chrono::TimeDelta;
use homeroom_api::common::v1::ErrorReason;
use homeroom_membership::{
    app::expire_join_requests::SWEEP_REQUESTS_MAX, domain::admission::Outcome,
    domain::join_request::State,
};

use crate::{
    harness::{OWNER, School, organization, reason},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p5_the_sweep_expires_each_request_once_with_one_event,
    p5_the_sweep_goes_on_past_one_batch,
    c11_a_request_whose_time_is_over_cannot_be_decided_before_the_sweep_comes,
    p2_a_request_whose_time_is_over_makes_room_for_another,
    p8_a_request_whose_time_is_over_expires_when_its_person_is_admitted,
);

async fn p5_the_sweep_expires_each_request_once_with_one_event(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school.advance(TimeDelta::days(1));
    let younger = school.queue("bob").await;
    school
        .clock
        .set(request.expire_time - TimeDelta::microseconds(1));
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 0);
    school.clock.set(request.expire_time);
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 1);
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 0);
    let expired = school.request(&request.name()).await;
    assert_eq!(expired.state, State::Expired);
    assert_eq!(expired.decided_by, "system");
    assert_eq!(school.request(&younger.name()).await.state, State::Pending);
    let event = school.assert_ended(&request, "EXPIRED").await;
    assert_eq!(event.actor, "system");
    school.assert_counts(0, 1).await;
}

async fn p5_the_sweep_goes_on_past_one_batch(database: &Database) {
    let school = School::on(database).await;
    let count = usize::try_from(SWEEP_REQUESTS_MAX).unwrap() + 1;
    let batch: Vec<_> = (0..count)
        .map(|number| school.joining(&format!("student-{number}")))
        .collect();
    assert_eq!(school.outcomes(&batch).await, vec![Outcome::Queued; count]);
    school.advance(TimeDelta::days(90));
    let expired = school.app.expire_join_requests().await.unwrap();
    assert_eq!(expired, u64::from(SWEEP_REQUESTS_MAX) + 1);
    assert_eq!(school.count("join_request.expired").await, count);
    school.assert_counts(0, 0).await;
}

async fn c11_a_request_whose_time_is_over_cannot_be_decided_before_the_sweep_comes(
    database: &Database,
) {
    let school = School::on(database).await;
    let name = school.queue("eve").await.name();
    school.advance(TimeDelta::days(90));
    assert_eq!(school.request(&name).await.state, State::Expired);
    for decided in [
        school.approve(OWNER, &name).await,
        school.deny(OWNER, &name).await,
        school.withdraw("eve", &name).await,
    ] {
        assert_eq!(reason(decided), ErrorReason::AlreadyDecided);
    }
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 1);
    assert!(school.member(&organization(), "eve").await.is_none());
}

async fn p2_a_request_whose_time_is_over_makes_room_for_another(database: &Database) {
    let school = School::on(database).await;
    let lapsed = school.queue("eve").await;
    school.advance(TimeDelta::days(90));
    let filed = school.queue("eve").await;
    assert_ne!(filed.id, lapsed.id);
    let (created, expired) = ("join_request.created", "join_request.expired");
    assert_eq!(school.event_types().await, [created, expired, created]);
    school.assert_counts(0, 1).await;
    assert_eq!(school.app.expire_join_requests().await.unwrap(), 0);
}

async fn p8_a_request_whose_time_is_over_expires_when_its_person_is_admitted(database: &Database) {
    let school = School::on(database).await;
    let lapsed = school.queue("eve").await;
    school.advance(TimeDelta::days(90));
    let admitted = school.admit(&school.redemption("eve")).await;
    assert_eq!(admitted.outcome, Outcome::Admitted);
    assert_eq!(school.request(&lapsed.name()).await.state, State::Expired);
    school.event("join_request.expired").await;
    school.assert_counts(1, 0).await;
}
