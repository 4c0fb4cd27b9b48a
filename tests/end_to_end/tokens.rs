//! Tokens (A1 to A14): the organization's invite token, and class tokens.

use chrono::{SecondsFormat, TimeDelta};
use homeroom_api::{
    common::v1::{Role, User},
    invitations::v1::{RedeemRequest, RedemptionOutcome, Token, redeem_response},
};
use homeroom_tests::{Claims, on_both_engines, reason};
use serde_json::{Value, json};

const BATCH: &str = "TokenService.BatchCreateTokens";
const CREATE: &str = "TokenService.CreateToken";
const GET: &str = "TokenService.GetToken";
const LIST: &str = "TokenService.ListTokens";
const REVEAL: &str = "TokenService.RevealToken";
const REVOKE: &str = "TokenService.RevokeToken";

on_both_engines! {
async fn a1_a7_a_token_leads_into_the_organization_only_or_into_a_class_and_both(homeroom) {
    let school = homeroom.school().await;
    let student = homeroom.user("student-1");

    // With the organization's token, the student is in the organization and in no class.
    let redeemed = student.redeem(&school.invite_token().await.token).await.unwrap();
    assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
    assert_eq!((redeemed.organization.as_str(), redeemed.class.as_str()), (school.organization.as_str(), ""));
    assert!(!school.roster().await.contains(&"student-1".to_owned()));

    // With a class token, another student is in both in one step.
    let token = school.token(Token::default()).await;
    let redeemed = homeroom.user("student-2").redeem(&token.phrase).await.unwrap();
    assert_eq!(redeemed.class, school.class);
    assert!(school.roster().await.contains(&"student-2".to_owned()));
    let students: Vec<_> = school.students().await.into_iter().map(|member| member.user).collect();
    assert_eq!(students, ["student-1", "student-2"]);
}
}

on_both_engines! {
async fn a2_a3_an_organization_has_one_invite_token_with_a_url_read_by_an_administrator(homeroom) {
    let school = homeroom.school().await;
    let first = school.invite_token().await;
    assert_eq!(first, school.invite_token().await);
    assert!(first.may_be_public && first.expire_time.is_none());
    assert!(first.invite_url.ends_with(&first.token), "{}", first.invite_url);

    // A teacher may see the organization, but the token is the administrator's.
    let name = json!({"name": format!("{}/inviteToken", school.organization)});
    assert_eq!(school.teacher.refused("TokenService.GetInviteToken", name.clone()).await, "ROLE_REQUIRED");

    // The URL has the same effect as the token.
    assert_eq!(homeroom.user("student-1").redeem(&first.invite_url).await.unwrap().outcome(), RedemptionOutcome::Admitted);

    // It never expires unless an expiry is set.
    homeroom.advance(TimeDelta::days(4000));
    assert_eq!(homeroom.user("student-2").redeem(&first.token).await.unwrap().outcome(), RedemptionOutcome::Admitted);
    let admin = homeroom.user("admin");
    let tomorrow = json!((homeroom.now() + TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    for expire_time in [&tomorrow, &Value::Null, &tomorrow] {
        let mut invite_token = name.clone();
        invite_token["expireTime"] = expire_time.clone();
        let update = json!({"invite_token": invite_token, "update_mask": "expireTime"});
        assert_eq!(&admin.done("TokenService.UpdateInviteToken", update).await["expireTime"], expire_time);
    }
    homeroom.advance(TimeDelta::days(1));
    assert_eq!(homeroom.refusal("student-3", &first.token).await, "NO_LONGER_VALID");

    // It can be reset; the old one then opens nothing.
    let reset = homeroom.user("admin").done("TokenService.ResetInviteToken", name).await;
    assert!(reset["inviteToken"]["token"].as_str().is_some_and(|token| token != first.token));
    assert_eq!(homeroom.refusal("student-4", &first.token).await, "CODE_NOT_USABLE");
}
}

on_both_engines! {
async fn a4_a5_a_new_account_and_an_existing_one_are_added_as_student(homeroom) {
    let school = homeroom.school().await;
    let token = school.invite_token().await.token;
    for (user, sign_up) in [("new-account", true), ("old-account", false)] {
        let redeemed = homeroom.user(user)
            .redeem_with(RedeemRequest { credential: token.clone(), sign_up, ..Default::default() })
            .await.unwrap();
        let Some(redeem_response::Result::Member(member)) = redeemed.result else { panic!("no member") };
        assert_eq!((member.user.as_str(), member.role()), (user, Role::Student));
        assert!(redeemed.grants_sign_up && redeemed.survives_sign_up);
    }
}
}

on_both_engines! {
async fn a6_a8_x4_a_class_token_is_a_two_word_phrase_for_one_for_some_or_for_any_students(homeroom) {
    let school = homeroom.school().await;
    let single = school.token(Token::default()).await;
    assert_eq!(single.phrase.split([' ', '-']).count(), 2, "{}", single.phrase);
    assert_eq!((single.max_uses, single.use_count), (Some(1), 0));
    homeroom.user("student-1").redeem(&single.phrase).await.unwrap();
    assert_eq!(homeroom.refusal("student-2", &single.phrase).await, "USED_UP");

    let shared = school.token(Token { max_uses: Some(2), ..Default::default() }).await;
    for user in ["student-3", "student-4"] {
        homeroom.user(user).redeem(&shared.phrase).await.unwrap();
    }
    assert_eq!(homeroom.refusal("student-5", &shared.phrase).await, "USED_UP");

    let any = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    for user in ["student-6", "student-7", "student-8"] {
        homeroom.user(user).redeem(&any.phrase).await.unwrap();
    }

    for words in [3, 4] {
        let token = school.token(Token { words, ..Default::default() }).await;
        assert_eq!(token.phrase.split([' ', '-']).count(), usize::try_from(words).unwrap());
    }
}
}

on_both_engines! {
async fn a8_a_token_may_be_assigned_to_one_email_or_external_id(homeroom) {
    let school = homeroom.school().await;
    let by_email = school.token(Token { assigned_email: "Ada@Example.org".to_owned(), ..Default::default() }).await;
    let other = homeroom.user_with(Claims { email: "other@example.org", email_verified: true, ..Claims::of("student-1") });
    assert_eq!(reason(&other.redeem(&by_email.phrase).await.unwrap_err()), "TOKEN_ASSIGNED_TO_ANOTHER");
    let unverified = homeroom.user_with(Claims { email: "ada@example.org", ..Claims::of("student-2") });
    assert_eq!(reason(&unverified.redeem(&by_email.phrase).await.unwrap_err()), "EMAIL_UNVERIFIED");
    let right = homeroom.user_with(Claims { email: "ada@example.org", email_verified: true, ..Claims::of("student-3") });
    assert_eq!(right.redeem(&by_email.phrase).await.unwrap().outcome(), RedemptionOutcome::Admitted);

    let by_id = school.token(Token { external_id: "S-1".to_owned(), ..Default::default() }).await;
    let wrong = homeroom.user_with(Claims { external_id: "S-2", ..Claims::of("student-4") });
    assert_eq!(reason(&wrong.redeem(&by_id.phrase).await.unwrap_err()), "TOKEN_ASSIGNED_TO_ANOTHER");
    let right = homeroom.user_with(Claims { external_id: "S-1", ..Claims::of("student-5") });
    assert_eq!(right.redeem(&by_id.phrase).await.unwrap().outcome(), RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn a8_a_batch_makes_a_token_for_each_of_a_thousand_roster_rows_with_a_result_per_row(homeroom) {
    let school = homeroom.school().await;
    // One row of the thousand is invalid.
    let id = |index| if index == 500 { "x".repeat(256) } else { format!("S-{index}") };
    let batch = |rows: usize| {
        let requests: Vec<_> = (0..rows).map(|index| json!({"token": {"external_id": id(index)}})).collect();
        json!({"parent": school.class, "requests": requests})
    };
    let results = school.teacher.done(BATCH, batch(1000)).await["results"].clone();
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 1000);
    let mut phrases = std::collections::BTreeSet::new();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"].as_u64().unwrap_or(0), index as u64);
        if index == 500 {
            assert_eq!(result["status"]["code"], i32::from(tonic::Code::InvalidArgument));
        } else {
            assert_eq!(result["token"]["externalId"], id(index));
            phrases.insert(result["token"]["phrase"].as_str().unwrap());
        }
    }
    assert_eq!(phrases.len(), 999);
    assert_eq!(school.teacher.refused(BATCH, batch(1001)).await, "INVALID_REQUEST");
    // A request of the batch may repeat its parent, but name no other, and has no id of its own.
    let elsewhere = format!("{}/classes/chemistry", school.organization);
    let requests = json!([
        {"parent": school.class, "token": {}},
        {"parent": elsewhere, "token": {}},
        {"request_id": homeroom.new_id().to_string(), "token": {}},
        {},
    ]);
    let made = school.teacher.done(BATCH, json!({"parent": school.class, "requests": requests})).await;
    let codes = [0, 1, 2, 3].map(|index| made["results"][index]["status"]["code"].as_i64());
    assert_eq!(codes, [None, Some(3), Some(3), Some(3)]);
}
}

on_both_engines! {
async fn a9_r1_a_token_is_entered_as_it_was_typed(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    let words: Vec<_> = token.phrase.split([' ', '-']).collect();
    let typed = [
        format!("  {} {}.", words[0].to_uppercase(), words[1]),
        format!("{}-{}", words[0], words[1]),
        format!("{}   {}\n", words[0], words[1].to_uppercase()),
    ];
    for (index, text) in typed.iter().enumerate() {
        let redeemed = homeroom.user(&format!("student-{index}")).redeem(text).await;
        assert_eq!(redeemed.unwrap().outcome(), RedemptionOutcome::Admitted, "{text:?}");
    }
}
}

on_both_engines! {
async fn a10_the_roster_lists_people_who_have_joined_never_those_waiting(homeroom) {
    let school = homeroom.school().await;
    homeroom.user("student-in").redeem(&school.class_code().await.code).await.unwrap();
    let waiting = homeroom.user("student-waiting").redeem(&school.join_url().await.url).await.unwrap();
    assert_eq!(waiting.outcome(), RedemptionOutcome::PendingApproval);
    assert_eq!(school.roster().await, ["co-teacher", "student-in", "teacher"]);
}
}

on_both_engines! {
async fn a11_a12_a13_a_class_tokens_invite_url_has_the_same_effect_for_new_and_existing_accounts(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    for (user, sign_up) in [("new-account", true), ("old-account", false)] {
        let redeemed = homeroom.user(user)
            .redeem_with(RedeemRequest { credential: token.invite_url.clone(), sign_up, ..Default::default() })
            .await.unwrap();
        assert_eq!((redeemed.outcome(), redeemed.class.as_str()), (RedemptionOutcome::Admitted, school.class.as_str()));
        assert!(!redeemed.may_be_public);
    }
    assert_eq!(school.students().await.len(), 2);
}
}

on_both_engines! {
async fn a14_class_tokens_expire_after_30_days_can_be_revoked_and_show_their_uses(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    homeroom.advance(TimeDelta::days(30) - TimeDelta::microseconds(1));
    homeroom.user("student-1").redeem(&token.phrase).await.unwrap();
    homeroom.eventually("the use is counted", async || school.read_token(&token.name).await.use_count == 1).await;
    homeroom.advance(TimeDelta::microseconds(1));
    assert_eq!(homeroom.refusal("student-2", &token.phrase).await, "NO_LONGER_VALID");
    let teacher = homeroom.user("teacher");
    let read = teacher.done(GET, json!({"name": token.name})).await;
    assert_eq!(read["state"], "EXPIRED");
    assert_ne!(read["phrase"], token.phrase, "a read masks the phrase");
    assert_eq!(read["inviteUrl"], Value::Null);

    let token = school.token_of(&teacher, Token { max_uses: Some(0), ..Default::default() }).await;
    let name = json!({"name": token.name});
    assert_eq!(teacher.done(REVEAL, name.clone()).await["token"]["phrase"], token.phrase);
    assert_eq!(teacher.done(REVOKE, name.clone()).await["token"]["state"], "REVOKED");
    assert_eq!(homeroom.refusal("student-3", &token.phrase).await, "CODE_NOT_USABLE");
    assert_eq!(teacher.refused(REVEAL, name).await, "TOKEN_NOT_FOUND");

    // The list is newest first, masked, and paged.
    let mut list = json!({"parent": school.class, "page_size": 1});
    let page = teacher.done(LIST, list.clone()).await;
    assert_eq!((page["tokens"].as_array().unwrap().len(), &page["tokens"][0]["name"]), (1, &json!(token.name)));
    list["page_token"] = page["nextPageToken"].clone();
    let next = teacher.done(LIST, list).await;
    assert_eq!(next["tokens"][0]["state"], "EXPIRED");
    assert_eq!(next["nextPageToken"], Value::Null);
}
}

on_both_engines! {
async fn a6_co_teachers_read_tokens_and_owners_make_them(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token::default()).await;
    school.co_teacher.done(GET, json!({"name": token.name})).await;
    assert_eq!(school.co_teacher.refused(CREATE, json!({"parent": school.class, "token": {}})).await, "ROLE_REQUIRED");
    // A person who may not see the class is told that there is none.
    assert_eq!(homeroom.user("stranger").refused(GET, json!({"name": token.name})).await, "CLASS_NOT_FOUND");
}
}

on_both_engines! {
async fn r3_a_retry_tells_a_secret_again_only_to_who_may_still_see_it(homeroom) {
    let school = homeroom.school().await;
    let create = json!({"parent": school.class, "token": {}, "request_id": homeroom.new_id().to_string()});
    let made = school.teacher.done(CREATE, create.clone()).await;
    assert_eq!(school.teacher.done(CREATE, create.clone()).await, made);
    school.teacher.done("ClassService.TransferClassOwnership", json!({"name": school.class, "owner": "admin"})).await;
    assert_eq!(school.teacher.refused(CREATE, create).await, "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn a9_the_platform_redeems_for_a_person_it_vouches_for(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { assigned_email: "ada@example.org".to_owned(), ..Default::default() }).await;
    let user = User { user: "student-1".to_owned(), email: "ada@example.org".to_owned(), email_verified: true, ..Default::default() };
    let request = RedeemRequest { credential: token.phrase, user: Some(user), ..Default::default() };
    // Without the scope to vouch, its statement about the address is not believed.
    let acting = homeroom.user_with(Claims { scopes: &["homeroom.act_as"], ..Claims::of("lms") });
    assert_eq!(reason(&acting.redeem_with(request.clone()).await.unwrap_err()), "EMAIL_UNVERIFIED");
    let vouching = homeroom.user_with(Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("lms") });
    assert_eq!(vouching.redeem_with(request.clone()).await.unwrap().outcome(), RedemptionOutcome::Admitted);
    // Without the scope to act for others, nobody redeems for another person.
    let alone = homeroom.user("lms");
    assert_eq!(reason(&alone.redeem_with(request).await.unwrap_err()), "SCOPE_MISSING");
}
}

on_both_engines! {
async fn a6_a_phrase_is_shown_when_it_is_made_and_when_it_is_revealed_and_nowhere_else(homeroom) {
    let school = homeroom.school().await;
    let teacher = &school.teacher;
    let parent = json!({"parent": school.class});
    let made = teacher.done(CREATE, json!({"parent": school.class, "token": {"words": 3, "max_uses": 0}})).await;
    let batch = teacher.done(BATCH, json!({"parent": school.class, "requests": [{"token": {}}, {"token": {}}]})).await;
    let results = batch["results"].as_array().unwrap().iter();
    let tokens: Vec<_> = [made].into_iter().chain(results.map(|result| result["token"].clone())).collect();
    // Creation returns the phrase in clear, and the URL with the same words.
    assert_eq!(tokens.len(), 3);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let words_of = |token: &Value| text(&token["phrase"]).split(' ').map(str::to_owned).collect::<Vec<_>>();
    for token in &tokens {
        assert!(text(&token["inviteUrl"]).ends_with(&words_of(token).join("-")), "{token}");
    }
    let is_masked = |shown: &Value| {
        let made = tokens.iter().find(|token| token["name"] == shown["name"]).unwrap();
        assert_eq!(shown["phrase"], vec!["•••••"; words_of(made).len()].join(" "));
        assert_eq!(shown["inviteUrl"], Value::Null);
        let text = shown.to_string();
        for word in words_of(made) {
            assert!(!text.contains(&word), "{text}");
        }
    };

    // Read, listed, filtered, changed and revoked tokens are masked for everyone who may read them,
    // even after the phrase was revealed.
    let token = &tokens[0];
    let name = json!({"name": token["name"]});
    assert_eq!(homeroom.user("student").refused(REVEAL, name.clone()).await, "CLASS_NOT_FOUND");
    let revealed = teacher.done(REVEAL, name.clone()).await["token"].clone();
    assert_eq!((&revealed["phrase"], &revealed["inviteUrl"]), (&token["phrase"], &token["inviteUrl"]));
    for reader in [teacher, &school.co_teacher, &school.admin] {
        is_masked(&reader.done(GET, name.clone()).await);
        let listed = reader.done(LIST, parent.clone()).await["tokens"].clone();
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), tokens.len());
        listed.iter().for_each(is_masked);
    }
    let update = json!({"token": {"name": token["name"], "display_name": "New"}, "update_mask": "displayName"});
    is_masked(&teacher.done("TokenService.UpdateToken", update).await);
    is_masked(&teacher.done(REVOKE, name).await["token"]);
}
}
