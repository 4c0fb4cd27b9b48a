//! Data that one organization has on a person does not affect another's tokens (I8, R13).

use homeroom_api::invitations::v1::Token;
use homeroom_tests::on_both_engines;
use serde_json::json;

use super::{ADA, EMAIL, LMS, NAME, SCHOOL_ID, ada, erase};

on_both_engines! {
async fn r13_an_erasure_leaves_other_organizations_tokens_and_codes_alone(homeroom) {
    // Given a school that knows her address, one that knows her school id, and one that knows
    // neither,
    let lms = homeroom.user_with(LMS);
    let mut schools = Vec::new();
    for (id, unknown) in [("hamilton", Some("external_id")), ("oxford", Some("email")), ("cambridge", None)] {
        let school = homeroom.school_named(id, 0).await;
        if let Some(unknown) = unknown {
            let mut person = ada();
            person[unknown] = json!("");
            lms.done("RedemptionService.Redeem", json!({"credential": school.class_code().await.code, "user": person})).await;
        }
        // each with a token for that address and one for that id,
        let by_email = school.token(Token { assigned_email: EMAIL.to_owned(), display_name: NAME.to_owned(), ..Default::default() }).await;
        let by_id = school.token(Token { external_id: SCHOOL_ID.to_owned(), display_name: NAME.to_owned(), ..Default::default() }).await;
        schools.push((school, [by_email, by_id]));
    }
    homeroom.settled().await;
    let codes = async || {
        let mut codes = Vec::new();
        for (school, _) in &schools {
            codes.push((school.class_code().await, school.join_url().await, school.invite_token().await));
        }
        codes
    };
    let tokens = async || {
        let mut read = Vec::new();
        for (school, tokens) in &schools {
            for token in tokens {
                read.push(school.read_token(&token.name).await);
            }
        }
        read
    };
    let (codes_before, left) = (codes().await, tokens().await);
    // when she is erased,
    erase(homeroom, ADA, "").await.unwrap();
    // then two tokens belong to nobody any more: the address's at the first school, the id's at the
    // second;
    let found = tokens().await;
    let changed: Vec<usize> = (0..left.len()).filter(|&index| found[index] != left[index]).collect();
    assert_eq!(changed, [0, 3]);
    for index in changed {
        let token = format!("{:?}", found[index]);
        assert!([EMAIL, NAME, SCHOOL_ID].iter().all(|text| !token.contains(text)), "{token}");
    }
    // the other tokens, and every code, are unchanged,
    assert_eq!(codes().await, codes_before);
    // and work for people with that address or that id there.
    for (index, user) in [(1, "grace"), (2, "jean"), (4, "joan"), (5, "mary")] {
        let mut person = ada();
        person["user"] = json!(user);
        let redeem = json!({"credential": schools[index / 2].1[index % 2].phrase, "user": person});
        assert_eq!(lms.done("RedemptionService.Redeem", redeem).await["outcome"], "ADMITTED", "{index}");
    }
}
}
