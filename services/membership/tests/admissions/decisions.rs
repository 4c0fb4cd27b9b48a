//! Approve, deny, withdraw, and many at once (C11).

use std::sync::Arc;

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    names::{InvitationKind, JoinRequestName},
};
use homeroom_kit::{Error, Result};
use homeroom_membership::{
    app::decisions::{self, Action, JoinRequestDecision},
    domain::{
        admission::Outcome,
        join_request::{JoinRequest, State},
        member::{Method, Role},
    },
};
use uuid::Uuid;

use crate::{
    harness::{ADMINISTRATOR, CO_TEACHER, OWNER, School, caller, class, organization, reason},
    support::{Database, on_both_engines},
};

on_both_engines!(
    c11_r6_approval_takes_the_seat_and_is_remembered,
    p8_approving_an_organization_member_takes_no_seat,
    i6_a_request_is_decided_once_even_by_twenty_at_once,
    an_archived_class_approves_nobody,
    a_person_takes_their_own_request_back,
    c11_many_are_decided_at_once_each_by_itself,
);

async fn c11_r6_approval_takes_the_seat_and_is_remembered(database: &Database) {
    let school = School::with_seats(database, 1).await;
    let request = school.queue("eve").await;
    school.advance(TimeDelta::minutes(5));
    school.approve(CO_TEACHER, &request.name()).await.unwrap();
    school.assert_counts(1, 0).await;
    let decided = school.request(&request.name()).await;
    assert_eq!(decided.state, State::Approved);
    assert_eq!(decided.decided_by, CO_TEACHER);
    assert_eq!(decided.decide_note, "welcome");
    assert_eq!(decided.decide_time, Some(school.now()));
    for place in [organization(), class()] {
        let member = school.member(&place, "eve").await.unwrap();
        assert_eq!(member.role, Role::Student);
        assert_eq!(member.provenance.approved_by, CO_TEACHER);
        assert_eq!(member.provenance.redemption, request.redemption);
        assert_eq!(
            member.provenance.method,
            Method::Invitation(InvitationKind::JoinUrl)
        );
        assert_eq!(member.particulars.display_name, "EVE");
    }
    let (created, approved) = ("join_request.created", "join_request.approved");
    let expected = [created, approved, "member.joined", "member.joined"];
    assert_eq!(school.event_types().await, expected);
    let approved = school.assert_ended(&request, "APPROVED").await;
    assert_eq!(approved.actor, CO_TEACHER);
    assert_eq!(approved.notify, ["eve"]);
    let again = school.approve(OWNER, &request.name()).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
    let again = school.deny(OWNER, &request.name()).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
}

async fn p8_approving_an_organization_member_takes_no_seat(database: &Database) {
    let school = School::with_seats(database, 1).await;
    let redemption = school.redemption_at(&organization(), "eve");
    school.admit(&redemption).await;
    let request = school.queue("eve").await;
    school.approve(OWNER, &request.name()).await.unwrap();
    school.assert_counts(1, 0).await;
    let request = school.queue(ADMINISTRATOR).await;
    school.approve(OWNER, &request.name()).await.unwrap();
    let stays = school.member(&organization(), ADMINISTRATOR).await.unwrap();
    assert_eq!(stays.role, Role::Admin);
    school.assert_counts(1, 0).await;
}

async fn i6_a_request_is_decided_once_even_by_twenty_at_once(database: &Database) {
    let school = Arc::new(School::on(database).await);
    let name = school.queue("eve").await.name();
    let sent = (0..20).map(|number| {
        let (school, name) = (school.clone(), name.clone());
        tokio::spawn(async move {
            match number % 3 {
                0 => school.approve(OWNER, &name).await,
                1 => school.deny(CO_TEACHER, &name).await,
                _ => school.withdraw("eve", &name).await,
            }
        })
    });
    let mut decided = 0;
    for result in futures::future::join_all(sent).await {
        match result.unwrap() {
            Ok(()) => decided += 1,
            // Withdrawn by a person who has become a member since: the answer is still the same.
            Err(error) => assert_eq!(error.reason(), ErrorReason::AlreadyDecided),
        }
    }
    assert_eq!(decided, 1);
    let mut ends = school.event_types().await;
    ends.retain(|name| name.starts_with("join_request."));
    assert_eq!(ends.len(), 2, "created, and one end");
    let state = school.request(&name).await.state;
    let admitted = i64::from(state == State::Approved);
    school.assert_counts(admitted, 0).await;
}

async fn an_archived_class_approves_nobody(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school.archive().await;
    let refused = school.approve(OWNER, &request.name()).await;
    assert_eq!(reason(refused), ErrorReason::ClassArchived);
    school.assert_counts(0, 1).await;
    let answer = school.admit(&school.redemption("bob")).await;
    assert_eq!(answer.outcome, Outcome::Refused(ErrorReason::ClassArchived));
}

async fn a_person_takes_their_own_request_back(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school.withdraw("eve", &request.name()).await.unwrap();
    let withdrawn = school.request(&request.name()).await;
    assert_eq!(withdrawn.state, State::Withdrawn);
    let event = school.assert_ended(&request, "WITHDRAWN").await;
    assert_eq!(event.actor, "eve");
    school.assert_counts(0, 0).await;
    let again = school.withdraw("eve", &request.name()).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
    // Withdrawing is not a denial: the person may ask again at once.
    school.queue("eve").await;
}

fn decision(name: &JoinRequestName, action: Action) -> JoinRequestDecision {
    JoinRequestDecision {
        name: name.clone(),
        action,
        note: "in bulk".to_owned(),
    }
}

/// Decides as the service does. Returns the rows.
async fn decide(
    school: &School,
    decisions: Vec<Result<JoinRequestDecision>>,
) -> Vec<Result<JoinRequest>> {
    let (rows, mut decided) = tokio::sync::oneshot::channel();
    let by = caller(CO_TEACHER);
    let write = school.change(&by, |change| {
        Box::pin(async move {
            let decided = decisions::batch_decide(change, class(), decisions).await?;
            drop(rows.send(decided.0));
            Ok(())
        })
    });
    write.await.unwrap();
    decided.try_recv().unwrap()
}

async fn c11_many_are_decided_at_once_each_by_itself(database: &Database) {
    let school = School::with_seats(database, 2).await;
    let mut names = Vec::new();
    for number in 0..4 {
        names.push(school.queue(&format!("student-{number}")).await.name());
    }
    let mut elsewhere = names[0].clone();
    elsewhere.place = organization();
    let mut absent = names[0].clone();
    absent.id = Uuid::nil();
    let decisions = vec![
        Ok(decision(&names[0], Action::Approve)),
        Ok(decision(&names[1], Action::Deny)),
        Ok(decision(&names[0], Action::Deny)),
        Ok(decision(&elsewhere, Action::Approve)),
        Ok(decision(&absent, Action::Approve)),
        Err(Error::new(ErrorReason::InvalidRequest, "unread")),
        Ok(decision(&names[2], Action::Approve)),
        Ok(decision(&names[3], Action::Approve)),
    ];
    let rows = decide(&school, decisions).await.into_iter();
    let states = rows.map(|row| row.map(|request| request.state));
    let told = states.map(|state| state.map_err(|error| error.reason()));
    let expected = [
        Ok(State::Approved),
        Ok(State::Denied),
        Err(ErrorReason::AlreadyDecided),
        Err(ErrorReason::InvalidRequest),
        Err(ErrorReason::JoinRequestNotFound),
        Err(ErrorReason::InvalidRequest),
        Ok(State::Approved),
        Err(ErrorReason::NoSeats),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    school.assert_counts(2, 1).await;
    assert_eq!(school.request(&names[3]).await.state, State::Pending);
    assert_eq!(school.request(&names[0]).await.decide_note, "in bulk");
}
