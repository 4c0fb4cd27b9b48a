//! Approve, deny, withdraw, and many at once (C11).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    membership::v1 as api,
    names::{JoinRequestName, Place},
};
use homeroom_kit::Result;
use homeroom_membership::{
    app::batch_decide::{self, Action, JoinRequestDecision},
    domain::{
        admission::Outcome,
        join_request::{JoinRequest, State},
        member::{Method, Role},
    },
};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

use crate::{
    harness::{
        ADMINISTRATOR, CLASS, CO_TEACHER, OWNER, School, caller, class, organization, reason,
    },
    support::{Database, on_both_engines},
};

on_both_engines!(
    c11_r6_approval_takes_the_seat_and_is_remembered,
    x9_a_full_organization_refuses_the_approval_and_the_request_stays,
    p8_approving_an_organization_member_takes_no_seat,
    i6_a_request_is_decided_once_even_by_twenty_at_once,
    an_archived_class_approves_nobody,
    r9_who_was_denied_may_ask_again_after_24_hours,
    a_person_takes_their_own_request_back,
    c11_many_are_decided_at_once_each_by_itself,
    r3_a_batch_repeated_with_its_request_id_answers_the_same,
    c11_only_staff_decide_in_batches,
    i5_a_request_filed_before_a_reset_stays_approvable,
);

async fn c11_r6_approval_takes_the_seat_and_is_remembered(database: &Database) {
    let school = School::with_seats(database, 1).await;
    let request = school.queue("eve").await;
    school.advance(TimeDelta::minutes(5));
    let member = school.approve(CO_TEACHER, &request.name()).await.unwrap();
    assert_eq!(member.name, format!("{CLASS}/members/eve"));
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
        assert_eq!(member.provenance.method, Method::JoinUrl);
        assert_eq!(member.particulars.display_name, "EVE");
    }
    assert_eq!(
        school.event_types().await,
        [
            "join_request.created",
            "join_request.approved",
            "member.joined",
            "member.joined"
        ]
    );
    let approved = school.event("join_request.approved").await;
    assert_eq!(approved.actor, CO_TEACHER);
    assert_eq!(approved.notify, ["eve"]);
    assert_eq!(approved.data["redemption"], request.redemption);
    assert_eq!(approved.data["invitation"], request.invitation);
    assert_eq!(approved.data["state"], "APPROVED");
    let again = school.approve(OWNER, &request.name()).await;
    assert_eq!(reason(again), ErrorReason::AlreadyDecided);
    assert_eq!(
        reason(school.deny(OWNER, &request.name()).await),
        ErrorReason::AlreadyDecided
    );
}

async fn x9_a_full_organization_refuses_the_approval_and_the_request_stays(database: &Database) {
    let school = School::with_seats(database, 1).await;
    let request = school.queue("eve").await;
    school.admit(&school.redemption("bob")).await;
    let refused = school.approve(OWNER, &request.name()).await;
    assert_eq!(reason(refused), ErrorReason::NoSeats);
    assert_eq!(school.request(&request.name()).await, request);
    school.assert_counts(1, 1).await;
    school.remove(&organization(), "bob").await;
    school.approve(OWNER, &request.name()).await.unwrap();
    school.assert_counts(1, 0).await;
}

async fn p8_approving_an_organization_member_takes_no_seat(database: &Database) {
    let school = School::with_seats(database, 1).await;
    school
        .admit(&school.redemption_at(&organization(), "eve"))
        .await;
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
                0 => school.approve(OWNER, &name).await.map(|_| ()),
                1 => school.deny(CO_TEACHER, &name).await,
                _ => school.withdraw("eve", &name).await,
            }
        })
    });
    let mut decided = 0;
    for result in futures::future::join_all(sent).await {
        match result.unwrap() {
            Ok(()) => decided += 1,
            Err(error) => assert!(
                // Withdrawn by a person who has become a member since: the answer is still the same.
                error.reason() == ErrorReason::AlreadyDecided,
                "{error}"
            ),
        }
    }
    assert_eq!(decided, 1);
    let ends = school.event_types().await;
    let ends = ends
        .iter()
        .filter(|name| name.starts_with("join_request."))
        .count();
    assert_eq!(ends, 2, "created, and one end");
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

async fn r9_who_was_denied_may_ask_again_after_24_hours(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school.deny(OWNER, &request.name()).await.unwrap();
    school.assert_counts(0, 0).await;
    assert_eq!(school.request(&request.name()).await.decide_note, "not you");
    assert_eq!(
        school.event("join_request.denied").await.data["state"],
        "DENIED"
    );
    school.advance(TimeDelta::hours(24) - TimeDelta::microseconds(1));
    let early = school.admit(&school.joining("eve")).await;
    assert_eq!(early.outcome, Outcome::Refused(ErrorReason::DeniedRecently));
    school.advance(TimeDelta::microseconds(1));
    let again = school.queue("eve").await;
    assert_ne!(again.id, request.id);
    school.assert_counts(0, 1).await;
}

async fn a_person_takes_their_own_request_back(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school.withdraw("eve", &request.name()).await.unwrap();
    assert_eq!(
        school.request(&request.name()).await.state,
        State::Withdrawn
    );
    let event = school.event("join_request.withdrawn").await;
    assert_eq!(event.actor, "eve");
    assert_eq!(event.data["redemption"], request.redemption);
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

/// Decides as the service does; returns the rows, and whether the use case ran.
async fn decide(
    school: &School,
    by: &str,
    parent: &Place,
    request_id: Option<Uuid>,
    decisions: Vec<Result<JoinRequestDecision>>,
) -> Result<Option<Vec<Result<JoinRequest>>>> {
    let ran = Arc::new(Mutex::new(None));
    let (parent, rows) = (parent.clone(), ran.clone());
    let message = api::BatchDecideJoinRequestsRequest {
        parent: parent.to_string(),
        request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        ..api::BatchDecideJoinRequestsRequest::default()
    };
    let response: api::BatchDecideJoinRequestsResponse = school
        .app
        .write(&caller(by), request_id, &message, move |change| {
            Box::pin(async move {
                let decided = batch_decide::batch_decide(change, &parent, decisions).await?;
                *rows.lock().unwrap() = Some(decided);
                Ok(api::BatchDecideJoinRequestsResponse::default())
            })
        })
        .await?;
    drop(response);
    Ok(ran.lock().unwrap().take())
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
        Err(homeroom_kit::Error::new(
            ErrorReason::InvalidRequest,
            "unread",
        )),
        Ok(decision(&names[2], Action::Approve)),
        Ok(decision(&names[3], Action::Approve)),
    ];
    let rows = decide(&school, CO_TEACHER, &class(), None, decisions)
        .await
        .unwrap()
        .unwrap();
    let outcomes: Vec<_> = rows
        .into_iter()
        .map(|row| {
            row.map(|request| request.state)
                .map_err(|error| error.reason())
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            Ok(State::Approved),
            Ok(State::Denied),
            Err(ErrorReason::AlreadyDecided),
            Err(ErrorReason::InvalidRequest),
            Err(ErrorReason::JoinRequestNotFound),
            Err(ErrorReason::InvalidRequest),
            Ok(State::Approved),
            Err(ErrorReason::NoSeats),
        ]
    );
    school.assert_counts(2, 1).await;
    assert_eq!(school.request(&names[3]).await.state, State::Pending);
    assert_eq!(school.request(&names[0]).await.decide_note, "in bulk");
}

async fn r3_a_batch_repeated_with_its_request_id_answers_the_same(database: &Database) {
    let school = School::on(database).await;
    let name = school.queue("eve").await.name();
    let id = Some(Uuid::from_u128(1));
    let once = || vec![Ok(decision(&name, Action::Approve))];
    let first = decide(&school, OWNER, &class(), id, once()).await.unwrap();
    assert!(first.is_some());
    let again = decide(&school, OWNER, &class(), id, once()).await.unwrap();
    assert!(again.is_none(), "the stored answer, without deciding again");
    let other = decide(&school, OWNER, &organization(), id, once()).await;
    assert_eq!(reason(other), ErrorReason::RequestIdConflict);
    school.assert_counts(1, 0).await;
}

async fn c11_only_staff_decide_in_batches(database: &Database) {
    let school = School::on(database).await;
    school.admit(&school.redemption("student")).await;
    let name = school.queue("eve").await.name();
    for (who, refusal) in [
        ("student", ErrorReason::RoleRequired),
        ("eve", ErrorReason::ClassNotFound),
    ] {
        let decisions = vec![Ok(decision(&name, Action::Approve))];
        let refused = decide(&school, who, &class(), None, decisions).await;
        assert_eq!(reason(refused), refusal, "{who}");
    }
    assert_eq!(school.request(&name).await.state, State::Pending);
}

async fn i5_a_request_filed_before_a_reset_stays_approvable(database: &Database) {
    let school = School::on(database).await;
    let request = school.queue("eve").await;
    school
        .app
        .raise_fence(request.invitation.clone(), 7)
        .await
        .unwrap();
    school.approve(OWNER, &request.name()).await.unwrap();
    assert!(school.member(&class(), "eve").await.is_some());
}
