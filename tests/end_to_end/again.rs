//! The same person with the same invitation again: a person who waits, who presses several times at once, who left and
//! comes back, and who is a member.

use chrono::TimeDelta;
use homeroom_api::{
    invitations::v1::{EnrollmentCode, RedeemRequest, RedemptionOutcome, Token, redeem_response},
    membership::v1::{JoinRequest, join_request::State},
};
use homeroom_tests::{Claims, Clients, Homeroom, School, on_both_engines, reason, timestamp};
use serde_json::json;

use crate::{assert_audited_soon, code, lock, unlock, update};

/// Ends the user's membership of the class, by the caller.
async fn end_membership(school: &School, caller: &Clients, user: &str) {
    let name = json!({"name": format!("{}/members/{user}", school.class)});
    caller.done("MemberService.RemoveClassMember", name).await;
}

async fn state_of(homeroom: &Homeroom, user: &str, request: &str) -> State {
    let (user, name) = (homeroom.user(user), json!({"name": request}));
    let read: JoinRequest = user.ask("JoinRequestService.GetJoinRequest", name).await;
    read.state()
}

on_both_engines! {
async fn u2_r2_who_waits_by_a_locked_code_is_let_in_once_it_is_unlocked(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    lock(&school).await;
    let request = homeroom.queued("student-1", &code).await;
    assert_eq!(homeroom.queued("student-1", &code).await.name, request.name);
    unlock(&school).await;
    let preview = homeroom.user("student-1").preview(&code).await.unwrap();
    assert_eq!(preview.outcome(), RedemptionOutcome::Admitted);
    assert_eq!(homeroom.outcome("student-1", &code).await, RedemptionOutcome::Admitted);
    assert!(school.roster().await.contains(&"student-1".to_owned()));
    assert!(school.waiting().await.is_empty());
    assert_eq!(state_of(homeroom, "student-1", &request.name).await, State::Closed);
    // When the code is locked again, a member is still told that they are a member.
    lock(&school).await;
    assert_eq!(homeroom.outcome("student-1", &code).await, RedemptionOutcome::AlreadyMember);
    assert_audited_soon(homeroom).await;
    assert_eq!(school.class_code().await.use_count, 1);
}
}

on_both_engines! {
async fn u2_r8_who_waits_for_a_removal_is_let_in_once_the_code_takes_people_back(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let bio = school.enrollment_code(EnrollmentCode { max_uses: Some(1), ..code("BIO101") }).await;
    homeroom.outcome("student-1", &school.class_code().await.code).await;
    homeroom.advance(TimeDelta::seconds(1));
    end_membership(&school, &school.teacher, "student-1").await;
    homeroom.advance(TimeDelta::seconds(1));
    let request = homeroom.queued("student-1", &bio.full_code).await;
    // Nothing has changed: the request is the same, and nobody else has the use.
    assert_eq!(homeroom.queued("student-1", &bio.full_code).await.name, request.name);
    assert_eq!(homeroom.refusal("student-2", &bio.full_code).await, "USED_UP");
    update(homeroom, EnrollmentCode { name: bio.name.clone(), allow_rejoin: true, ..Default::default() }, &["allow_rejoin"]).await;
    assert_eq!(homeroom.outcome("student-1", &bio.full_code).await, RedemptionOutcome::Admitted);
    assert_eq!(state_of(homeroom, "student-1", &request.name).await, State::Closed);
    assert_eq!(homeroom.refusal("student-2", &bio.full_code).await, "USED_UP");
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn u2_x9_who_waits_and_finds_no_seat_waits_on_until_there_is_one(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let code = school.class_code().await.code;
    lock(&school).await;
    let request = homeroom.queued("student-1", &code).await;
    unlock(&school).await;
    assert_eq!(homeroom.outcome("student-2", &code).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.refusal("student-1", &code).await, "NO_SEATS");
    assert_eq!(state_of(homeroom, "student-1", &request.name).await, State::Pending);
    homeroom.user("student-2").leave(&school.organization, "student-2").await;
    school.teacher.done("JoinRequestService.ApproveJoinRequest", json!({"name": request.name})).await;
    assert!(school.roster().await.contains(&"student-1".to_owned()));
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn u7_one_person_who_presses_many_times_at_once_is_in(homeroom) {
    let school = homeroom.school().await;
    for (index, count) in [2, 4, 4, 4, 5].into_iter().enumerate() {
        let token = school.token(Token::default()).await;
        let student = homeroom.user(&format!("student-{index}"));
        let presses = (0..count).map(|press| {
            let request_id = if press % 2 == 0 { String::new() } else { homeroom.new_id().to_string() };
            student.redeem_with(RedeemRequest { credential: token.phrase.clone(), request_id, ..Default::default() })
        });
        for answer in futures::future::join_all(presses).await {
            let outcome = answer.map(|redeemed| redeemed.outcome()).map_err(|status| reason(&status));
            let is_in = [RedemptionOutcome::Admitted, RedemptionOutcome::AlreadyMember];
            assert!(outcome.as_ref().is_ok_and(|outcome| is_in.contains(outcome)), "{count} at once: {outcome:?}");
        }
        homeroom.settled().await;
        assert_eq!(school.read_token(&token.name).await.use_count, 1);
    }
    // The same holds where all are refused.
    let full = homeroom.school_named("jefferson", 1).await;
    let code = full.class_code().await.code;
    homeroom.outcome("student-1", &code).await;
    let late = homeroom.user("student-2");
    for answer in futures::future::join_all((0..4).map(|_| late.redeem(&code))).await {
        assert_eq!(reason(&answer.unwrap_err()), "NO_SEATS");
    }
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn u8_p4_who_leaves_and_comes_back_spends_no_second_use(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token::default()).await;
    for _ in 0..3 {
        assert_eq!(homeroom.outcome("student-1", &token.phrase).await, RedemptionOutcome::Admitted);
        assert_eq!(school.read_token(&token.name).await.use_count, 1);
        end_membership(&school, &homeroom.user("student-1"), "student-1").await;
    }
    assert_eq!(homeroom.outcome("student-1", &token.invite_url).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.refusal("student-2", &token.phrase).await, "USED_UP");
    // The organization may be left as well.
    homeroom.user("student-1").leave(&school.organization, "student-1").await;
    assert_eq!(homeroom.outcome("student-1", &token.phrase).await, RedemptionOutcome::Admitted);

    // A code that was switched off and on, or got another word, counts the same people.
    let bio = school.enrollment_code(EnrollmentCode { max_uses: Some(1), ..code("BIO101") }).await;
    assert_eq!(homeroom.outcome("student-3", &bio.full_code).await, RedemptionOutcome::Admitted);
    end_membership(&school, &homeroom.user("student-3"), "student-3").await;
    let name = bio.name.clone();
    for enabled in [false, true] {
        update(homeroom, EnrollmentCode { name: name.clone(), enabled: Some(enabled), ..Default::default() }, &["enabled"]).await;
    }
    assert_eq!(homeroom.outcome("student-3", &bio.full_code).await, RedemptionOutcome::Admitted);
    end_membership(&school, &homeroom.user("student-3"), "student-3").await;
    let renamed = update(homeroom, EnrollmentCode { name, ..code("BIO202") }, &["code"]).await;
    assert_eq!(homeroom.outcome("student-3", &renamed.full_code).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.refusal("student-4", &renamed.full_code).await, "USED_UP");
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn u8_r8_whom_staff_removed_asks_again_and_takes_nobodys_use(homeroom) {
    let school = homeroom.school().await;
    let bio = school.enrollment_code(EnrollmentCode { max_uses: Some(2), ..code("BIO101") }).await;
    homeroom.outcome("student-1", &bio.full_code).await;
    homeroom.advance(TimeDelta::seconds(1));
    end_membership(&school, &school.teacher, "student-1").await;
    homeroom.advance(TimeDelta::seconds(1));
    let request = homeroom.queued("student-1", &bio.full_code).await;
    assert_eq!(homeroom.outcome("student-2", &bio.full_code).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.refusal("student-3", &bio.full_code).await, "USED_UP");
    school.teacher.done("JoinRequestService.ApproveJoinRequest", json!({"name": request.name})).await;
    assert!(school.roster().await.contains(&"student-1".to_owned()));
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn u9_r2_a_member_is_told_so_before_any_refusal_of_a_living_invitation(homeroom) {
    let school = homeroom.school().await;
    let tomorrow = Some(timestamp(homeroom.now() + TimeDelta::days(1)));
    let domains = |domain: &str| vec![domain.to_owned()];
    let early = school.enrollment_code(EnrollmentCode { valid_from_time: tomorrow, ..code("EARLY1") }).await;
    let verified = school.enrollment_code(EnrollmentCode { email_domains: domains("hamiltonschools.org"), ..code("VERIFIED1") }).await;
    let elsewhere = school.enrollment_code(EnrollmentCode { email_domains: domains("jeffersonschools.org"), ..code("ELSEWHERE1") }).await;
    let by_email = school.token(Token { assigned_email: "ada@hamiltonschools.org".to_owned(), ..Default::default() }).await;
    let by_id = school.token(Token { external_id: "S-1".to_owned(), ..Default::default() }).await;
    let url = school.join_url().await.url;
    let class_code = school.class_code().await.code;
    homeroom.outcome("member", &class_code).await;
    let request = homeroom.queued("waiting", &url).await;
    for (index, (credential, email_verified, sign_up, expected)) in [
        (&early.full_code, true, false, "NOT_YET_VALID"),
        (&verified.full_code, false, false, "EMAIL_UNVERIFIED"),
        (&elsewhere.full_code, true, false, "EMAIL_DOMAIN_NOT_ALLOWED"),
        (&by_email.phrase, false, false, "EMAIL_UNVERIFIED"),
        (&by_email.phrase, true, false, "TOKEN_ASSIGNED_TO_ANOTHER"),
        (&by_id.invite_url, true, false, "TOKEN_ASSIGNED_TO_ANOTHER"),
        (&url, true, true, "SIGN_UP_NOT_GRANTED"),
    ].into_iter().enumerate() {
        let redeem = async |user: &str| {
            let request = RedeemRequest { credential: credential.clone(), sign_up, request_id: homeroom.new_id().to_string(), ..Default::default() };
            let caller = homeroom.user_with(Claims {
                email: "mia@hamiltonschools.org", email_verified, external_id: "S-2", ..Claims::of(user)
            });
            let told = caller.redeem_with(request.clone()).await;
            if let Ok(redeemed) = &told {
                assert_eq!(caller.redeem_with(request).await.unwrap().redemption, redeemed.redemption, "R3: {expected}");
            }
            told.map(|redeemed| (redeemed.outcome(), redeemed.result)).map_err(|status| reason(&status))
        };
        let (outcome, _) = redeem("member").await.unwrap();
        assert_eq!(outcome, RedemptionOutcome::AlreadyMember, "{expected}");
        let (outcome, result) = redeem("waiting").await.unwrap();
        assert_eq!(outcome, RedemptionOutcome::PendingApproval, "{expected}");
        let Some(redeem_response::Result::JoinRequest(waiting)) = result else { panic!("{result:?}") };
        assert_eq!(waiting.name, request.name);
        assert_eq!(redeem(&format!("stranger-{index}")).await.unwrap_err(), expected);
    }
    // An archived class admits nobody, and its members stay members.
    let preview = school.teacher.preview(&early.full_code).await.unwrap();
    assert_eq!(preview.outcome(), RedemptionOutcome::AlreadyMember);
    assert!(!preview.failures.is_empty(), "staff see what refuses others");
    school.teacher.done("ClassService.ArchiveClass", json!({"name": school.class})).await;
    for (credential, refusal) in [(&class_code, "CLASS_ARCHIVED"), (&early.full_code, "NOT_YET_VALID")] {
        assert_eq!(homeroom.outcome("member", credential).await, RedemptionOutcome::AlreadyMember);
        assert_eq!(homeroom.refusal("stranger", credential).await, refusal);
    }
    assert_audited_soon(homeroom).await;
}
}
