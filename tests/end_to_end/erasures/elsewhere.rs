//! Data that one organization has on a person does not affect another's tokens (I8, R13).

use homeroom_api::{
    common::v1::User,
    invitations::v1::{RedeemRequest, RedemptionOutcome, Token},
};
use homeroom_tests::on_both_engines;

use super::{ADA, EMAIL, LMS, NAME, SCHOOL_ID, ada, erase};

on_both_engines! {
async fn r13_an_erasure_leaves_other_organizations_tokens_and_codes_alone(homeroom) {
    // Given a school that knows her address, one that knows her school id, and one that knows
    // neither,
    let known_by = [
        ("hamilton", Some(User { external_id: String::new(), ..ada() })),
        ("oxford", Some(User { email: String::new(), email_verified: false, ..ada() })),
        ("cambridge", None),
    ];
    let mut schools = Vec::new();
    for (id, person) in known_by {
        let school = homeroom.school_named(id, 0).await;
        if let Some(user) = person {
            let credential = school.class_code().await.code;
            let request = RedeemRequest { credential, user: Some(user), ..Default::default() };
            homeroom.user_with(LMS).redeem_with(request).await.unwrap();
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
    let (codes_before, mut left) = (codes().await, Vec::new());
    for (school, tokens) in &schools {
        for token in tokens {
            left.push(school.read_token(&token.name).await);
        }
    }
    // when she is erased,
    erase(homeroom, ADA, "").await.unwrap();
    // then two tokens belong to nobody any more: the address's at the first school, the id's at the
    // second;
    let mut found = Vec::new();
    for (school, tokens) in &schools {
        for token in tokens {
            found.push(school.read_token(&token.name).await);
        }
    }
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
        let person = User { user: user.to_owned(), ..ada() };
        let credential = schools[index / 2].1[index % 2].phrase.clone();
        let request = RedeemRequest { credential, user: Some(person), ..Default::default() };
        let redeemed = homeroom.user_with(LMS).redeem_with(request).await.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted, "{index}");
    }
}
}
