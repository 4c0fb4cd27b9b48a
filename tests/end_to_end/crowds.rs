//! Many redemptions at the same time: one use, one seat, one class behind one address.

use std::{collections::BTreeMap, time::Duration};

use homeroom_api::invitations::v1::{RedeemRequest, Token};
use homeroom_tests::{Homeroom, on_both_engines, reason};
use serde_json::json;

use crate::{assert_audited_soon, audited};

/// The number of people who redeem at the same time.
const CROWD: usize = 1_000;
/// The students of a class that starts its lesson.
const STUDENTS: usize = 300;
/// The time within which all of them must be admitted.
const LESSON_START_SECONDS: u64 = 60;

/// Returns how often each outcome occurred in a crowd that redeems at the same time.
async fn crowd(homeroom: &Homeroom, people: usize, credential: &str) -> BTreeMap<String, usize> {
    let attempts = (0..people).map(async |index| {
        let request = RedeemRequest {
            credential: credential.to_owned(),
            request_id: homeroom.new_id().to_string(),
            ..Default::default()
        };
        let student = homeroom.user(&format!("student-{index}"));
        match student.redeem_at_last(request).await {
            Ok(redeemed) => redeemed.outcome().as_str_name().to_owned(),
            Err(status) => reason(&status),
        }
    });
    let mut told = BTreeMap::new();
    for outcome in futures::future::join_all(attempts).await {
        *told.entry(outcome).or_default() += 1;
    }
    told
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .map(|(outcome, count)| (outcome.to_owned(), count))
        .into()
}

on_both_engines! {
async fn p4_a_thousand_redeem_a_token_with_one_use_and_exactly_one_gets_in(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token::default()).await;
    let told = crowd(homeroom, CROWD, &token.phrase).await;
    assert_eq!(told, counts([("ADMITTED", 1), ("USED_UP", CROWD - 1)]));
    assert_eq!(school.students().await.len(), 1);
    assert_eq!(school.seats().await.seats_used, 1);
}
}

on_both_engines! {
async fn b14_a_thousand_redeem_for_one_free_seat_and_exactly_one_gets_in(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let code = school.class_code().await.code;
    let told = crowd(homeroom, CROWD, &code).await;
    assert_eq!(told, counts([("ADMITTED", 1), ("NO_SEATS", CROWD - 1)]));
    assert_eq!(school.students().await.len(), 1);
    assert_eq!(school.seats().await.seats_used, 1);
}
}

on_both_engines! {
async fn r10_three_hundred_students_behind_one_address_are_all_in_within_a_minute(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let told = tokio::time::timeout(Duration::from_secs(LESSON_START_SECONDS), crowd(homeroom, STUDENTS, &code))
        .await
        .expect("within a minute");
    assert_eq!(told, counts([("ADMITTED", STUDENTS)]));
    assert_eq!(school.roster().await.len(), STUDENTS + 2);
    assert_eq!(school.seats().await.seats_used, i64::try_from(STUDENTS).unwrap());
}
}

on_both_engines! {
async fn every_invariant_holds_while_a_crowd_redeems_and_the_code_is_reset(homeroom) {
    let school = homeroom.school_named("hamilton", 20).await;
    let code = school.class_code().await;
    let url = school.join_url().await.url;
    let [denied, approved] = [homeroom.queued("asker-1", &url).await.name, homeroom.queued("asker-2", &url).await.name];
    // When more people than seats redeem while the code is reset, then the auditor finds nothing meanwhile,
    let people = (0..30).map(async |number| homeroom.user(&format!("student-{number}")).redeem(&code.code).await.is_ok());
    let reset = school.teacher.done("ClassCodeService.ResetClassCode", json!({"name": code.name}));
    let mut crowd = std::pin::pin!(async { tokio::join!(futures::future::join_all(people), reset) });
    let admitted = loop {
        tokio::select! {
            biased;
            report = audited(homeroom, false) => assert_eq!(report.broken(), [], "{report:?}"),
            (admitted, _) = &mut crowd => break admitted.into_iter().filter(|admitted| *admitted).count(),
        }
    };
    assert!(admitted <= 20, "{admitted}");
    school.teacher.done("JoinRequestService.DenyJoinRequest", json!({"name": denied})).await;
    let approved = school.teacher.call("JoinRequestService.ApproveJoinRequest", &json!({"name": approved})).await;
    assert_eq!(approved.is_ok(), admitted < 20);
    // nor once everything is settled.
    assert_audited_soon(homeroom).await;
}
}
