//! Redemptions in the records and answers: provenance, retries, batches, lists, events (R2, R3, R6,
//! R9, R11).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::{ListEventsRequest, WatchEventsRequest},
    invitations::v1::{
        BatchRedeemRequest, GetRedemptionRequest, ListRedemptionsRequest, RedeemRequest,
        RedemptionOutcome, Token, batch_redeem_response::result::Outcome, redemption,
    },
    membership::v1::{
        ApproveJoinRequestRequest, DenyJoinRequestRequest, GetClassMemberRequest,
        ListMembershipsRequest, WithdrawJoinRequestRequest, join_request::State,
        member::provenance::Method,
    },
};
use homeroom_tests::{Claims, on_both_engines, person, reason};

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
    let request = homeroom.queued("student-2", &school.join_url().await.url).await;
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
async fn r9_a_denied_person_may_ask_again_after_24_hours(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let request = homeroom.queued("student-1", &url).await;
    school.teacher.clone().join_requests.deny_join_request(DenyJoinRequestRequest { name: request.name, ..Default::default() }).await.unwrap();
    homeroom.advance(TimeDelta::hours(24) - TimeDelta::microseconds(1));
    assert_eq!(reason(&homeroom.user("student-1").redeem(&url).await.unwrap_err()), "DENIED_RECENTLY");
    homeroom.advance(TimeDelta::microseconds(1));
    let again = homeroom.queued("student-1", &url).await;
    // A person who withdraws a request may ask again at once; nobody else can withdraw it.
    let withdraw = WithdrawJoinRequestRequest { name: again.name, ..Default::default() };
    assert_eq!(reason(&homeroom.user("stranger").join_requests.withdraw_join_request(withdraw.clone()).await.unwrap_err()), "JOIN_REQUEST_NOT_FOUND");
    let withdrawn = homeroom.user("student-1").join_requests.withdraw_join_request(withdraw).await.unwrap().into_inner().join_request.unwrap();
    assert_eq!(withdrawn.state(), State::Withdrawn);
    homeroom.queued("student-1", &url).await;
}
}

on_both_engines! {
async fn r11_every_change_is_an_event_in_a_feed_that_resumes_where_it_stopped(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let request = homeroom.queued("student-1", &url).await;
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

    // A watch that resumes from there gets only later events.
    let mut watch = teacher.membership_events.watch_events(WatchEventsRequest { parent: school.class.clone(), page_token }).await.unwrap().into_inner();
    homeroom.outcome("student-2", &school.class_code().await.code).await;
    let event = tokio::time::timeout(std::time::Duration::from_secs(10), watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(event.event.unwrap().r#type, "member.joined");

    // The invitations service has its own feed, which contains no secret.
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
    let request = homeroom.queued("student-2", &school.join_url().await.url).await;
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
    assert_eq!(reason(&teacher.redemptions.list_redemptions(list("color = \"red\"")).await.unwrap_err()), "INVALID_FILTER");

    // An approval reaches the redemption through the feed (P5).
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
