//! Class codes and join URLs (C1 to C14), and the questions that rules X1 to X9 settle.

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        EnrollmentCode, RedeemRequest, RedemptionOutcome, Token, class_code, redeem_response,
    },
    membership::v1::join_request::{Cause, State},
};
use homeroom_tests::{Claims, on_both_engines, reason, timestamp};
use serde_json::{Value, json};

use crate::{lock, unlock};

const APPROVE: &str = "JoinRequestService.ApproveJoinRequest";

on_both_engines! {
async fn c1_every_class_has_one_code_and_one_join_url_read_by_its_staff(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let url = school.join_url().await;
    assert_eq!(code.code.chars().filter(char::is_ascii_alphanumeric).count(), 12);
    let student = homeroom.user("student-1");
    let [get_code, get_url] = ["ClassCodeService.GetClassCode", "JoinUrlService.GetJoinUrl"];
    let [code_name, url_name] = [json!({"name": code.name}), json!({"name": url.name})];
    assert_eq!(school.co_teacher.done(get_code, code_name.clone()).await["code"], code.code);
    assert_eq!(school.co_teacher.done(get_url, url_name.clone()).await["url"], url.url);
    // A stranger is told that there is no such class, a student of it that only staff read the
    // code.
    assert_eq!(student.refused(get_code, code_name.clone()).await, "CLASS_NOT_FOUND");
    student.redeem(&code.code).await.unwrap();
    assert_eq!(student.refused(get_code, code_name).await, "ROLE_REQUIRED");
    assert_eq!(student.refused(get_url, url_name).await, "ROLE_REQUIRED");
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
    let update = "ClassCodeService.UpdateClassCode";
    let period = |seconds: i64| json!({"class_code": {"name": code.name, "lock_period": format!("{seconds}s")}, "update_mask": "lockPeriod"});
    for refused in [-1, 1, 3599, 365 * 86_400 + 1] {
        assert_eq!(school.teacher.refused(update, period(refused)).await, "INVALID_REQUEST", "{refused}");
    }
    school.teacher.done(update, period(3600)).await;
    unlock(&school).await;
    homeroom.advance(TimeDelta::hours(1));
    assert_eq!(homeroom.outcome("student-3", &code.code).await, RedemptionOutcome::PendingApproval);
    assert_eq!(school.teacher.done(update, period(0)).await["lockTime"], Value::Null);
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

    let events = school.teacher.done("membership.v1.EventService.ListEvents", json!({"parent": school.class, "page_size": 1_000})).await;
    let created = events["events"].as_array().unwrap().iter().find(|event| event["type"] == "join_request.created" && event["subject"] == first.name.as_str()).unwrap();
    let mut notify: Vec<&str> = created["notify"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    notify.sort_unstable();
    assert_eq!(notify, ["co-teacher", "teacher"]);

    let approved = school.co_teacher.done(APPROVE, json!({"name": first.name, "decide_note": "in my list"})).await;
    let request = &approved["joinRequest"];
    assert_eq!([&request["state"], &request["decidedBy"], &request["decideNote"]], ["APPROVED", "co-teacher", "in my list"]);
    assert_eq!(approved["member"]["name"], format!("{}/members/student-1", school.class));
    let second = json!({"name": second.name});
    let denied = school.teacher.done("JoinRequestService.DenyJoinRequest", second.clone()).await;
    assert_eq!(denied["joinRequest"]["state"], "DENIED");
    assert_eq!(school.roster().await, ["co-teacher", "student-1", "teacher"]);
    assert_eq!(school.teacher.refused(APPROVE, second).await, "ALREADY_DECIDED");
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
    assert_eq!(school.co_teacher.refused("ClassCodeService.UnlockClassCode", json!({"name": unlocked.name})).await, "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn c8_a_reset_code_admits_nobody_not_even_a_redemption_under_way(homeroom) {
    let school = homeroom.school().await;
    let old = school.class_code().await;
    lock(&school).await;
    let before = homeroom.queued("student-0", &old.code).await;
    school.teacher.done("ClassCodeService.ResetClassCode", json!({"name": old.name})).await;
    let new = school.class_code().await;
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
    let service = homeroom.user_with(Claims { scopes: &["homeroom.admit"], ..Claims::of("invitations") });
    let raised = service.done("AdmissionService.RaiseFence", json!({"invitation": old.name, "epoch": 1})).await;
    assert_eq!(raised["epoch"], "2");

    // A person can still approve a request that was filed before the reset (P8).
    let approved = school.teacher.done(APPROVE, json!({"name": before.name})).await;
    assert_eq!(approved["joinRequest"]["state"], "APPROVED");
}
}

on_both_engines! {
async fn c9_c10_c12_a_join_url_always_leads_to_the_queue_says_so_and_never_changes(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await;
    let request = homeroom.queued("student-1", &url.url).await;
    assert_eq!((request.state(), request.cause()), (State::Pending, Cause::JoinUrl));
    assert_eq!(request.expire_time, Some(timestamp(homeroom.now() + TimeDelta::days(90))));

    let switch = async |enabled: bool| {
        let update = json!({"join_url": {"name": url.name, "enabled": enabled}, "update_mask": "enabled"});
        let switched = school.teacher.done("JoinUrlService.UpdateJoinUrl", update).await;
        assert_eq!((&switched["url"], switched["enabled"] == true), (&json!(url.url), enabled));
    };
    switch(false).await;
    assert_eq!(homeroom.refusal("student-2", &url.url).await, "CODE_NOT_USABLE");
    switch(true).await;
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
        clients.done(APPROVE, json!({"name": name})).await;
    }
    let decisions = [(3, "APPROVE"), (0, "APPROVE"), (4, "DENY")].map(|(index, action)| json!({"name": requests[index], "action": action, "decide_note": "list"}));
    let decided = school.co_teacher.done("JoinRequestService.BatchDecideJoinRequests", json!({"parent": school.class, "requests": decisions})).await;
    let [approved, again, denied] = [0, 1, 2].map(|index| &decided["results"][index]);
    assert_eq!([&approved["joinRequest"]["state"], &denied["joinRequest"]["state"]], ["APPROVED", "DENIED"]);
    assert_eq!(again["status"]["code"], tonic::Code::FailedPrecondition as i32);
    // A student of the class may see it but not decide; a stranger sees nothing.
    for (user, expected) in [("student-0", "ROLE_REQUIRED"), ("stranger", "JOIN_REQUEST_NOT_FOUND")] {
        assert_eq!(homeroom.user(user).refused(APPROVE, json!({"name": requests[5]})).await, expected);
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
    let approve = json!({"name": request.name});
    assert_eq!(school.teacher.refused(APPROVE, approve.clone()).await, "NO_SEATS");
    assert_eq!(school.waiting().await.len(), 1);
    // The queue is open even if the organization is full.
    homeroom.queued("student-3", &url).await;
    homeroom.user("student-2").leave(&school.organization, "student-2").await;
    school.teacher.done(APPROVE, approve).await;
    assert_eq!(school.seats().await.seats_used, 1);
}
}
