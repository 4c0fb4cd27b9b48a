//! A person is erased from both services, and the counts stay true (R13).

mod elsewhere;
mod records;

use homeroom_api::invitations::v1::Token;
use homeroom_tests::{Claims, Clients, Homeroom, School, details, on_both_engines, reason};
use serde_json::{Value, json};
use tonic::Status;

use crate::assert_audited;

const ADA: &str = "ada-4711";
const NAME: &str = "Ada Lovelace";
const EMAIL: &str = "ada.lovelace@hamiltonschools.org";
const SCHOOL_ID: &str = "SCHOOL-ID-0815";
const LMS: Claims<'static> = Claims {
    scopes: &["homeroom.act_as", "homeroom.vouch"],
    ..Claims::of("lms")
};

/// Returns everything that Ada's platform says about her.
fn ada() -> Value {
    json!({
        "user": ADA, "display_name": NAME, "email": EMAIL, "email_verified": true, "external_id": SCHOOL_ID,
    })
}

/// Redeems for Ada, as her platform does; without a request id if it is empty.
async fn redeem(homeroom: &Homeroom, credential: &str, request_id: &str) -> Result<Value, Status> {
    let request = json!({"credential": credential, "user": ada(), "request_id": request_id});
    let redeemed = homeroom
        .call(LMS, "RedemptionService.Redeem", &request)
        .await;
    homeroom.settled().await;
    redeemed
}

async fn erase(homeroom: &Homeroom, user: &str, request_id: &str) -> Result<(), Status> {
    let erase = json!({"name": format!("users/{user}"), "request_id": request_id});
    let method = "invitations.v1.UserService.EraseUser";
    homeroom.platform().call(method, &erase).await.map(drop)
}

/// Creates Ada's data in several schools, before she is erased.
async fn live(homeroom: &Homeroom, school: &School, other: &School) {
    // The calls have request ids, by which their answers are stored.
    let done = async |caller: &Clients, method: &str, mut body: Value| {
        body["request_id"] = json!(homeroom.new_id());
        caller.done(method, body).await
    };
    let redeemed = async |credential: &str| {
        let request_id = homeroom.new_id().to_string();
        redeem(homeroom, credential, &request_id).await.unwrap()
    };
    // She is a student of one school,
    let admitted = redeemed(&school.class_code().await.code).await;
    assert_eq!(admitted["outcome"], "ADMITTED");
    // who waits for another class of it, and was denied for a third with a note that contains her name,
    let mut waits = Value::Null;
    for class in ["chemistry", "physics"] {
        let class = school.of_class(school.another_class(class).await);
        waits = redeemed(&class.join_url().await.url).await["joinRequest"]["name"].clone();
    }
    let deny = json!({"name": waits, "decide_note": format!("Not you, {NAME}.")});
    done(&school.teacher, "JoinRequestService.DenyJoinRequest", deny).await;
    // has guessed, was helped by support, and tried secrets of her own and of other people.
    let refused = redeem(homeroom, "HAMILTON-NOTHING", "").await.unwrap_err();
    assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    let clear = json!({"name": format!("users/{ADA}")});
    let platform = homeroom.platform();
    platform
        .done("UserService.ClearFailedAttempts", clear)
        .await;
    let token =
        json!({"parent": school.class, "token": {"assigned_email": EMAIL, "display_name": NAME}});
    done(&school.teacher, "TokenService.CreateToken", token).await;
    let batch = json!({"parent": format!("{}/classes/chemistry", school.organization), "requests": [{"token": {"external_id": SCHOOL_ID}}]});
    done(&school.teacher, "TokenService.BatchCreateTokens", batch).await;

    // She is a teacher of the other school, who helps with its class, reads its code and admits a
    // person,
    let member = json!({"user": ADA, "role": "TEACHER", "email": EMAIL, "display_name": NAME});
    let add = json!({"parent": other.organization, "member": member});
    done(&other.admin, "MemberService.AddOrganizationMember", add).await;
    let add = json!({"parent": other.class, "member": {"user": ADA, "role": "CO_TEACHER"}});
    done(&other.teacher, "MemberService.AddClassMember", add).await;
    let ada = homeroom.user(ADA);
    let code = json!({"name": format!("{}/classCode", other.class)});
    ada.done("ClassCodeService.GetClassCode", code).await;
    let waiting = homeroom.queued("bob", &other.join_url().await.url).await;
    let approve = json!({"name": waiting.name});
    done(&ada, "JoinRequestService.ApproveJoinRequest", approve).await;
    // and was a student of a third school, from which she was removed.
    let third = homeroom.school_named("cambridge", 0).await;
    redeemed(&third.class_code().await.code).await;
    let remove = json!({"name": format!("{}/members/{ADA}", third.organization)});
    done(
        &third.admin,
        "MemberService.RemoveOrganizationMember",
        remove,
    )
    .await;
}

on_both_engines! {
async fn r13_an_erased_person_is_found_nowhere_and_the_counts_stay_true(homeroom) {
    let school = homeroom.school_named("hamilton", 10).await;
    let other = homeroom.school_named("oxford", 10).await;
    homeroom.outcome("student-1", &school.class_code().await.code).await;
    live(homeroom, &school, &other).await;
    for text in [ADA, EMAIL, NAME, SCHOOL_ID] {
        assert!(!homeroom.databases().tables_that_hold(text).await.is_empty(), "{text}");
    }
    let before = homeroom.settled_row_counts().await;
    assert_eq!((school.seats().await.seats_used, school.seats().await.requests_waiting), (2, 1));

    // When the platform has her erased,
    erase(homeroom, ADA, &homeroom.new_id().to_string()).await.unwrap();

    // then nothing of hers is left in any column of any table of either database,
    for text in [ADA, EMAIL, NAME, SCHOOL_ID] {
        assert_eq!(homeroom.databases().tables_that_hold(text).await, Vec::<String>::new(), "{text}");
    }
    // the remaining rows have only a pseudonym (P1),
    let after = homeroom.settled_row_counts().await;
    let kept = ["membership.admissions", "membership.join_requests", "membership.classes", "membership.fences",
        "invitations.redemptions", "invitations.invitations", "invitations.refused_attempts"];
    for table in kept {
        assert_eq!(after[table], before[table], "{table}");
    }
    assert_eq!(after["membership.organization_members"], before["membership.organization_members"] - 2);
    assert_eq!(after["membership.removals"], before["membership.removals"] - 1);
    // her seat is free, none of her requests waits, other people's data is unchanged,
    assert_eq!((school.seats().await.seats_used, school.seats().await.requests_waiting), (1, 0));
    assert!(school.roster().await.contains(&"student-1".to_owned()));
    let bob = other.teacher.done("MemberService.GetClassMember", json!({"name": format!("{}/members/bob", other.class)})).await;
    assert!(bob["provenance"]["approvedBy"].as_str().unwrap().starts_with("erased-"));
    // each school gets an event in both feeds, and none contains anything about her,
    for place in [&school, &other] {
        for service in ["membership", "invitations"] {
            let list = json!({"parent": place.organization, "page_size": 1_000});
            let told = place.admin.done(&format!("{service}.v1.EventService.ListEvents"), list).await;
            let erased: Vec<_> = told["events"].as_array().unwrap().iter().filter(|event| event["type"] == "user.erased").collect();
            assert!(matches!(erased.as_slice(), [one] if one["subject"].as_str().unwrap().starts_with("users/erased-") && one["data"].is_null()), "{erased:?}");
        }
    }
    // and every invariant holds.
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn r13_who_comes_back_is_a_new_person(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let request_id = homeroom.new_id().to_string();
    let first = redeem(homeroom, &code, &request_id).await.unwrap();
    school.admin.leave(&school.organization, ADA).await;
    let erasure = homeroom.new_id().to_string();
    erase(homeroom, ADA, &erasure).await.unwrap();

    // An earlier request id is decided afresh, and neither the removal (R8) nor her membership is
    // known.
    let again = redeem(homeroom, &code, &request_id).await.unwrap();
    assert_eq!(again["outcome"], "ADMITTED");
    assert_ne!(again["redemption"], first["redemption"]);
    // A retry of the same erasure is already done, and does not affect the person who has come
    // since.
    erase(homeroom, ADA, &erasure).await.unwrap();
    assert!(school.roster().await.contains(&ADA.to_owned()));
    assert_audited(homeroom).await;
    // Another erasure does.
    erase(homeroom, ADA, "").await.unwrap();
    assert!(!school.roster().await.contains(&ADA.to_owned()));
    assert_eq!(homeroom.databases().tables_that_hold(ADA).await, Vec::<String>::new());
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn r13_a_token_of_an_erased_person_opens_for_nobody(homeroom) {
    let school = homeroom.school().await;
    let token = school.token(Token { assigned_email: EMAIL.to_owned(), ..Default::default() }).await;
    redeem(homeroom, &school.class_code().await.code, "").await.unwrap();
    erase(homeroom, ADA, "").await.unwrap();
    let stranger = Claims { email: "eve@hamiltonschools.org", email_verified: true, ..Claims::of("eve") };
    let refused = homeroom.user_with(stranger).redeem(&token.phrase).await.unwrap_err();
    assert_eq!(reason(&refused), "TOKEN_ASSIGNED_TO_ANOTHER");
}
}

on_both_engines! {
async fn r13_an_owner_of_classes_is_not_erased_and_every_class_is_named(homeroom) {
    let school = homeroom.school().await;
    school.another_class("chemistry").await;
    let refused = erase(homeroom, "teacher", "").await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("LAST_OWNER", tonic::Code::FailedPrecondition));
    let named: Vec<String> = details(&refused).precondition_failure().unwrap().violations.iter().map(|class| class.subject.clone()).collect();
    let [biology, chemistry] = ["biology", "chemistry"].map(|class| format!("{}/classes/{class}", school.organization));
    assert_eq!(named, [biology.clone(), chemistry.clone()]);
    // The erasure did not begin; once the classes are transferred, she can be erased.
    assert_eq!(homeroom.databases().row_counts().await["invitations.erasures"], 0);
    for name in [biology, chemistry] {
        school.admin.done("ClassService.TransferClassOwnership", json!({"name": name, "owner": "co-teacher"})).await;
    }
    erase(homeroom, "teacher", "").await.unwrap();
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn r13_p1_a_redemption_that_an_erasure_overtook_ends(homeroom) {
    // Given a person who was admitted by a redemption that was not settled when its process ended,
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    homeroom.user(ADA).redeem(&code).await.unwrap();
    homeroom.settled().await;
    let databases = homeroom.databases();
    databases.change_invitations("UPDATE redemptions SET state = 'RESERVED', outcome = '', settle_time = NULL, next_try_time = 0").await;
    databases.change_invitations("UPDATE invitations SET uses_reserved = uses_committed, uses_committed = 0 WHERE uses_committed > 0").await;
    // and whom membership has erased since,
    let service = Claims { scopes: &["homeroom.admit"], ..Claims::of("invitations") };
    let by_membership = json!({"name": format!("users/{ADA}"), "pseudonym": format!("erased-{}", homeroom.new_id())});
    homeroom.user_with(service).done("membership.v1.UserService.EraseUser", by_membership).await;
    // then it ends by the answer stored under its key, and so does the erasure.
    homeroom.settled().await;
    let request_id = homeroom.new_id().to_string();
    homeroom.eventually("the erasure ends", async || erase(homeroom, ADA, &request_id).await.is_ok()).await;
}
}
