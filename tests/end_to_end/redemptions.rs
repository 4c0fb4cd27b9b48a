//! Redemptions in the records and answers: provenance, retries, batches, lists, events (R2, R3, R6,
//! R9, R11).

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ListEventsResponse,
    invitations::v1::{RedeemRequest, RedemptionOutcome, Token},
    membership::v1::{Member, member::provenance::Method},
};
use homeroom_tests::{Claims, on_both_engines, reason};
use serde_json::{Value, json};

const APPROVE: &str = "JoinRequestService.ApproveJoinRequest";
const BATCH: &str = "RedemptionService.BatchRedeem";
const EVENTS: &str = "membership.v1.EventService.ListEvents";
const GET: &str = "RedemptionService.GetRedemption";
const LIST: &str = "RedemptionService.ListRedemptions";
const WITHDRAW: &str = "JoinRequestService.WithdrawJoinRequest";

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
    school.co_teacher.done(APPROVE, json!({"name": request.name})).await;
    let read = async |user: &str| -> Member {
        school.teacher.ask("MemberService.GetClassMember", json!({"name": format!("{}/members/{user}", school.class)})).await
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
    school.teacher.done("JoinRequestService.DenyJoinRequest", json!({"name": request.name})).await;
    homeroom.advance(TimeDelta::hours(24) - TimeDelta::microseconds(1));
    assert_eq!(reason(&homeroom.user("student-1").redeem(&url).await.unwrap_err()), "DENIED_RECENTLY");
    homeroom.advance(TimeDelta::microseconds(1));
    let again = homeroom.queued("student-1", &url).await;
    // A person who withdraws a request may ask again at once; nobody else can withdraw it.
    let again = json!({"name": again.name});
    assert_eq!(homeroom.user("stranger").refused(WITHDRAW, again.clone()).await, "JOIN_REQUEST_NOT_FOUND");
    assert_eq!(homeroom.user("student-1").done(WITHDRAW, again).await["joinRequest"]["state"], "WITHDRAWN");
    homeroom.queued("student-1", &url).await;
}
}

on_both_engines! {
async fn r11_every_change_is_an_event_in_a_feed_that_resumes_where_it_stopped(homeroom) {
    let school = homeroom.school().await;
    let url = school.join_url().await.url;
    let request = homeroom.queued("student-1", &url).await;
    let teacher = &school.teacher;
    teacher.done(APPROVE, json!({"name": request.name})).await;
    let mut types = Vec::new();
    let mut page_token = String::new();
    for _ in 0..100 {
        let page: ListEventsResponse = teacher.ask(EVENTS, json!({"parent": school.class, "page_size": 1, "page_token": page_token})).await;
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
    let code = school.class_code().await.code;
    let watch = teacher.done("membership.v1.EventService.WatchEvents", json!({"parent": school.class, "page_token": page_token}));
    let (event, _) = tokio::join!(watch, homeroom.outcome("student-2", &code));
    assert_eq!(event["event"]["type"], "member.joined");

    // The invitations service has its own feed, which contains no secret.
    let events = teacher.done("invitations.v1.EventService.ListEvents", json!({"parent": school.class, "page_size": 1000})).await.to_string();
    assert!(events.contains("class_code.created") && !events.contains(&code), "{events}");
    // A student is not staff.
    assert_eq!(homeroom.user("student-1").refused(EVENTS, json!({"parent": school.class})).await, "ROLE_REQUIRED");
}
}

on_both_engines! {
async fn r2_r6_redemptions_are_listed_and_read_by_staff_and_by_the_person(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    let redeemed = homeroom.user("student-1").redeem(&code.code).await.unwrap();
    homeroom.advance(TimeDelta::milliseconds(1));
    let request = homeroom.queued("student-2", &school.join_url().await.url).await;
    let student = homeroom.user("student-1");
    let read = json!({"name": redeemed.redemption});
    homeroom.eventually("the redemption is committed", async || student.done(GET, read.clone()).await["state"] == "COMMITTED").await;
    assert_eq!(homeroom.user("student-2").refused(GET, read).await, "REDEMPTION_NOT_FOUND");

    let list = |filter: &str| json!({"parent": school.class, "filter": filter});
    let listed = async |filter: &str| school.teacher.done(LIST, list(filter)).await["redemptions"].as_array().unwrap().clone();
    let users = async |filter: &str| listed(filter).await.iter().map(|redemption| redemption["user"].clone()).collect::<Vec<_>>();
    assert_eq!(users("").await, ["student-2", "student-1"]);
    assert_eq!(users("user = \"student-1\"").await, ["student-1"]);
    assert_eq!(school.teacher.refused(LIST, list("color = \"red\"")).await, "INVALID_FILTER");

    // An approval reaches the redemption through the feed (P5).
    school.teacher.done(APPROVE, json!({"name": request.name})).await;
    homeroom.eventually("the follower commits the redemption", async || listed("user = \"student-2\"").await[0]["state"] == "COMMITTED").await;
    let listed = student.done("MemberService.ListMemberships", json!({"parent": "users/student-1"})).await;
    assert_eq!(listed["memberships"].as_array().map(Vec::len), Some(2));
}
}

on_both_engines! {
async fn r1_r2_a_batch_redeems_for_many_each_by_themselves(homeroom) {
    let school = homeroom.school_named("hamilton", 3).await;
    let code = school.class_code().await.code;
    let lms = homeroom.user_with(Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("lms") });
    let request = |user: &str, credential: &str| json!({"credential": credential, "user": {"user": user}});
    let batch = |requests: Vec<Value>| json!({"requests": requests});
    let answer = lms.done(BATCH, batch(vec![
        request("student-1", &code),
        request("student-2", &code),
        request("student-1", &code),
        request("student-3", "HAMILTON-NOTHING"),
        request("student-4", &code),
        request("student-5", &code),
    ])).await;
    let seen: Vec<&str> = answer["results"].as_array().unwrap().iter().map(|result| {
        result["redemption"]["outcome"].as_str().unwrap_or_else(|| result["status"]["details"][0]["reason"].as_str().unwrap())
    }).collect();
    assert!(seen[2] == "ALREADY_MEMBER" || seen[2] == "ADMITTED", "{seen:?}");
    assert_eq!([seen[0], seen[1], seen[3]], ["ADMITTED", "ADMITTED", "CODE_NOT_USABLE"]);
    let mut last = [seen[4], seen[5]];
    last.sort_unstable();
    assert_eq!(last, ["ADMITTED", "NO_SEATS"], "one seat is left for two");
    assert_eq!(school.seats().await.seats_used, 3);

    let too_many = (0..501).map(|index| request(&format!("s-{index}"), &code)).collect();
    assert_eq!(lms.refused(BATCH, batch(too_many)).await, "INVALID_REQUEST");
    assert_eq!(homeroom.user("student-9").refused(BATCH, batch(vec![request("student-1", &code)])).await, "SCOPE_MISSING");
}
}
