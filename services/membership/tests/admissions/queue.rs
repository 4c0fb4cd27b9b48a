//! The approval queue as people see it.

use chrono::TimeDelta;
use homeroom_api::{common::v1::ErrorReason, names::Place};
use homeroom_membership::{
    domain::{
        admission::{Outcome, Route},
        join_request::{Cause, State},
    },
    store::Shown,
};

use crate::{
    harness::{
        ADMINISTRATOR, CO_TEACHER, OWNER, School, caller, class, organization, reason, user,
    },
    support::{Database, on_both_engines},
};

on_both_engines!(
    c5_c6_a_request_is_filed_and_the_classs_staff_are_told,
    c6_the_administrators_are_told_of_an_organization_wide_request,
    x9_a_request_holds_no_seat_and_a_full_organization_still_queues,
    p2_who_waits_already_has_the_same_request,
    c11_who_asks_and_who_decides_see_a_request_and_nobody_else,
    c11_staff_list_the_queue_newest_first_and_others_their_own,
    r8_a_removed_person_queues_until_approved,
);

async fn c5_c6_a_request_is_filed_and_the_classs_staff_are_told(database: &Database) {
    let school = School::on(database).await;
    let mut locked = school.redemption("eve");
    locked.attempt.route = Route::Queue(Cause::CodeLocked);
    let answer = school.admit(&locked).await;
    assert_eq!(answer.outcome, Outcome::Queued);
    assert_eq!(answer.member, None);
    let request = answer.join_request.unwrap();
    assert_eq!(request.state, State::Pending);
    assert_eq!(request.cause, Cause::CodeLocked);
    assert_eq!(request.particulars.email, "eve@hamilton.example");
    assert_eq!(request.expire_time, school.now() + TimeDelta::days(90));
    assert_eq!(
        school.request(&request.name()).await,
        request,
        "as it is stored"
    );
    assert!(
        school.member(&class(), "eve").await.is_none(),
        "A10: not on the roster"
    );
    let event = school.event("join_request.created").await;
    assert_eq!(event.notify, [OWNER, CO_TEACHER]);
    assert_eq!(event.subject, request.name().to_string());
    assert_eq!(event.actor, "eve");
    assert_eq!(event.data["redemption"], locked.redemption.to_string());
    assert_eq!(event.data["invitation"], locked.invitation);
    assert_eq!(event.data["state"], "PENDING");
}

async fn c6_the_administrators_are_told_of_an_organization_wide_request(database: &Database) {
    let school = School::on(database).await;
    let mut guarded = school.redemption_at(&organization(), "eve");
    guarded.attempt.route = Route::Queue(Cause::GuessGuard);
    let request = school.admit(&guarded).await.join_request.unwrap();
    assert_eq!(request.place, organization());
    assert_eq!(
        school.event("join_request.created").await.notify,
        [ADMINISTRATOR]
    );
}

async fn x9_a_request_holds_no_seat_and_a_full_organization_still_queues(database: &Database) {
    let school = School::with_seats(database, 1).await;
    school.queue("bob").await;
    school.assert_counts(0, 1).await;
    school.admit(&school.redemption("eve")).await;
    school.queue("kim").await;
    school.assert_counts(1, 2).await;
}

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

async fn c11_who_asks_and_who_decides_see_a_request_and_nobody_else(database: &Database) {
    let school = School::on(database).await;
    school.admit(&school.redemption("student")).await;
    school
        .admit(&school.redemption_at(&organization(), "pupil"))
        .await;
    let name = school.queue("eve").await.name();
    for who in ["eve", OWNER, CO_TEACHER, ADMINISTRATOR] {
        school
            .app
            .get_join_request(&caller(who), &name)
            .await
            .unwrap();
    }
    let mut absent = name.clone();
    absent.id = uuid::Uuid::nil();
    for (who, refusal) in [
        ("student", ErrorReason::RoleRequired),
        ("pupil", ErrorReason::JoinRequestNotFound),
        ("stranger", ErrorReason::JoinRequestNotFound),
    ] {
        for name in [&name, &absent] {
            let refused = school.app.get_join_request(&caller(who), name).await;
            assert_eq!(reason(refused), refusal, "{who}");
            assert_eq!(reason(school.approve(who, name).await), refusal, "{who}");
            assert_eq!(reason(school.deny(who, name).await), refusal, "{who}");
            assert_eq!(reason(school.withdraw(who, name).await), refusal, "{who}");
        }
    }
    assert_eq!(
        reason(school.approve("eve", &name).await),
        ErrorReason::RoleRequired
    );
    assert_eq!(
        reason(school.withdraw(OWNER, &name).await),
        ErrorReason::RoleRequired
    );
    let missing = school.app.get_join_request(&caller(OWNER), &absent).await;
    assert_eq!(reason(missing), ErrorReason::JoinRequestNotFound);
    let mut elsewhere = name.clone();
    elsewhere.place = organization();
    let missing = school
        .app
        .get_join_request(&caller(ADMINISTRATOR), &elsewhere)
        .await;
    assert_eq!(reason(missing), ErrorReason::JoinRequestNotFound);
    let mut bound = caller(OWNER);
    bound.organizations = Some(Vec::new());
    let hidden = school.app.get_join_request(&bound, &name).await;
    assert_eq!(reason(hidden), ErrorReason::JoinRequestNotFound);
    assert_eq!(school.request(&name).await.state, State::Pending);
}

async fn c11_staff_list_the_queue_newest_first_and_others_their_own(database: &Database) {
    let school = School::on(database).await;
    let mut names = Vec::new();
    for number in 0..5 {
        names.push(school.queue(&format!("student-{number}")).await.name());
        school.advance(TimeDelta::seconds(1));
    }
    school.deny(OWNER, &names[2]).await.unwrap();
    let list = |who: &'static str, shown: Shown, token: String, size| {
        let app = &school.app;
        async move {
            let page = app.paging.parse(size, &token, "queue").unwrap();
            app.list_join_requests(&caller(who), &class(), shown, &page)
                .await
        }
    };
    let first = String::new;
    let found = list(CO_TEACHER, Shown::default(), first(), 3)
        .await
        .unwrap();
    let ids: Vec<_> = found.items.iter().map(|request| request.id).collect();
    assert_eq!(ids, [names[4].id, names[3].id, names[2].id]);
    let rest = list(CO_TEACHER, Shown::default(), found.next_page_token, 3)
        .await
        .unwrap();
    let ids: Vec<_> = rest.items.iter().map(|request| request.id).collect();
    assert_eq!(ids, [names[1].id, names[0].id]);
    assert_eq!(rest.next_page_token, "");
    let of_state = |state| Shown {
        state: Some(state),
        ..Shown::default()
    };
    let denied = list(OWNER, of_state(State::Denied), first(), 9)
        .await
        .unwrap();
    assert_eq!(denied.items.len(), 1);
    let of_user = |id: &str| Shown {
        user: Some(user(id)),
        ..Shown::default()
    };
    let one = list(OWNER, of_user("student-1"), first(), 9).await.unwrap();
    assert_eq!(one.items.len(), 1);
    let of_cause = Shown {
        cause: Some(Cause::CodeLocked),
        ..Shown::default()
    };
    assert!(
        list(OWNER, of_cause, first(), 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let own = list("student-3", Shown::default(), first(), 9)
        .await
        .unwrap();
    assert_eq!(own.items.len(), 1);
    assert_eq!(own.items[0].id, names[3].id);
    assert!(
        list("student-3", of_user("student-1"), first(), 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let hidden = list("stranger", Shown::default(), first(), 9).await;
    assert_eq!(reason(hidden), ErrorReason::ClassNotFound);
    let absent = Place::parse("organizations/hamilton/classes/chem").unwrap();
    let page = school.app.paging.parse(9, "", "queue").unwrap();
    let absent = school
        .app
        .list_join_requests(&caller(OWNER), &absent, Shown::default(), &page)
        .await;
    assert_eq!(reason(absent), ErrorReason::ClassNotFound);
    school.advance(TimeDelta::days(90));
    let pending = list(OWNER, of_state(State::Pending), first(), 9)
        .await
        .unwrap();
    assert!(
        pending.items.is_empty(),
        "their time is over though no sweep came by"
    );
}

async fn r8_a_removed_person_queues_until_approved(database: &Database) {
    let school = School::on(database).await;
    let before = school.redemption("eve");
    school.admit(&before).await;
    school.advance(TimeDelta::hours(1));
    school.remove(&organization(), "eve").await;
    let issued_before = |redemption| {
        let mut redemption: homeroom_membership::admission::admit::AdmitRequest = redemption;
        redemption.attempt.invitation_issue_time = before.attempt.invitation_issue_time;
        redemption
    };
    let mut allows = issued_before(school.redemption("eve"));
    allows.attempt.allow_rejoin = true;
    let preview = school
        .app
        .preview(&[allows])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(
        preview.outcome,
        Outcome::Admitted,
        "an invitation may allow it"
    );
    let answer = school.admit(&issued_before(school.redemption("eve"))).await;
    assert_eq!(answer.outcome, Outcome::Queued);
    let request = answer.join_request.unwrap();
    assert_eq!(request.cause, Cause::RemovedBefore);
    school.approve(CO_TEACHER, &request.name()).await.unwrap();
    school.assert_counts(1, 0).await;
    // The person left of their own accord, after the approval lifted the removal.
    let mut repository = school.app.store.write().await.unwrap();
    repository
        .delete_member(&class(), &user("eve"))
        .await
        .unwrap();
    repository.commit("test").await.unwrap();
    let again = school.admit(&issued_before(school.redemption("eve"))).await;
    assert_eq!(again.outcome, Outcome::Admitted);
}
