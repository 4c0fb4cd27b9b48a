//! Rules for every way in (R1 to R11).

use chrono::TimeDelta;
use homeroom_api::{
    invitations::v1::{EnrollmentCode, RedeemRequest, RedemptionOutcome, Token},
    membership::v1::join_request::Cause,
};
use homeroom_tests::{details, on_both_engines, reason};
use serde_json::json;

const GET_REQUEST: &str = "JoinRequestService.GetJoinRequest";
const REMOVE: &str = "MemberService.RemoveClassMember";

on_both_engines! {
async fn r2_a_member_is_told_so_and_nothing_is_spent_also_on_a_used_up_or_expired_credential(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { max_uses: Some(2), ..Default::default() }).await;
    homeroom.outcome("student-1", &token.phrase).await;
    assert_eq!(homeroom.outcome("student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    // The second use is still free; after that the token is used up, which a member does not see.
    assert_eq!(homeroom.outcome("student-2", &token.phrase).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.outcome("student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    homeroom.advance(TimeDelta::days(31));
    assert_eq!(homeroom.outcome("student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    assert_eq!(homeroom.refusal("student-3", &token.phrase).await, "NO_LONGER_VALID");
}
}

on_both_engines! {
async fn r2_who_waits_and_is_led_to_the_queue_again_has_the_same_request(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let first = homeroom.queued("student-1", &url).await;
    let second = homeroom.queued("student-1", &url).await;
    assert_eq!(first.name, second.name);
    assert_eq!(school.waiting().await.len(), 1);

    // A person who waits is admitted at once by another invitation, and the request is closed.
    assert_eq!(homeroom.outcome("student-1", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
    assert!(school.waiting().await.is_empty());
    assert_eq!(homeroom.user("student-1").done(GET_REQUEST, json!({"name": first.name})).await["state"], "CLOSED");
}
}

on_both_engines! {
async fn r3_a_retry_with_the_same_request_id_gives_the_same_answer_for_24_hours(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let token = school.token(Token::default()).await;
    let request_id = homeroom.new_id().to_string();
    let request = RedeemRequest { credential: token.phrase.clone(), request_id: request_id.clone(), ..Default::default() };
    let student = homeroom.user("student-1");
    let first = student.redeem_with(request.clone()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(student.redeem_with(request.clone()).await.unwrap(), first);
    }
    // The same holds after the credential was used up, and for a refusal by membership.
    let code = school.class_code().await.code;
    let refused = RedeemRequest { credential: code.clone(), request_id: homeroom.new_id().to_string(), ..Default::default() };
    let other = homeroom.user("student-2");
    assert_eq!(reason(&other.redeem_with(refused.clone()).await.unwrap_err()), "NO_SEATS");
    homeroom.user("student-1").leave(&school.organization, "student-1").await;
    assert_eq!(reason(&other.redeem_with(refused).await.unwrap_err()), "NO_SEATS");
    // A redemption under way is joined (P2); the refused one has ended once it is settled.
    homeroom.settled().await;
    assert_eq!(homeroom.outcome("student-2", &code).await, RedemptionOutcome::Admitted);

    // The same id for another request is a conflict; another user's same id is another request.
    let conflict = RedeemRequest { credential: code.clone(), request_id: request_id.clone(), ..Default::default() };
    assert_eq!(reason(&student.redeem_with(conflict).await.unwrap_err()), "REQUEST_ID_CONFLICT");
    // Staff changes can be repeated as safely, and their stored answers contain no secret.
    let reset = json!({"name": format!("{}/classCode", school.class), "request_id": homeroom.new_id().to_string()});
    let first = school.teacher.done("ClassCodeService.ResetClassCode", reset.clone()).await;
    assert_eq!(school.teacher.done("ClassCodeService.ResetClassCode", reset).await, first);
}
}

on_both_engines! {
async fn r4_preview_says_what_would_happen_and_changes_nothing(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let code = school.class_code().await.code;
    let student = homeroom.user("student-1");
    let preview = student.preview(&code).await.unwrap();
    assert_eq!((preview.outcome(), preview.requires_approval), (RedemptionOutcome::Admitted, false));
    assert_eq!((preview.organization_display_name.as_str(), preview.class_display_name.as_str()), ("hamilton school", "Biology"));
    assert!(!school.roster().await.contains(&"student-1".to_owned()));
    let url = school.join_url().await.url;
    let preview = student.preview(&url).await.unwrap();
    assert_eq!((preview.outcome(), preview.requires_approval), (RedemptionOutcome::PendingApproval, true));
    assert!(school.waiting().await.is_empty());
    assert_eq!(student.preview("HAMILTON-NOTHING").await.map_err(|status| reason(&status)).unwrap_err(), "CODE_NOT_USABLE");

    // The organization is full and the code is for another domain: staff see every failing rule.
    homeroom.outcome("student-2", &code).await;
    assert_eq!(reason(&student.preview(&code).await.unwrap_err()), "NO_SEATS");
    let guarded = school.enrollment_code(EnrollmentCode {
        code: "BIO101".to_owned(),
        valid_from_time: Some(homeroom_tests::timestamp(homeroom.now() + TimeDelta::days(1))),
        email_domains: vec!["hamiltonschools.org".to_owned()],
        ..Default::default()
    }).await;
    let seen = school.teacher.preview(&guarded.full_code).await.unwrap();
    let reasons: Vec<_> = seen.failures.iter().map(|failure| failure.reason().as_str_name()).collect();
    assert!(reasons.contains(&"NOT_YET_VALID") && reasons.contains(&"EMAIL_UNVERIFIED"), "{reasons:?}");
    // Anyone else sees the refusal that Redeem would give.
    let stranger = homeroom.user("student-3");
    assert_eq!(reason(&stranger.preview(&guarded.full_code).await.unwrap_err()), reason(&stranger.redeem(&guarded.full_code).await.unwrap_err()));
}
}

on_both_engines! {
async fn r4_preview_says_why_a_person_would_wait(homeroom) {
    let school = homeroom.school().await;
    let (code, url) = (school.class_code().await.code, school.join_url().await.url);
    homeroom.outcome("removed", &code).await;
    school.teacher.done(REMOVE, json!({"name": format!("{}/members/removed", school.class)})).await;
    let cause = async |user: &str, credential: &str| {
        homeroom.user(user).preview(credential).await.unwrap().approval_cause()
    };
    assert_eq!(cause("student-1", &code).await, Cause::Unspecified);
    assert_eq!(cause("student-1", &url).await, Cause::JoinUrl);
    assert_eq!(cause("removed", &code).await, Cause::RemovedBefore);
    homeroom.advance(TimeDelta::days(15));
    assert_eq!(cause("student-1", &code).await, Cause::CodeLocked);
    // A person who waits already keeps the first cause.
    homeroom.queued("student-1", &url).await;
    assert_eq!(cause("student-1", &code).await, Cause::JoinUrl);
    assert_eq!(school.waiting().await.len(), 1);
}
}

on_both_engines! {
async fn r7_leaving_a_class_frees_no_seat_leaving_the_organization_frees_it_and_closes_requests(homeroom) {
    let school = homeroom.school_named("hamilton", 5).await;
    let chemistry = school.another_class("chemistry").await;
    homeroom.outcome("student-1", &school.class_code().await.code).await;
    let student = homeroom.user("student-1");
    student.done(REMOVE, json!({"name": format!("{}/members/student-1", school.class)})).await;
    assert_eq!(school.seats().await.seats_used, 1);

    let url = school.of_class(chemistry).join_url().await.url;
    let request = homeroom.queued("student-1", &url).await;
    student.leave(&school.organization, "student-1").await;
    let seats = school.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting), (0, 0));
    assert_eq!(student.done(GET_REQUEST, json!({"name": request.name})).await["state"], "CLOSED");
    // A person who left is admitted again at once.
    assert_eq!(homeroom.outcome("student-1", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn r8_who_was_removed_by_staff_queues_by_any_older_invitation_and_approval_lifts_it(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let token = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    homeroom.outcome("student-1", &code.code).await;
    homeroom.advance(TimeDelta::seconds(1));
    let teacher = &school.teacher;
    let student = json!({"name": format!("{}/members/student-1", school.class)});
    teacher.done(REMOVE, student.clone()).await;
    homeroom.advance(TimeDelta::seconds(1));
    let request = homeroom.queued("student-1", &token.phrase).await;
    assert_eq!(request.cause(), Cause::RemovedBefore);
    teacher.done("JoinRequestService.ApproveJoinRequest", json!({"name": request.name})).await;
    assert!(school.roster().await.contains(&"student-1".to_owned()));

    // An invitation made after the removal admits at once; so do older ones once an approval lifted
    // the removal.
    homeroom.advance(TimeDelta::seconds(1));
    teacher.done(REMOVE, student.clone()).await;
    homeroom.advance(TimeDelta::seconds(1));
    let newer = school.token(Token::default()).await;
    assert_eq!(homeroom.outcome("student-1", &newer.phrase).await, RedemptionOutcome::Admitted);

    // Removal from the organization applies to its classes.
    homeroom.outcome("student-2", &code.code).await;
    homeroom.advance(TimeDelta::seconds(1));
    school.admin.leave(&school.organization, "student-2").await;
    assert_eq!(homeroom.queued("student-2", &code.code).await.cause(), Cause::RemovedBefore);
    // An enrollment code may be set to readmit people.
    let back = school.enrollment_code(EnrollmentCode { code: "WELCOME-BACK".to_owned(), allow_rejoin: true, ..Default::default() }).await;
    homeroom.advance(TimeDelta::seconds(1));
    assert_eq!(homeroom.outcome("student-2", &back.full_code).await, RedemptionOutcome::Admitted);
    // Staff may add anyone.
    teacher.done("MemberService.AddClassMember", json!({"parent": school.class, "member": {"user": "student-9", "role": "STUDENT"}})).await;
}
}

on_both_engines! {
async fn r10_a_guesser_is_stopped_and_told_when_to_come_back(homeroom) {
    let school = homeroom.school().await;
    let guesser = homeroom.user("guesser");
    let mut refused = None;
    for guess in 0..6 {
        let status = guesser.redeem(&format!("HAMILTON-GUESS{guess}")).await.unwrap_err();
        if reason(&status) == "TOO_MANY_ATTEMPTS" {
            refused = Some((guess, status));
            break;
        }
        assert_eq!(reason(&status), "CODE_NOT_USABLE");
    }
    let (guesses, status) = refused.expect("the guesser is stopped");
    assert_eq!(guesses, 5, "a burst of five");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = details(&status);
    let retry = details.retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(retry.as_secs() > 0 && retry.as_secs() <= 3600, "{retry:?}");
    assert!(details.quota_failure().is_some());
    // A right code does not help the guesser now, and nobody else is delayed.
    let code = school.class_code().await.code;
    assert_eq!(reason(&guesser.redeem(&code).await.unwrap_err()), "TOO_MANY_ATTEMPTS");
    assert_eq!(reason(&guesser.preview(&code).await.unwrap_err()), "TOO_MANY_ATTEMPTS");
    assert_eq!(homeroom.outcome("student-1", &code).await, RedemptionOutcome::Admitted);
}
}
