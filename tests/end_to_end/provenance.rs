//! Those who joined by one invitation are listed, and removed together (R14).

use homeroom_api::membership::v1::BatchRemoveMembersResponse;
use homeroom_tests::{Claims, Homeroom, School, on_both_engines, reason};
use serde_json::{Value, json};

use crate::{assert_audited, assert_audited_soon, membership};

const LMS: Claims<'static> = Claims {
    scopes: &["homeroom.act_as"],
    ..Claims::of("lms")
};

/// Redeems for these users, as a platform does.
async fn join(homeroom: &Homeroom, credential: &str, users: impl Iterator<Item = String>) {
    let attempt = |user| json!({"credential": credential, "user": {"user": user}});
    let requests: Vec<Value> = users.map(attempt).collect();
    let rows = homeroom
        .user_with(LMS)
        .done(
            "RedemptionService.BatchRedeem",
            json!({"requests": requests}),
        )
        .await;
    let rows = rows["results"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["redemption"].is_object()));
    homeroom.settled().await;
}

/// Returns the users of a list of members.
fn users(listed: &Value) -> Vec<String> {
    let members = listed["members"].as_array().cloned().unwrap_or_default();
    let user = |member: &Value| member["user"].as_str().unwrap().to_owned();
    members.iter().map(user).collect()
}

async fn listed(school: &School, parent: &str, filter: &str) -> Vec<String> {
    let kind = if parent == school.class {
        "Class"
    } else {
        "Organization"
    };
    let list = json!({"parent": parent, "filter": filter, "page_size": 1_000});
    let method = format!("MemberService.List{kind}Members");
    users(&school.admin.done(&method, list).await)
}

async fn remove(homeroom: &Homeroom, by: &str, body: Value) -> Result<Value, String> {
    let method = "MemberService.BatchRemoveMembers";
    membership(homeroom, Claims::of(by), method, body).await
}

on_both_engines! {
async fn r14_r6_those_who_joined_by_a_leaked_code_are_listed_and_removed_and_nobody_else(homeroom) {
    // Given a class whose code let in Ann and Bob, of whom Bob became co-teacher, before it leaked, and strangers since;
    let school = homeroom.school_named("hamilton", 10).await;
    let code = school.class_code().await;
    join(homeroom, &code.code, ["ann", "bob"].map(str::to_owned).into_iter()).await;
    let promote = json!({"member": {"name": format!("{}/members/bob", school.class), "role": "CO_TEACHER"}});
    school.teacher.done("MemberService.UpdateClassMember", promote).await;
    homeroom.advance(chrono::TimeDelta::minutes(1));
    let leaked = homeroom.now();
    let since = leaked.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    join(homeroom, &code.code, ["eve", "mallory"].map(str::to_owned).into_iter()).await;
    // and Cleo came by another invitation, and joined the class by its code then.
    homeroom.outcome("cleo", &school.invite_token().await.token).await;
    homeroom.outcome("cleo", &code.code).await;
    // Mallory waits for another class of the school.
    let chemistry = school.of_class(school.another_class("chemistry").await);
    homeroom.queued("mallory", &chemistry.join_url().await.url).await;

    // Then they are listed by invitation and time,
    let by_code = format!("invitation = \"{}\"", code.name);
    let by_both = format!("{by_code} AND join_time >= \"{since}\"");
    assert_eq!(listed(&school, &school.class, &by_code).await, ["ann", "bob", "cleo", "eve", "mallory"]);
    assert_eq!(listed(&school, &school.class, &by_both).await, ["cleo", "eve", "mallory"]);
    assert_eq!(listed(&school, &school.organization, &by_both).await, ["eve", "mallory"]);
    let later = format!("join_time >= \"{}\"", (leaked + chrono::TimeDelta::microseconds(1)).to_rfc3339());
    assert!(listed(&school, &school.class, &later).await.is_empty());
    // and after the code was reset, the teacher sees whom the call would remove from the class,
    school.teacher.done("ClassCodeService.ResetClassCode", json!({"name": code.name})).await;
    let clean = |parent: &str, validate_only: bool| json!({
        "parent": parent, "invitation": code.name, "min_join_time": since, "validate_only": validate_only,
    });
    let seen = remove(homeroom, "teacher", clean(&school.class, true)).await.unwrap();
    assert_eq!((users(&seen), &seen["more"]), (vec!["cleo".to_owned(), "eve".to_owned(), "mallory".to_owned()], &Value::Null));
    assert_eq!(listed(&school, &school.class, &by_both).await.len(), 3);
    // and removes them with it, but not from the organization: that is for administrators.
    assert_eq!(remove(homeroom, "teacher", clean(&school.organization, false)).await.unwrap_err(), "ROLE_REQUIRED");
    assert_eq!(remove(homeroom, "co-teacher", clean(&school.class, false)).await.unwrap_err(), "ROLE_REQUIRED");
    assert_eq!(school.seats().await.seats_used, 5);
    let removed = remove(homeroom, "admin", clean(&school.organization, false)).await.unwrap();
    assert_eq!(users(&removed), ["eve", "mallory"]);
    assert_eq!(removed["members"][0]["provenance"]["invitation"], code.name);
    let removed = remove(homeroom, "teacher", clean(&school.class, false)).await.unwrap();
    assert_eq!(users(&removed), ["cleo"]);
    // R7: the strangers' seats are free, and Cleo, Ann and Bob keep theirs; no request of theirs waits.
    assert_eq!((school.seats().await.seats_used, school.seats().await.requests_waiting), (3, 0));
    assert_eq!(school.roster().await, ["ann", "bob", "co-teacher", "teacher"]);
    // R8: they come in by no invitation that is older, not even by the one that was reset before,
    let new_code = school.class_code().await.code;
    for stranger in ["eve", "cleo"] {
        assert_eq!(homeroom.outcome(stranger, &new_code).await, homeroom_api::invitations::v1::RedemptionOutcome::PendingApproval, "{stranger}");
    }
    // and every removal is an event.
    let events = school.admin.done("membership.v1.EventService.ListEvents", json!({"parent": school.organization, "page_size": 1_000})).await;
    let events = events["events"].as_array().unwrap();
    let gone: Vec<_> = events.iter().filter(|event| event["type"] == "member.removed").map(|event| event["subject"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(gone, ["eve", "mallory", "eve", "mallory", "cleo"]);
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn r14_a_call_removes_500_and_says_that_more_remain(homeroom) {
    let school = homeroom.school().await;
    let token = school.invite_token().await;
    for group in [0..400, 400..501] {
        join(homeroom, &token.token, group.map(|number| format!("stranger-{number:03}"))).await;
    }
    let mut clean = json!({"parent": school.organization, "invitation": token.name, "request_id": homeroom.new_id()});
    let call = async |clean: &Value| school.admin.ask::<BatchRemoveMembersResponse>("MemberService.BatchRemoveMembers", clean.clone()).await;
    let first = call(&clean).await;
    assert_eq!((first.members.len(), first.more), (500, true));
    // R3: a retry gets the same answer, and removes nobody else.
    assert_eq!(call(&clean).await, first);
    assert_eq!(school.students().await.len(), 1);
    clean["request_id"] = json!(homeroom.new_id());
    let last = call(&clean).await;
    assert_eq!((last.members.len(), last.more), (1, false));
    assert_eq!(school.seats().await.seats_used, 0);
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn r14_another_invitation_or_form_of_a_filter_is_refused(homeroom) {
    let school = homeroom.school().await;
    let another = json!({"parent": school.class, "invitation": "organizations/jefferson/inviteToken"});
    assert_eq!(remove(homeroom, "admin", another).await.unwrap_err(), "INVALID_REQUEST");
    for filter in [
        "invitation = nonsense", "invitation != \"organizations/hamilton/inviteToken\"", "join_time = \"2026-09-01T00:00:00Z\"",
        "join_time >= yesterday", "join_time >= \"2026-09-01T00:00:00Z\" AND join_time >= \"2026-09-02T00:00:00Z\"",
    ] {
        let list = json!({"parent": school.organization, "filter": filter});
        let refused = school.admin.call("MemberService.ListOrganizationMembers", &list).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_FILTER", "{filter}");
    }
}
}
