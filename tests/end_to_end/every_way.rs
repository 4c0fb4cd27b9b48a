//! Rules for every way in (R1 to R11).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::{ListEventsRequest, Role, User, WatchEventsRequest},
    invitations::v1::{
        BatchRedeemRequest, EnrollmentCode, GetRedemptionRequest, ListRedemptionsRequest,
        PreviewRedemptionRequest, RedeemRequest, RedemptionOutcome, ResetClassCodeRequest, Token,
        batch_redeem_response::result::Outcome, redeem_response, redemption,
    },
    membership::v1::{
        AddClassMemberRequest, ApproveJoinRequestRequest, DenyJoinRequestRequest,
        GetClassMemberRequest, GetJoinRequestRequest, JoinRequest, ListMembershipsRequest,
        RemoveClassMemberRequest, RemoveOrganizationMemberRequest, WithdrawJoinRequestRequest,
        join_request::{Cause, State},
        member::provenance::Method,
    },
};
use homeroom_tests::{Claims, Homeroom, details, on_both_engines, person, reason};

async fn outcome(homeroom: &Homeroom, user: &str, credential: &str) -> RedemptionOutcome {
    homeroom
        .user(user)
        .redeem(credential)
        .await
        .unwrap()
        .outcome()
}

async fn queued(homeroom: &Homeroom, user: &str, credential: &str) -> JoinRequest {
    match homeroom.user(user).redeem(credential).await.unwrap().result {
        Some(redeem_response::Result::JoinRequest(request)) => request,
        other => panic!("no join request: {other:?}"),
    }
}

on_both_engines! {
async fn r1_one_box_takes_what_a_person_typed_or_pasted(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let plain: String = code.code.chars().filter(char::is_ascii_alphanumeric).collect();
    let typed = [
        code.code.clone(),
        plain.to_lowercase(),
        format!("  {} ", code.code.replace('-', " ")),
        format!("{}.", code.code),
        plain.replace('0', "o").replace('1', "l"),
        code.join_link.clone(),
        format!("{}\n", code.join_link),
        school.invite_token().await.invite_url,
        school.join_url().await.url,
    ];
    for (index, text) in typed.iter().enumerate() {
        assert!(homeroom.user(&format!("student-{index}")).redeem(text).await.is_ok(), "{text:?}");
    }
    for (text, expected) in [
        ("\u{202e}abc", "CODE_MALFORMED"),
        ("https://elsewhere.example/c/ABCD-EFGH-JKMN", "CODE_MALFORMED"),
        (&"a".repeat(513), "INVALID_REQUEST"),
        ("", "INVALID_REQUEST"),
    ] {
        assert_eq!(reason(&homeroom.user("student").redeem(text).await.unwrap_err()), expected, "{text:?}");
    }
}
}

on_both_engines! {
async fn r2_a_member_is_told_so_and_nothing_is_spent_also_on_a_used_up_or_expired_credential(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { max_uses: Some(2), ..Default::default() }).await;
    outcome(homeroom, "student-1", &token.phrase).await;
    assert_eq!(outcome(homeroom, "student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    // The second use is still there; then it is used up, which a member is not told.
    assert_eq!(outcome(homeroom, "student-2", &token.phrase).await, RedemptionOutcome::Admitted);
    assert_eq!(outcome(homeroom, "student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    homeroom.advance(TimeDelta::days(31));
    assert_eq!(outcome(homeroom, "student-1", &token.phrase).await, RedemptionOutcome::AlreadyMember);
    assert_eq!(reason(&homeroom.user("student-3").redeem(&token.phrase).await.unwrap_err()), "NO_LONGER_VALID");
}
}

on_both_engines! {
async fn r2_who_waits_and_is_led_to_the_queue_again_has_the_same_request(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let first = queued(homeroom, "student-1", &url).await;
    let second = queued(homeroom, "student-1", &url).await;
    assert_eq!(first.name, second.name);
    assert_eq!(school.waiting().await.len(), 1);

    // Waiting and now admitted at once by another invitation: admitted, the request closed.
    assert_eq!(outcome(homeroom, "student-1", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
    assert!(school.waiting().await.is_empty());
    let closed = homeroom.user("student-1").join_requests.get_join_request(GetJoinRequestRequest { name: first.name }).await.unwrap().into_inner();
    assert_eq!(closed.state(), State::Closed);
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
    // Also after the credential was used up, and for a refusal by membership.
    let code = school.class_code().await.code;
    let refused = RedeemRequest { credential: code.clone(), request_id: homeroom.new_id().to_string(), ..Default::default() };
    let other = homeroom.user("student-2");
    assert_eq!(reason(&other.redeem_with(refused.clone()).await.unwrap_err()), "NO_SEATS");
    homeroom.user("student-1").leave(&school.organization, "student-1").await;
    assert_eq!(reason(&other.redeem_with(refused).await.unwrap_err()), "NO_SEATS");
    assert_eq!(outcome(homeroom, "student-2", &code).await, RedemptionOutcome::Admitted);

    // The same id for another request is a conflict; another user's same id is another request.
    let conflict = RedeemRequest { credential: code.clone(), request_id: request_id.clone(), ..Default::default() };
    assert_eq!(reason(&student.redeem_with(conflict).await.unwrap_err()), "REQUEST_ID_CONFLICT");
    // Changes of staff are as safe to repeat, and their stored answers hold no secret.
    let mut teacher = school.teacher.clone();
    let reset = ResetClassCodeRequest { name: format!("{}/classCode", school.class), request_id: homeroom.new_id().to_string(), ..Default::default() };
    let first = teacher.class_codes.reset_class_code(reset.clone()).await.unwrap().into_inner();
    assert_eq!(teacher.class_codes.reset_class_code(reset).await.unwrap().into_inner(), first);
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

    // A full organization, and a code of another domain: staff get every failing rule.
    outcome(homeroom, "student-2", &code).await;
    assert_eq!(reason(&student.preview(&code).await.unwrap_err()), "NO_SEATS");
    let guarded = school.enrollment_code(EnrollmentCode {
        code: "BIO101".to_owned(),
        valid_from_time: Some(homeroom_tests::timestamp(homeroom.now() + TimeDelta::days(1))),
        email_domains: vec!["hamiltonschools.org".to_owned()],
        ..Default::default()
    }).await;
    let seen = school.teacher.clone().redemptions.preview_redemption(PreviewRedemptionRequest { credential: guarded.full_code.clone(), ..Default::default() })
        .await.unwrap().into_inner();
    let reasons: Vec<_> = seen.failures.iter().map(|failure| failure.reason().as_str_name()).collect();
    assert!(reasons.contains(&"NOT_YET_VALID") && reasons.contains(&"EMAIL_UNVERIFIED"), "{reasons:?}");
    // For anyone else it is the refusal that Redeem would answer.
    assert_eq!(reason(&student.preview(&guarded.full_code).await.unwrap_err()), reason(&student.redeem(&guarded.full_code).await.unwrap_err()));
}
}

on_both_engines! {
async fn r5_what_opens_nothing_is_one_answer_and_a_living_credential_says_why(homeroom) {
    let school = homeroom.school().await;
    let revoked = school.token(Token::default()).await;
    school.teacher.clone().tokens.revoke_token(homeroom_api::invitations::v1::RevokeTokenRequest { name: revoked.name, ..Default::default() }).await.unwrap();
    let reset = school.class_code().await;
    school.teacher.clone().class_codes.reset_class_code(ResetClassCodeRequest { name: reset.name, ..Default::default() }).await.unwrap();
    let off = school.enrollment_code(EnrollmentCode { code: "BIO101".to_owned(), enabled: Some(false), ..Default::default() }).await;
    let mut answers = Vec::new();
    for (index, text) in [revoked.phrase.as_str(), &reset.code, &off.full_code, "HAMILTON-UNKNOWN", "ABCD-EFGH-JKMN", "zebra zodiac"].iter().enumerate() {
        let status = homeroom.user(&format!("student-{index}")).redeem(text).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::NotFound, "CODE_NOT_USABLE"), "{text}");
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same bytes: {answers:?}");
}
}

on_both_engines! {
async fn r5_what_leads_to_a_deleted_class_opens_nothing_like_anything_unknown(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let url = school.join_url().await.url;
    let unknown = homeroom.user("student-0").redeem("ABCD-EFGH-JKMN").await.unwrap_err();
    school.teacher.clone().classes.delete_class(homeroom_api::membership::v1::DeleteClassRequest { name: school.class.clone(), ..Default::default() }).await.unwrap();
    for (index, text) in [code, url].iter().enumerate() {
        let student = homeroom.user(&format!("student-{index}"));
        for refused in [student.preview(text).await.unwrap_err(), student.redeem(text).await.unwrap_err()] {
            assert_eq!((refused.message(), refused.details()), (unknown.message(), unknown.details()), "{text}");
        }
    }
}
}

on_both_engines! {
async fn r3_p9_a_request_that_is_sent_twice_at_once_is_one_request(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token::default()).await;
    let request = RedeemRequest { credential: token.phrase.clone(), request_id: homeroom.new_id().to_string(), ..Default::default() };
    let student = homeroom.user("student-1");
    let bystander = homeroom.user("student-2");
    let code = school.class_code().await.code;
    let hedged = futures::future::join_all((0..4).map(|_| student.redeem_with(request.clone())));
    let (answers, beside) = tokio::join!(hedged, bystander.redeem(&code));
    let redemptions: std::collections::BTreeSet<_> = answers.into_iter().map(|answer| answer.unwrap().redemption).collect();
    assert_eq!(redemptions.len(), 1);
    assert_eq!(beside.unwrap().outcome(), RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn r6_every_membership_remembers_how_it_came_about(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let redeemed = homeroom.user("student-1").redeem(&code.code).await.unwrap();
    let request = queued(homeroom, "student-2", &school.join_url().await.url).await;
    school.co_teacher.clone().join_requests.approve_join_request(ApproveJoinRequestRequest { name: request.name, ..Default::default() }).await.unwrap();
    let mut teacher = school.teacher.clone();
    let mut read = async |user: &str| {
        teacher.members.get_class_member(GetClassMemberRequest { name: format!("{}/members/{user}", school.class) }).await.unwrap().into_inner()
    };
    let at_once = read("student-1").await;
    let provenance = at_once.provenance.unwrap();
    assert_eq!((provenance.invitation.as_str(), provenance.redemption.as_str()), (code.name.as_str(), redeemed.redemption.as_str()));
    assert_eq!((provenance.method(), provenance.approved_by.as_str()), (Method::ClassCode, ""));
    assert_eq!(at_once.join_time, Some(homeroom_tests::timestamp(homeroom.now())));
    let approved = read("student-2").await.provenance.unwrap();
    assert_eq!((approved.method(), approved.approved_by.as_str()), (Method::JoinUrl, "co-teacher"));
    assert_eq!(read("co-teacher").await.provenance.unwrap().method(), Method::Added);
}
}

on_both_engines! {
async fn r7_leaving_a_class_frees_no_seat_leaving_the_organization_frees_it_and_closes_requests(homeroom) {
    let school = homeroom.school_named("hamilton", 5).await;
    let chemistry = school.another_class("chemistry").await;
    outcome(homeroom, "student-1", &school.class_code().await.code).await;
    let mut student = homeroom.user("student-1");
    student.members.remove_class_member(RemoveClassMemberRequest { name: format!("{}/members/student-1", school.class), ..Default::default() }).await.unwrap();
    assert_eq!(school.seats().await.seats_used, 1);

    let mut teacher = school.teacher.clone();
    let url = teacher.join_urls.get_join_url(homeroom_api::invitations::v1::GetJoinUrlRequest { name: format!("{chemistry}/joinUrl") }).await.unwrap().into_inner().url;
    let request = queued(homeroom, "student-1", &url).await;
    student.leave(&school.organization, "student-1").await;
    let seats = school.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting), (0, 0));
    let closed = student.join_requests.get_join_request(GetJoinRequestRequest { name: request.name }).await.unwrap().into_inner();
    assert_eq!(closed.state(), State::Closed);
    // Who left by themselves is let in again at once.
    assert_eq!(outcome(homeroom, "student-1", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn r8_who_was_removed_by_staff_queues_by_any_older_invitation_and_approval_lifts_it(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let token = school.token(Token { max_uses: Some(0), ..Default::default() }).await;
    outcome(homeroom, "student-1", &code.code).await;
    homeroom.advance(TimeDelta::seconds(1));
    let mut teacher = school.teacher.clone();
    teacher.members.remove_class_member(RemoveClassMemberRequest { name: format!("{}/members/student-1", school.class), ..Default::default() }).await.unwrap();
    homeroom.advance(TimeDelta::seconds(1));
    let request = queued(homeroom, "student-1", &token.phrase).await;
    assert_eq!(request.cause(), Cause::RemovedBefore);
    teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: request.name, ..Default::default() }).await.unwrap();
    assert!(school.roster().await.contains(&"student-1".to_owned()));

    // An invitation made after the removal admits at once; so do older ones once approval lifted it.
    homeroom.advance(TimeDelta::seconds(1));
    teacher.members.remove_class_member(RemoveClassMemberRequest { name: format!("{}/members/student-1", school.class), ..Default::default() }).await.unwrap();
    homeroom.advance(TimeDelta::seconds(1));
    let newer = school.token(Token::default()).await;
    assert_eq!(outcome(homeroom, "student-1", &newer.phrase).await, RedemptionOutcome::Admitted);

    // Removal from the organization holds for its classes.
    outcome(homeroom, "student-2", &code.code).await;
    homeroom.advance(TimeDelta::seconds(1));
    school.admin.clone().members.remove_organization_member(RemoveOrganizationMemberRequest { name: format!("{}/members/student-2", school.organization), ..Default::default() }).await.unwrap();
    assert_eq!(queued(homeroom, "student-2", &code.code).await.cause(), Cause::RemovedBefore);
    // An enrolment code may be allowed to take people back.
    let back = school.enrollment_code(EnrollmentCode { code: "WELCOME-BACK".to_owned(), allow_rejoin: true, ..Default::default() }).await;
    homeroom.advance(TimeDelta::seconds(1));
    assert_eq!(outcome(homeroom, "student-2", &back.full_code).await, RedemptionOutcome::Admitted);
    // Staff add whom they like.
    teacher.members.add_class_member(AddClassMemberRequest { parent: school.class.clone(), member: Some(homeroom_tests::member("student-9", Role::Student)), ..Default::default() }).await.unwrap();
}
}

on_both_engines! {
async fn r9_a_denied_person_may_ask_again_after_24_hours(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let request = queued(homeroom, "student-1", &url).await;
    school.teacher.clone().join_requests.deny_join_request(DenyJoinRequestRequest { name: request.name, ..Default::default() }).await.unwrap();
    homeroom.advance(TimeDelta::hours(24) - TimeDelta::microseconds(1));
    assert_eq!(reason(&homeroom.user("student-1").redeem(&url).await.unwrap_err()), "DENIED_RECENTLY");
    homeroom.advance(TimeDelta::microseconds(1));
    let again = queued(homeroom, "student-1", &url).await;
    // Who takes a request back may ask again at once; nobody else can take it back.
    let withdraw = WithdrawJoinRequestRequest { name: again.name, ..Default::default() };
    assert_eq!(reason(&homeroom.user("stranger").join_requests.withdraw_join_request(withdraw.clone()).await.unwrap_err()), "JOIN_REQUEST_NOT_FOUND");
    let withdrawn = homeroom.user("student-1").join_requests.withdraw_join_request(withdraw).await.unwrap().into_inner().join_request.unwrap();
    assert_eq!(withdrawn.state(), State::Withdrawn);
    queued(homeroom, "student-1", &url).await;
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
    // A right code does not help the guesser now; nobody else is held up.
    let code = school.class_code().await.code;
    assert_eq!(reason(&guesser.redeem(&code).await.unwrap_err()), "TOO_MANY_ATTEMPTS");
    assert_eq!(reason(&guesser.preview(&code).await.unwrap_err()), "TOO_MANY_ATTEMPTS");
    assert_eq!(outcome(homeroom, "student-1", &code).await, RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn r11_every_change_is_an_event_in_a_feed_that_resumes_where_it_stopped(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let request = queued(homeroom, "student-1", &url).await;
    let mut teacher = school.teacher.clone();
    teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: request.name.clone(), ..Default::default() }).await.unwrap();
    let mut types = Vec::new();
    let mut page_token = String::new();
    for _ in 0..100 {
        let page = teacher.membership_events.list_events(ListEventsRequest { parent: school.class.clone(), page_size: 1, page_token: page_token.clone() })
            .await.unwrap().into_inner();
        assert!(!page.next_page_token.is_empty());
        page_token = page.next_page_token;
        let Some(event) = page.events.first() else { break };
        assert_eq!((event.class.as_str(), event.organization.as_str()), (school.class.as_str(), school.organization.as_str()));
        types.push(event.r#type.clone());
    }
    let position = |wanted: &str| types.iter().position(|found| found == wanted).unwrap_or_else(|| panic!("{wanted} in {types:?}"));
    assert!(position("class.created") < position("join_request.created"));
    assert!(position("join_request.created") < position("join_request.approved"));

    // A watcher that resumes from there sees only what comes.
    let mut watch = teacher.membership_events.watch_events(WatchEventsRequest { parent: school.class.clone(), page_token }).await.unwrap().into_inner();
    outcome(homeroom, "student-2", &school.class_code().await.code).await;
    let event = tokio::time::timeout(std::time::Duration::from_secs(10), watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(event.event.unwrap().r#type, "member.joined");

    // The invitations service has a feed of its own, in which no secret stands.
    let events = teacher.invitations_events.list_events(ListEventsRequest { parent: school.class.clone(), page_size: 1000, ..Default::default() })
        .await.unwrap().into_inner().events;
    assert!(events.iter().any(|event| event.r#type == "class_code.created"), "{events:?}");
    let plain: String = school.class_code().await.code;
    assert!(!format!("{events:?}").contains(&plain));
    // A student is not staff.
    let refused = homeroom.user("student-1").membership_events.list_events(ListEventsRequest { parent: school.class.clone(), ..Default::default() }).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn r2_r6_redemptions_are_listed_and_read_by_staff_and_by_the_person(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let redeemed = homeroom.user("student-1").redeem(&code.code).await.unwrap();
    homeroom.advance(TimeDelta::milliseconds(1));
    let request = queued(homeroom, "student-2", &school.join_url().await.url).await;
    let mut student = homeroom.user("student-1");
    let read = GetRedemptionRequest { name: redeemed.redemption.clone() };
    homeroom.eventually("the redemption is committed", async || {
        student.redemptions.get_redemption(read.clone()).await.unwrap().into_inner().state() == redemption::State::Committed
    }).await;
    assert_eq!(reason(&homeroom.user("student-2").redemptions.get_redemption(read).await.unwrap_err()), "REDEMPTION_NOT_FOUND");

    let mut teacher = school.teacher.clone();
    let list = |filter: &str| ListRedemptionsRequest { parent: school.class.clone(), filter: filter.to_owned(), ..Default::default() };
    let users = |response: homeroom_api::invitations::v1::ListRedemptionsResponse| response.redemptions.into_iter().map(|redemption| redemption.user).collect::<Vec<_>>();
    assert_eq!(users(teacher.redemptions.list_redemptions(list("")).await.unwrap().into_inner()), ["student-2", "student-1"]);
    assert_eq!(users(teacher.redemptions.list_redemptions(list("user = \"student-1\"")).await.unwrap().into_inner()), ["student-1"]);
    assert_eq!(reason(&teacher.redemptions.list_redemptions(list("colour = \"red\"")).await.unwrap_err()), "INVALID_FILTER");

    // An approval reaches the redemption by the feed (03 P5).
    teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: request.name, ..Default::default() }).await.unwrap();
    homeroom.eventually("the follower commits the redemption", async || {
        let found = teacher.redemptions.list_redemptions(list("user = \"student-2\"")).await.unwrap().into_inner().redemptions;
        found[0].state() == redemption::State::Committed
    }).await;
    let memberships = student.members.list_memberships(ListMembershipsRequest { parent: "users/student-1".to_owned(), ..Default::default() })
        .await.unwrap().into_inner().memberships;
    assert_eq!(memberships.len(), 2);
}
}

on_both_engines! {
async fn r1_r2_a_batch_redeems_for_many_each_by_themselves(homeroom) {
    let school = homeroom.school_named("hamilton", 3).await;
    let code = school.class_code().await.code;
    let lms = homeroom.user_with(Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("lms") });
    let request = |user: &str, credential: &str| RedeemRequest { credential: credential.to_owned(), user: Some(person(user)), ..Default::default() };
    let batch = |requests: Vec<RedeemRequest>| BatchRedeemRequest { requests };
    let results = lms.redemptions.clone().batch_redeem(batch(vec![
        request("student-1", &code),
        request("student-2", &code),
        request("student-1", &code),
        request("student-3", "HAMILTON-NOTHING"),
        request("student-4", &code),
        request("student-5", &code),
    ])).await.unwrap().into_inner().results;
    let seen: Vec<String> = results.into_iter().map(|result| match result.outcome.unwrap() {
        Outcome::Redemption(redeemed) => redeemed.outcome().as_str_name().to_owned(),
        Outcome::Status(status) => homeroom_tests::status_reason(&status),
    }).collect();
    assert!(seen[2] == "ALREADY_MEMBER" || seen[2] == "ADMITTED", "{seen:?}");
    assert_eq!([&seen[0], &seen[1], &seen[3]].map(String::as_str), ["ADMITTED", "ADMITTED", "CODE_NOT_USABLE"]);
    let mut last = [seen[4].as_str(), seen[5].as_str()];
    last.sort_unstable();
    assert_eq!(last, ["ADMITTED", "NO_SEATS"], "one seat is left for two");
    assert_eq!(school.seats().await.seats_used, 3);

    let too_many = (0..501).map(|index| request(&format!("s-{index}"), &code)).collect();
    assert_eq!(reason(&lms.redemptions.clone().batch_redeem(batch(too_many)).await.unwrap_err()), "INVALID_REQUEST");
    assert_eq!(reason(&homeroom.user("student-9").redemptions.clone().batch_redeem(batch(vec![request("student-1", &code)])).await.unwrap_err()), "SCOPE_MISSING");
}
}

on_both_engines! {
async fn r2_the_profile_of_the_person_is_kept_with_the_membership(homeroom) {
    let school = homeroom.school().await;
    let lms = homeroom.user_with(Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("lms") });
    let user = User { user: "student-1".to_owned(), display_name: "Student One".to_owned(), email: "One@Example.org".to_owned(), external_id: "S-1".to_owned(), email_verified: true };
    let redeemed = lms.redeem_with(RedeemRequest { credential: school.class_code().await.code, user: Some(user), ..Default::default() }).await.unwrap();
    let Some(redeem_response::Result::Member(member)) = redeemed.result else { panic!("no member") };
    assert_eq!((member.display_name.as_str(), member.email.as_str(), member.external_id.as_str()), ("Student One", "one@example.org", "S-1"));
}
}
