//! Two accounts of one person become one, in both services (R15).

use homeroom_api::invitations::v1::{EnrollmentCode, RedemptionOutcome, Token};
use homeroom_tests::{Claims, Homeroom, School, on_both_engines, reason};
use serde_json::{Value, json};
use tonic::Status;

use crate::{assert_audited, assert_audited_soon};

const OLD: &str = "ada-old";
const NEW: &str = "ada-new";

async fn move_user(homeroom: &Homeroom, request_id: &str) -> Result<(), Status> {
    let request = json!({
        "name": format!("users/{OLD}"), "target": format!("users/{NEW}"), "request_id": request_id,
    });
    let method = "invitations.v1.UserService.MoveUser";
    homeroom.platform().call(method, &request).await.map(drop)
}

async fn add(school: &School, parent: &str, user: &str, role: &str, name: &str) {
    let member = json!({"user": user, "role": role, "display_name": name});
    let kind = if parent.contains("/classes/") {
        "Class"
    } else {
        "Organization"
    };
    let method = format!("MemberService.Add{kind}Member");
    school
        .admin
        .done(&method, json!({"parent": parent, "member": member}))
        .await;
}

/// Returns the class's waiting requests.
async fn waiting(class: &School) -> Vec<Value> {
    let list = json!({"parent": class.class, "filter": "state = PENDING"});
    let method = "JoinRequestService.ListJoinRequests";
    let listed = class.teacher.done(method, list).await;
    listed["joinRequests"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Returns the role, or the reason why there is none.
async fn role(school: &School, place: &str, user: &str) -> String {
    let kind = if place.contains("/classes/") {
        "Class"
    } else {
        "Organization"
    };
    let name = json!({"name": format!("{place}/members/{user}")});
    let method = format!("MemberService.Get{kind}Member");
    match school.admin.call(&method, &name).await {
        Ok(member) => member["role"].as_str().unwrap().to_owned(),
        Err(status) => reason(&status),
    }
}

on_both_engines! {
async fn r15_all_of_one_account_becomes_the_others_and_the_stronger_role_counts(homeroom) {
    // Given a school where both accounts of Ada are Students, of whom the old one co-teaches biology, and waits with
    // the new one for chemistry, and alone for physics, where the new one is in; and the old one waits for art;
    let school = homeroom.school_named("hamilton", 10).await;
    let code = school.class_code().await.code;
    homeroom.outcome(OLD, &code).await;
    homeroom.outcome(NEW, &school.invite_token().await.token).await;
    let promote = json!({"member": {"name": format!("{}/members/{OLD}", school.class), "role": "CO_TEACHER"}});
    school.teacher.done("MemberService.UpdateClassMember", promote).await;
    let [chemistry, physics, art] = ["chemistry", "physics", "art"];
    let mut of = Vec::new();
    for class in [chemistry, physics, art] {
        of.push(school.of_class(school.another_class(class).await));
    }
    homeroom.queued(NEW, &of[0].join_url().await.url).await;
    for class in &of {
        homeroom.queued(OLD, &class.join_url().await.url).await;
    }
    homeroom.outcome(NEW, &of[1].class_code().await.code).await;
    let token = school.token(Token { max_uses: Some(2), ..Default::default() }).await;
    assert_eq!(homeroom.outcome(NEW, &token.phrase).await, RedemptionOutcome::Admitted);
    // a school where the old account teaches and owns a class, of which the new one is a student;
    let oxford = homeroom.school_named("oxford", 10).await;
    add(&oxford, &oxford.organization, OLD, "TEACHER", "Ada Lovelace").await;
    add(&oxford, &oxford.class, NEW, "STUDENT", "").await;
    let transfer = json!({"name": oxford.class, "owner": OLD});
    oxford.admin.done("ClassService.TransferClassOwnership", transfer).await;
    // and one from which the old account was removed, and where the new one has never been.
    let cambridge = homeroom.school_named("cambridge", 10).await;
    let public = cambridge.class_code().await.code;
    let redeemed = homeroom.user(OLD).redeem(&public).await.unwrap();
    homeroom.settled().await;
    cambridge.admin.leave(&cambridge.organization, OLD).await;
    homeroom.settled().await;
    assert_eq!((school.seats().await.seats_used, school.seats().await.requests_waiting), (2, 4));
    assert_eq!(oxford.seats().await.seats_used, 1);

    // When one becomes the other,
    move_user(homeroom, &homeroom.new_id().to_string()).await.unwrap();

    // then the new one has the stronger roles, and the old one is nobody:
    for (place, of, stronger) in [
        (&school.organization, &school, "STUDENT"), (&school.class, &school, "CO_TEACHER"), (&of[1].class, &school, "STUDENT"),
        (&oxford.organization, &oxford, "TEACHER"), (&oxford.class, &oxford, "OWNER"),
    ] {
        assert_eq!(role(of, place, NEW).await, stronger, "{place}");
        assert_eq!(role(of, place, OLD).await, "MEMBER_NOT_FOUND", "{place}");
    }
    let class = oxford.admin.done("ClassService.GetClass", json!({"name": oxford.class})).await;
    assert_eq!(class["owner"], NEW);
    // what staff set comes first, one seat is held, and a teacher holds none (R7);
    let member = oxford.admin.done("MemberService.GetOrganizationMember", json!({"name": format!("{}/members/{NEW}", oxford.organization)})).await;
    assert_eq!(member["displayName"], "Ada Lovelace");
    assert_eq!((school.seats().await.seats_used, oxford.seats().await.seats_used), (1, 0));
    // one request waits for chemistry and one for art, both the new one's, and none where the person is in (P2, P8);
    assert_eq!(school.seats().await.requests_waiting, 2);
    for (class, expected) in of.iter().zip([1, 0, 1]) {
        let waits = waiting(class).await;
        assert_eq!(waits.len(), expected, "{}", class.class);
        assert!(waits.iter().all(|request| request["user"] == NEW));
    }
    // the removal holds for the new one (R8), the redemption is the new one's, and a stranger's to the old one;
    assert_eq!(homeroom.outcome(NEW, &public).await, RedemptionOutcome::PendingApproval);
    let redemption = json!({"name": redeemed.redemption});
    assert_eq!(homeroom.user(NEW).done("RedemptionService.GetRedemption", redemption.clone()).await["user"], NEW);
    assert_eq!(reason(&homeroom.user(OLD).call("RedemptionService.GetRedemption", &redemption).await.unwrap_err()), "REDEMPTION_NOT_FOUND");
    // both feeds say so in every school,
    for place in [&school, &oxford, &cambridge] {
        for service in ["membership", "invitations"] {
            let list = json!({"parent": place.organization, "page_size": 1_000});
            let told = place.admin.done(&format!("{service}.v1.EventService.ListEvents"), list).await;
            let moved: Vec<&Value> = told["events"].as_array().into_iter().flatten().filter(|event| event["type"] == "user.moved").collect();
            let known = service == "membership" || *place.organization != *oxford.organization;
            assert_eq!(moved.len(), usize::from(known), "{service} {}", place.organization);
            for event in moved {
                assert_eq!((&event["subject"], &event["data"]), (&json!(format!("users/{NEW}")), &json!({"source": OLD, "user": NEW})));
            }
        }
    }
    // and every invariant holds, also once the requests are decided.
    assert_audited_soon(homeroom).await;
    for class in [&of[0], &of[2]] {
        let name = &waiting(class).await[0]["name"];
        school.teacher.done("JoinRequestService.ApproveJoinRequest", json!({"name": name})).await;
    }
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn r15_p4_uses_and_denials_move_and_whoever_comes_under_the_old_id_is_a_stranger(homeroom) {
    let school = homeroom.school().await;
    let code = school.enrollment_code(EnrollmentCode { code: "OPEN2026X7".to_owned(), max_uses: Some(2), ..Default::default() }).await;
    // Given an account that used a code and left, and was denied for a class,
    let request_id = homeroom.new_id().to_string();
    let redeem = json!({"credential": code.full_code, "request_id": request_id});
    let old = homeroom.user(OLD);
    old.done("RedemptionService.Redeem", redeem.clone()).await;
    homeroom.settled().await;
    old.leave(&school.organization, OLD).await;
    let chemistry = school.of_class(school.another_class("chemistry").await);
    let url = chemistry.join_url().await.url;
    let waits = homeroom.queued(OLD, &url).await;
    school.teacher.done("JoinRequestService.DenyJoinRequest", json!({"name": waits.name})).await;
    homeroom.settled().await;
    let moved = homeroom.new_id().to_string();
    move_user(homeroom, &moved).await.unwrap();
    // then the other account comes back by the same use (P4), and may not ask again yet (R9);
    assert_eq!(homeroom.outcome(NEW, &code.full_code).await, RedemptionOutcome::Admitted);
    let refused = homeroom.user(NEW).redeem(&url).await.unwrap_err();
    assert_eq!(reason(&refused), "DENIED_RECENTLY");
    // who comes under the old id is a stranger, whose retry is decided anew and takes the last use,
    old.done("RedemptionService.Redeem", redeem).await;
    homeroom.settled().await;
    assert_eq!(reason(&homeroom.user("eve").redeem(&code.full_code).await.unwrap_err()), "USED_UP");
    homeroom.queued(OLD, &url).await;
    // and whom a retry of the same move leaves alone.
    move_user(homeroom, &moved).await.unwrap();
    assert_eq!(role(&school, &school.class, OLD).await, "STUDENT");
    assert_eq!(role(&school, &school.class, NEW).await, "STUDENT");
    assert_audited(homeroom).await;
    // Another move makes them one again.
    move_user(homeroom, "").await.unwrap();
    assert_eq!(role(&school, &school.class, OLD).await, "MEMBER_NOT_FOUND");
    assert_eq!(school.seats().await.seats_used, 1);
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn r15_p1_a_move_that_stopped_between_the_services_is_finished(homeroom) {
    // Given a move that membership has made, and after which its process ended, with a redemption not settled,
    let school = homeroom.school().await;
    let code = school.class_code().await;
    homeroom.outcome(NEW, &school.invite_token().await.token).await;
    homeroom.user(OLD).redeem(&code.code).await.unwrap();
    homeroom.settled().await;
    let databases = homeroom.databases();
    databases.change_invitations("UPDATE redemptions SET state = 'RESERVED', outcome = '', settle_time = NULL, next_try_time = 0 WHERE user_id = 'ada-old'").await;
    databases.change_invitations("UPDATE invitations SET uses_reserved = uses_committed, uses_committed = 0 WHERE kind = 'class_code' AND uses_committed > 0").await;
    let id = format!("moved-{}", homeroom.new_id());
    let service = Claims { scopes: &["homeroom.admit"], ..Claims::of("invitations") };
    let by_membership = json!({"name": format!("users/{OLD}"), "target": format!("users/{NEW}"), "move_id": id});
    for _ in 0..2 {
        homeroom.user_with(service).done("membership.v1.UserService.MoveUser", by_membership.clone()).await;
    }
    databases.change_invitations(&format!(
        "INSERT INTO erasures (pseudonym, user_id, target, particulars, actor, create_time) VALUES ('{id}', '{OLD}', '{NEW}', '[]', 'platform', 0)"
    )).await;
    // then it is finished with the next call, also if that asks for the same again.
    homeroom.settled().await;
    homeroom.eventually("the move ends", async || move_user(homeroom, "").await.is_ok()).await;
    assert_eq!(role(&school, &school.class, NEW).await, "STUDENT");
    assert_audited_soon(homeroom).await;
    let to_itself = json!({"name": format!("users/{OLD}"), "target": format!("users/{OLD}")});
    let refused = homeroom.platform().call("invitations.v1.UserService.MoveUser", &to_itself).await.unwrap_err();
    assert_eq!(homeroom_tests::violated_fields(&refused), ["target"]);
}
}
