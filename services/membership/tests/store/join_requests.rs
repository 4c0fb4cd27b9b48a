//! One open request for each person and place, and one answer for each redemption, whoever writes.

use chrono::TimeDelta;
use homeroom_api::names::InvitationKind;
use homeroom_kit::database::Error;
use homeroom_membership::{
    domain::{
        admission::Outcome,
        join_request::{Cause, JoinRequest, State},
        member::{Method, Particulars, Role},
    },
    store::{Effects, SeatChange, StoredAdmission},
};
use uuid::Uuid;

use crate::{
    samples::{BIO, HAMILTON, member, now, organization_id, place, user, write_to_hamilton},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p2_a_second_open_request_of_a_person_for_a_place_is_not_stored,
    p11_an_answer_that_meets_another_undoes_all_that_came_with_it,
);

fn request(name: &str, who: &str, id: u128, state: State) -> JoinRequest {
    JoinRequest {
        place: place(name),
        id: Uuid::from_u128(id),
        user: user(who),
        particulars: Particulars::default(),
        state,
        cause: Cause::JoinUrl,
        invitation: format!("{name}/joinUrl"),
        redemption: format!("{HAMILTON}/redemptions/{}", Uuid::from_u128(id)),
        method: Method::Invitation(InvitationKind::JoinUrl),
        decide_note: String::new(),
        decided_by: String::new(),
        create_time: now(),
        decide_time: None,
        expire_time: now() + TimeDelta::days(90),
    }
}

async fn p2_a_second_open_request_of_a_person_for_a_place_is_not_stored(database: &Database) {
    let (store, session) = write_to_hamilton(database).await;
    session.commit("test").await.unwrap();
    let file = async |filed: Vec<JoinRequest>| {
        let mut session = store.write().await.unwrap();
        let effects = Effects {
            filed,
            ..Effects::default()
        };
        session.save(&effects).await?;
        session.commit("test").await
    };
    let first = request(BIO, "sam", 1, State::Pending);
    file(vec![first]).await.unwrap();
    // A second one of hers, alone or in one statement with others', is a conflict.
    for others in [vec![], vec![request(BIO, "sue", 2, State::Pending)]] {
        let mut filed = others;
        filed.push(request(BIO, "sam", 3, State::Pending));
        let refused = file(filed).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    // Another person's request, one at another place, and one of hers that has ended are no conflict.
    let others = vec![
        request(BIO, "sue", 4, State::Pending),
        request(HAMILTON, "sam", 5, State::Pending),
        request(BIO, "sam", 6, State::Denied),
        request(BIO, "sam", 7, State::Denied),
    ];
    file(others).await.unwrap();
}

async fn p11_an_answer_that_meets_another_undoes_all_that_came_with_it(database: &Database) {
    let (store, session) = write_to_hamilton(database).await;
    session.commit("test").await.unwrap();
    let id = organization_id("hamilton");
    let answer = |number: u128, who: &str| StoredAdmission {
        redemption: Uuid::from_u128(number),
        place: place(HAMILTON),
        user: user(who),
        invitation: format!("{HAMILTON}/inviteToken"),
        epoch: 0,
        outcome: Outcome::Admitted,
        join_request: None,
        create_time: now(),
    };
    let one_of_each = SeatChange {
        used: 1,
        waiting: 1,
    };
    let effects = |numbers: &[u128], who: &str| Effects {
        members: vec![member(HAMILTON, who, Role::Student)],
        filed: vec![request(BIO, who, numbers[0], State::Pending)],
        admissions: numbers.iter().map(|number| answer(*number, who)).collect(),
        seats: [(id.clone(), one_of_each)].into(),
        ..Effects::default()
    };
    let mut session = store.write().await.unwrap();
    session.save(&effects(&[1], "sam")).await.unwrap();
    session.commit("test").await.unwrap();
    // One of two keys was answered before: neither is stored, nor are their effects.
    let mut session = store.write().await.unwrap();
    let met = session.save(&effects(&[2, 1], "sue")).await.unwrap_err();
    assert!(matches!(met, Error::Conflict(_)), "{met}");
    session.rollback().await;
    let mut session = store.read().await.unwrap();
    let keys = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let stored = session.admissions(&keys).await.unwrap();
    assert_eq!(stored, [answer(1, "sam")]);
    let absent = session.member(&place(HAMILTON), &user("sue")).await;
    assert_eq!(absent.unwrap(), None);
    let seats = session.seats(&id).await.unwrap().unwrap();
    assert_eq!((seats.used, seats.waiting), (1, 1));
}
