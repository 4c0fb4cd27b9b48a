//! Class codes and join URLs (C1 to C14), and the questions that rules X1 to X9 settle.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::{ListEventsRequest, Role},
    invitations::v1::{
        ClassCode, EnrollmentCode, GetClassCodeRequest, GetJoinUrlRequest, JoinUrl, RedeemRequest,
        RedemptionOutcome, ResetClassCodeRequest, Token, UnlockClassCodeRequest,
        UpdateClassCodeRequest, UpdateJoinUrlRequest, class_code, redeem_response,
    },
    membership::v1::{
        ApproveJoinRequestRequest, BatchDecideJoinRequestsRequest, DenyJoinRequestRequest,
        RaiseFenceRequest,
        batch_decide_join_requests_request::{JoinRequestDecision, join_request_decision::Action},
        batch_decide_join_requests_response::result::Outcome,
        join_request::{Cause, State},
    },
};
use homeroom_tests::{Claims, field_mask, on_both_engines, reason, timestamp};

use crate::{lock, unlock};

on_both_engines! {
async fn c1_every_class_has_one_code_and_one_join_url_read_by_its_staff(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let url = school.join_url().await;
    assert_eq!(code.code.chars().filter(char::is_ascii_alphanumeric).count(), 12);
    let mut co_teacher = school.co_teacher.clone();
    let mut student = homeroom.user("student-1");
    let code_name = GetClassCodeRequest { name: code.name.clone() };
    let url_name = GetJoinUrlRequest { name: url.name.clone() };
    assert_eq!(co_teacher.class_codes.get_class_code(code_name.clone()).await.unwrap().into_inner(), code);
    assert_eq!(co_teacher.join_urls.get_join_url(url_name.clone()).await.unwrap().into_inner(), url);
    // A stranger is told that there is no such class, a student of it that only staff read the
    // code.
    assert_eq!(reason(&student.class_codes.get_class_code(code_name.clone()).await.unwrap_err()), "CLASS_NOT_FOUND");
    student.redeem(&code.code).await.unwrap();
    assert_eq!(reason(&student.class_codes.get_class_code(code_name).await.unwrap_err()), "ROLE_REQUIRED");
    assert_eq!(reason(&student.join_urls.get_join_url(url_name).await.unwrap_err()), "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn c2_an_unlocked_code_gives_membership_at_once(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    assert_eq!(code.state(), class_code::State::Unlocked);
    let redeemed = homeroom.user("student-1").redeem(&code.code).await.unwrap();
    let Some(redeem_response::Result::Member(member)) = &redeemed.result else { panic!("no member") };
    assert_eq!(member.name, format!("{}/members/student-1", school.class));
    assert_eq!(member.role(), Role::Student);
    assert!(school.roster().await.contains(&"student-1".to_owned()));
}
}

on_both_engines! {
async fn c3_x5_replies_say_what_may_be_public_and_what_entitles_to_sign_up(homeroom) {
    let school = homeroom.school().await;
    let enrollment_code = school.enrollment_code(EnrollmentCode { code: "BIO101".to_owned(), ..Default::default() }).await;
    let ways = [
        // The columns are the credential, `grants_sign_up` and `may_be_public`.
        (school.invite_token().await.token, true, true),
        (school.token(Token { max_uses: Some(0), ..Default::default() }).await.phrase, true, false),
        (enrollment_code.full_code, true, false),
        (school.class_code().await.code, true, false),
        (school.join_url().await.url, false, true),
    ];
    for (index, (credential, grants_sign_up, may_be_public)) in ways.iter().enumerate() {
        let user = homeroom.user(&format!("student-{index}"));
        let preview = user.preview(credential).await.unwrap();
        assert_eq!((preview.grants_sign_up, preview.may_be_public, preview.survives_sign_up), (*grants_sign_up, *may_be_public, true), "way {index}");
        let redeemed = user.redeem(credential).await.unwrap();
        assert_eq!((redeemed.grants_sign_up, redeemed.may_be_public, redeemed.survives_sign_up), (*grants_sign_up, *may_be_public, true), "way {index}");
    }
    assert!(!school.class_code().await.may_be_public && school.join_url().await.may_be_public);
}
}

on_both_engines! {
async fn c4_a_code_locks_itself_14_days_after_it_was_made_reset_or_unlocked(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let made = homeroom.now();
    assert_eq!(code.lock_time, Some(timestamp(made + TimeDelta::days(14))));
    homeroom.set(made + TimeDelta::days(14) - TimeDelta::microseconds(1));
    assert_eq!(homeroom.outcome("student-1", &code.code).await, RedemptionOutcome::Admitted);
    homeroom.set(made + TimeDelta::days(14));
    assert_eq!(homeroom.outcome("student-2", &code.code).await, RedemptionOutcome::PendingApproval);
    assert_eq!(school.class_code().await.state(), class_code::State::Locked);

    // The period is the class's own: at least an hour, at most a year, or never.
    let mut teacher = school.teacher.clone();
    let mut set = async |seconds: i64| {
        teacher.class_codes.update_class_code(UpdateClassCodeRequest {
            class_code: Some(ClassCode {
                name: code.name.clone(),
                lock_period: Some(prost_types::Duration { seconds, nanos: 0 }),
                ..Default::default()
            }),
            update_mask: field_mask(&["lock_period"]),
            ..Default::default()
        }).await.map(tonic::Response::into_inner)
    };
    for refused in [-1, 1, 3599, 365 * 86_400 + 1] {
        assert_eq!(reason(&set(refused).await.unwrap_err()), "INVALID_REQUEST", "{refused}");
    }
    set(3600).await.unwrap();
    unlock(&school).await;
    homeroom.advance(TimeDelta::hours(1));
    assert_eq!(homeroom.outcome("student-3", &code.code).await, RedemptionOutcome::PendingApproval);
    assert_eq!(set(0).await.unwrap().lock_time, None);
    homeroom.advance(TimeDelta::days(4000));
    assert_eq!(homeroom.outcome("student-4", &code.code).await, RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn c5_c6_a_locked_code_queues_and_owner_and_co_teachers_are_notified_and_decide(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    lock(&school).await;
    let first = homeroom.queued("student-1", &code).await;
    let second = homeroom.queued("student-2", &code).await;
    assert_eq!((first.state(), first.cause()), (State::Pending, Cause::CodeLocked));
    assert_eq!(school.waiting().await.len(), 2);

    let mut teacher = school.teacher.clone();
    let events = teacher.membership_events.list_events(ListEventsRequest { parent: school.class.clone(), page_size: 1000, ..Default::default() })
        .await.unwrap().into_inner().events;
    let created = events.iter().find(|event| event.r#type == "join_request.created" && event.subject == first.name).unwrap();
    let mut notify = created.notify.clone();
    notify.sort();
    assert_eq!(notify, ["co-teacher", "teacher"]);

    let mut co_teacher = school.co_teacher.clone();
    let approved = co_teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: first.name.clone(), decide_note: "in my list".to_owned(), ..Default::default() })
        .await.unwrap().into_inner();
    let request = approved.join_request.unwrap();
    assert_eq!((request.state(), request.decided_by.as_str(), request.decide_note.as_str()), (State::Approved, "co-teacher", "in my list"));
    assert_eq!(approved.member.unwrap().name, format!("{}/members/student-1", school.class));
    let denied = teacher.join_requests.deny_join_request(DenyJoinRequestRequest { name: second.name.clone(), ..Default::default() })
        .await.unwrap().into_inner().join_request.unwrap();
    assert_eq!(denied.state(), State::Denied);
    assert_eq!(school.roster().await, ["co-teacher", "student-1", "teacher"]);
    let again = teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: second.name, ..Default::default() }).await.unwrap_err();
    assert_eq!(reason(&again), "ALREADY_DECIDED");
}
}

on_both_engines! {
async fn c7_x3_staff_lock_and_unlock_at_any_time_and_unlocking_restarts_the_clock(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    homeroom.advance(TimeDelta::days(20));
    assert_eq!(school.class_code().await.state(), class_code::State::Locked);
    let unlocked = unlock(&school).await;
    assert_eq!(unlocked.code, code);
    assert_eq!(unlocked.lock_time, Some(timestamp(homeroom.now() + TimeDelta::days(14))));
    assert_eq!(homeroom.outcome("student-1", &code).await, RedemptionOutcome::Admitted);
    lock(&school).await;
    assert_eq!(homeroom.outcome("student-2", &code).await, RedemptionOutcome::PendingApproval);
    let mut co_teacher = school.co_teacher.clone();
    let refused = co_teacher.class_codes.unlock_class_code(UnlockClassCodeRequest { name: format!("{}/classCode", school.class), ..Default::default() }).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn c8_a_reset_code_admits_nobody_not_even_a_redemption_under_way(homeroom) {
    let school = homeroom.school().await;
    let old = school.class_code().await;
    lock(&school).await;
    let before = homeroom.queued("student-0", &old.code).await;
    let mut teacher = school.teacher.clone();
    let new = teacher.class_codes.reset_class_code(ResetClassCodeRequest { name: old.name.clone(), ..Default::default() })
        .await.unwrap().into_inner().class_code.unwrap();
    assert_ne!(new.code, old.code);
    assert_eq!((new.state(), new.use_count), (class_code::State::Unlocked, 0));
    assert_eq!(reason(&homeroom.user("student-1").redeem(&old.code).await.unwrap_err()), "CODE_NOT_USABLE");
    assert_eq!(reason(&homeroom.user("student-1").redeem(&old.join_link).await.unwrap_err()), "CODE_NOT_USABLE");
    assert_eq!(homeroom.outcome("student-2", &new.code).await, RedemptionOutcome::Admitted);

    // A redemption reserved before the reset reaches membership after it: the fence is up.
    let admitted = homeroom.admit_at_epoch(&school, &old.name, "student-3", 1).await;
    assert_eq!(admitted.outcome().as_str_name(), "STALE_EPOCH");
    assert!(!school.roster().await.contains(&"student-3".to_owned()));
    // The fence is never lowered.
    let mut service = homeroom.user_with(Claims { scopes: &["homeroom.admit"], ..Claims::of("invitations") });
    let raised = service.admissions.raise_fence(RaiseFenceRequest { invitation: old.name, epoch: 1 }).await.unwrap().into_inner();
    assert!(raised.epoch >= 2);

    // A person can still approve a request that was filed before the reset (P8).
    let approved = teacher.join_requests.approve_join_request(ApproveJoinRequestRequest { name: before.name, ..Default::default() }).await;
    assert_eq!(approved.unwrap().into_inner().join_request.unwrap().state(), State::Approved);
}
}

on_both_engines! {
async fn c9_c10_c12_a_join_url_always_leads_to_the_queue_says_so_and_never_changes(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await;
    let request = homeroom.queued("student-1", &url.url).await;
    assert_eq!((request.state(), request.cause()), (State::Pending, Cause::JoinUrl));
    assert_eq!(request.expire_time, Some(timestamp(homeroom.now() + TimeDelta::days(90))));

    let mut teacher = school.teacher.clone();
    let mut switch = async |enabled: bool| {
        teacher.join_urls.update_join_url(UpdateJoinUrlRequest {
            join_url: Some(JoinUrl { name: url.name.clone(), enabled, ..Default::default() }),
            update_mask: field_mask(&["enabled"]),
            ..Default::default()
        }).await.unwrap().into_inner()
    };
    let off = switch(false).await;
    assert_eq!((off.url.as_str(), off.enabled), (url.url.as_str(), false));
    assert_eq!(reason(&homeroom.user("student-2").redeem(&url.url).await.unwrap_err()), "CODE_NOT_USABLE");
    let on = switch(true).await;
    assert_eq!(on.url, url.url);
    homeroom.queued("student-2", &url.url).await;
}
}

on_both_engines! {
async fn c11_x2_owner_co_teacher_and_administrator_decide_one_or_many_with_a_note(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let mut requests = Vec::new();
    for index in 0..6 {
        requests.push(homeroom.queued(&format!("student-{index}"), &url).await.name);
    }
    for (clients, name) in [&school.teacher, &school.co_teacher, &school.admin].into_iter().zip(&requests) {
        let mut clients = clients.clone();
        clients.join_requests.approve_join_request(ApproveJoinRequestRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    }
    let decision = |name: &String, action: Action| JoinRequestDecision { name: name.clone(), action: action.into(), decide_note: "list".to_owned() };
    let mut co_teacher = school.co_teacher.clone();
    let results = co_teacher.join_requests.batch_decide_join_requests(BatchDecideJoinRequestsRequest {
        parent: school.class.clone(),
        decisions: vec![decision(&requests[3], Action::Approve), decision(&requests[0], Action::Approve), decision(&requests[4], Action::Deny)],
        ..Default::default()
    }).await.unwrap().into_inner().results;
    let states: Vec<_> = results.into_iter().map(|result| match result.outcome.unwrap() {
        Outcome::JoinRequest(request) => request.state().as_str_name().to_owned(),
        Outcome::Status(status) => tonic::Code::from(status.code).to_string(),
    }).collect();
    assert_eq!(states, ["APPROVED", &tonic::Code::FailedPrecondition.to_string(), "DENIED"]);
    // A student of the class may see it but not decide; a stranger sees nothing.
    for (user, expected) in [("student-0", "ROLE_REQUIRED"), ("stranger", "JOIN_REQUEST_NOT_FOUND")] {
        let refused = homeroom.user(user).join_requests.approve_join_request(ApproveJoinRequestRequest { name: requests[5].clone(), ..Default::default() }).await.unwrap_err();
        assert_eq!(reason(&refused), expected);
    }
}
}

on_both_engines! {
async fn c13_c14_x1_a_join_url_does_not_entitle_to_sign_up_but_survives_it(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let sign_up = |credential: &str| RedeemRequest { credential: credential.to_owned(), sign_up: true, ..Default::default() };
    let student = homeroom.user("student-1");
    assert_eq!(reason(&student.redeem_with(sign_up(&url)).await.unwrap_err()), "SIGN_UP_NOT_GRANTED");
    // The same person can use it after registering by other means.
    assert_eq!(homeroom.outcome("student-1", &url).await, RedemptionOutcome::PendingApproval);
    let code = school.class_code().await.code;
    assert_eq!(homeroom.user("student-2").redeem_with(sign_up(&code)).await.unwrap().outcome(), RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn x6_x7_system_made_and_typed_codes_exist_side_by_side_and_one_box_takes_both(homeroom) {
    let school = homeroom.school().await;
    let typed = school.enrollment_code(EnrollmentCode { code: "BIO101".to_owned(), ..Default::default() }).await;
    assert_eq!(homeroom.outcome("student-1", &typed.full_code).await, RedemptionOutcome::Admitted);
    assert_eq!(homeroom.outcome("student-2", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
}
}

on_both_engines! {
async fn x9_a_waiting_request_holds_no_seat_and_a_full_organization_refuses_its_approval(homeroom) {
    let school = homeroom.school_named("hamilton", 1).await;
    let url = school.join_url().await.url;
    let request = homeroom.queued("student-1", &url).await;
    let seats = school.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting, seats.seats_available), (0, 1, Some(1)));
    assert_eq!(homeroom.outcome("student-2", &school.class_code().await.code).await, RedemptionOutcome::Admitted);
    let mut teacher = school.teacher.clone();
    let approve = ApproveJoinRequestRequest { name: request.name, ..Default::default() };
    assert_eq!(reason(&teacher.join_requests.approve_join_request(approve.clone()).await.unwrap_err()), "NO_SEATS");
    assert_eq!(school.waiting().await.len(), 1);
    // The queue is open even if the organization is full.
    homeroom.queued("student-3", &url).await;
    homeroom.user("student-2").leave(&school.organization, "student-2").await;
    teacher.join_requests.approve_join_request(approve).await.unwrap();
    assert_eq!(school.seats().await.seats_used, 1);
}
}
