//! Credentials that people type, paste and enter again (R1, R10, B4): they are read as they were meant, a refusal
//! describes what was read, and only real guesses count as guesses.

use chrono::TimeDelta;
use homeroom_api::invitations::v1::{EnrollmentCode, RedeemRequest, RedemptionOutcome, Token};
use homeroom_tests::{Claims, Clients, Homeroom, details, on_both_engines, reason, timestamp};
use serde_json::json;
use tonic::Status;

use crate::code;

/// Returns the description of the one field violation.
fn said(status: &Status) -> String {
    let details = details(status);
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations.len(), 1, "{status:?}");
    assert_eq!(violations[0].field, "credential");
    violations[0].description.clone()
}

/// Returns how many different guesses the user had left, by making each of them.
async fn guesses_left(homeroom: &Homeroom, user: &str) -> usize {
    for guess in 0..6 {
        match homeroom
            .refusal(user, &format!("HAMILTON-LEFT{guess}"))
            .await
            .as_str()
        {
            "TOO_MANY_ATTEMPTS" => return guess,
            other => assert_eq!(other, "CODE_NOT_USABLE"),
        }
    }
    6
}

fn support(homeroom: &Homeroom) -> Clients {
    homeroom.user_with(Claims {
        scopes: &["homeroom.platform"],
        ..Claims::of("support")
    })
}

on_both_engines! {
async fn u11_r1_what_was_handed_out_is_read_as_it_is_pasted(homeroom) {
    let school = homeroom.school().await;
    school.enrollment_code(code("BIO101")).await;
    let phrase = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    let class_code = school.class_code().await;
    let words: Vec<&str> = phrase.phrase.split(' ').collect();
    let wrapped = |link: &str| -> String {
        link.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
    };
    let pasted = [
        "«HAMILTON-BIO101»".to_owned(),
        "„HAMILTON-BIO101“".to_owned(),
        "「ＨＡＭＩＬＴＯＮーＢＩＯ１０１」。".to_owned(),
        "HAMILTON-BIO١٠١".to_owned(),
        "HAMILTON-BIO۱۰۱".to_owned(),
        "\u{200e}HAMIL\u{200b}TON-BIO\u{2060}101\u{200f}".to_owned(),
        "*HAMILTON-BIO101*".to_owned(),
        "`HAMILTON-BIO101`".to_owned(),
        "HAMILTON-\r\nBIO101".to_owned(),
        "Your code is HAMILTON-BIO101.".to_owned(),
        "Ваш код: HAMILTON-BIO101".to_owned(),
        words.join(", "),
        words.join(",\n"),
        format!("**{}**", words.join(" ")),
        format!("Class code: {}", class_code.code),
        format!("Join us on Homeroom: {} (Ms Park)", phrase.invite_url),
        format!("https://eur01.safelinks.protection.outlook.com/?url={}&data=05%7C01&reserved=0", wrapped(&class_code.join_link)),
        format!("https://www.google.com/url?q={}&sa=D", wrapped(&phrase.invite_url)),
        format!("https://urldefense.com/v3/__{}__;!!AbC!d$", class_code.join_link),
        format!("https://urldefense.proofpoint.com/v2/url?u={}&d=DwMFaQ", wrapped(&phrase.invite_url).replace("%2F", "_").replace("%2E", ".").replace('%', "-")),
        format!("{}?{}", class_code.join_link, "x=".repeat(1_000)),
    ];
    for (index, pasted) in pasted.iter().enumerate() {
        let outcome = homeroom.redeemed(&format!("pupil-{index}"), pasted).await.unwrap_or_else(|refused| panic!("{pasted:?}: {refused:?}")).outcome();
        assert_eq!(outcome, RedemptionOutcome::Admitted, "{pasted:?}");
    }
}
}

on_both_engines! {
async fn u12_r10_what_is_in_doubt_is_told_and_costs_nothing(homeroom) {
    let school = homeroom.school().await;
    school.enrollment_code(code("BIO101")).await;
    let pupil = homeroom.user("pupil");
    for (pasted, seen) in [
        ("https://eur01.safelinks.protection.outlook.com/ap/w-59584e83/?data=05%7C01", "a link wrapped by a mail filter"),
        ("https://protect-eu.mimecast.com/s/AbCdEf?domain=join.example", "a link wrapped by a mail filter"),
        ("https://school.example/biology", "looks like a link"),
        ("https://join.example/c/7K3M", "looks like a link"),
        ("Your code is HAMILTON BIO 101, have fun", "looks like a sentence"),
        ("Please join with HAMILTON-BIO101 before Friday", "looks like a sentence"),
        ("do you know what the code of our class may be", "looks like a sentence"),
        ("HAMILTON-BIO101\nHAMILTON-CHEM202", "more than one"),
        ("BI\u{41e}101", "U+041E"),
        ("BIO_101", "“_”"),
    ] {
        for named in ["", school.organization.as_str()] {
            let request = RedeemRequest { credential: pasted.to_owned(), organization: named.to_owned(), ..Default::default() };
            let refused = pupil.redeem_with(request).await.unwrap_err();
            assert_eq!(reason(&refused), "CODE_MALFORMED", "{pasted}");
            assert!(said(&refused).contains(seen), "{pasted}: {}", said(&refused));
        }
    }
    assert_eq!(guesses_left(homeroom, "pupil").await, 5);
}
}

on_both_engines! {
async fn u3_r10_who_presses_until_a_code_opens_gets_in_and_nobody_polls(homeroom) {
    let school = homeroom.school().await;
    let opens = homeroom.now() + TimeDelta::minutes(2);
    let early = school.enrollment_code(EnrollmentCode { valid_from_time: Some(timestamp(opens)), ..code("BIO101") }).await;
    for _ in 0..5 {
        homeroom.advance(TimeDelta::seconds(2));
        assert_eq!(homeroom.refusal("pupil", &early.full_code).await, "NOT_YET_VALID");
        homeroom.user("pupil").preview("hamilton bio 101").await.unwrap_err();
    }
    homeroom.set(opens);
    for user in ["pupil", "late"] {
        assert_eq!(homeroom.outcome(user, &early.full_code).await, RedemptionOutcome::Admitted, "{user}");
    }
    // Five guesses are still five, and the repeated presses counted as one.
    assert_eq!(guesses_left(homeroom, "pupil").await, 4);
    assert_eq!(guesses_left(homeroom, "guesser").await, 5);
    let mut polls = 0;
    while homeroom.refusal("poller", "HAMILTON-SOON").await == "CODE_NOT_USABLE" {
        polls += 1;
        assert!(polls < 100, "polled {polls} times");
    }
}
}

on_both_engines! {
async fn u4_b4_codes_that_read_alike_are_one(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    for alike in ["BI0101", "BIOIOI", "bio l0l", "B10-101"] {
        let refused = school.try_enrollment_code(&school.organization, code(alike)).await.unwrap_err();
        assert_eq!(reason(&refused), "CODE_TAKEN", "{alike}");
    }
    for (index, typed) in ["HAMILTON-BI0101", "hamllton bio 1ol", "HAM1LT0NBIOIOI", "HAMILTON-BIO101"].iter().enumerate() {
        let redeemed = homeroom.redeemed(&format!("pupil-{index}"), typed).await.unwrap();
        assert_eq!((redeemed.outcome(), redeemed.class.as_str()), (RedemptionOutcome::Admitted, school.class.as_str()), "{typed}");
    }
    let refused = homeroom.user("pupil-9").redeem_with(RedeemRequest { credential: "BI0 l0l".to_owned(), organization: school.organization.clone(), ..Default::default() }).await;
    assert_eq!(refused.unwrap().outcome(), RedemptionOutcome::Admitted);
    assert_eq!(bio.full_code, "HAMILTON-BIO101");
}
}

on_both_engines! {
async fn r10_r12_support_lets_somebody_in_whom_the_limiter_refuses(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(code("BIO101")).await;
    assert_eq!(guesses_left(homeroom, "ada").await, 5);
    assert_eq!(homeroom.refusal("ada", &bio.full_code).await, "TOO_MANY_ATTEMPTS");
    // Only support may do this, with a token that is not bound to organizations.
    let clear = async |clients: Clients, name: &str| clients.call("UserService.ClearFailedAttempts", &json!({"name": name})).await;
    let bound = homeroom.user_with(Claims { scopes: &["homeroom.platform"], organizations: Some(&["hamilton"]), ..Claims::of("support") });
    for clients in [homeroom.user("ada"), school.admin.clone(), bound] {
        assert_eq!(reason(&clear(clients, "users/ada").await.unwrap_err()), "SCOPE_MISSING");
    }
    assert_eq!(reason(&clear(support(homeroom), "ada").await.unwrap_err()), "INVALID_REQUEST");
    assert_eq!(homeroom.refusal("ada", &bio.full_code).await, "TOO_MANY_ATTEMPTS");
    clear(support(homeroom), "users/ada").await.unwrap();
    assert_eq!(homeroom.outcome("ada", &bio.full_code).await, RedemptionOutcome::Admitted);
    // Clearing an unknown user's attempts is not an error.
    clear(support(homeroom), "users/nobody").await.unwrap();
    // And the audit log shows who did it to whom.
    let list = json!({"parent": "organizations/-", "filter": "subject = \"users/ada\""});
    let listed = support(homeroom).done("AuditService.ListAuditEntries", list).await;
    let entry = &listed["auditEntries"][0];
    assert_eq!(listed["auditEntries"].as_array().map(Vec::len), Some(1));
    assert_eq!([&entry["actor"], &entry["class"]], [&json!("support"), &json!(null)]);
    assert_eq!(entry["method"], "homeroom.invitations.v1.UserService/ClearFailedAttempts");
}
}
