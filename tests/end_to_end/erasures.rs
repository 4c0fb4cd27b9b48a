//! A person is erased from both services, and the counts stay true (R13).

mod elsewhere;

use homeroom_api::{
    common::v1::{ListEventsRequest, User},
    invitations::v1::{
        ClearFailedAttemptsRequest, EraseUserRequest, RedeemRequest, RedeemResponse,
        RedemptionOutcome, Token, redeem_response,
    },
    membership::v1::{
        GetClassMemberRequest, RemoveOrganizationMemberRequest, TransferClassOwnershipRequest,
    },
};
use homeroom_tests::{Claims, Homeroom, School, details, on_both_engines, reason};
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

fn ada() -> User {
    User {
        user: ADA.to_owned(),
        display_name: NAME.to_owned(),
        email: EMAIL.to_owned(),
        email_verified: true,
        external_id: SCHOOL_ID.to_owned(),
    }
}

async fn redeem(
    homeroom: &Homeroom,
    credential: &str,
    request_id: &str,
) -> Result<RedeemResponse, Status> {
    let request = RedeemRequest {
        credential: credential.to_owned(),
        user: Some(ada()),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let redeemed = homeroom.user_with(LMS).redeem_with(request).await;
    homeroom.settled().await;
    redeemed
}

async fn erase(homeroom: &Homeroom, user: &str, request_id: &str) -> Result<(), Status> {
    let request = EraseUserRequest {
        name: format!("users/{user}"),
        request_id: request_id.to_owned(),
    };
    homeroom
        .platform()
        .users
        .erase_user(request)
        .await
        .map(|_| ())
}

/// Calls a method as a user, with a request id.
async fn call(homeroom: &Homeroom, user: &str, method: &str, mut body: Value) -> Value {
    if !method.contains(".Get") {
        body["request_id"] = json!(homeroom.new_id());
    }
    let method = format!("homeroom.{method}");
    let answer = homeroom.call(Claims::of(user), &method, &body).await;
    answer.unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
}

/// Creates Ada's data in several schools, before she is erased.
async fn live(homeroom: &Homeroom, school: &School, other: &School) {
    let redeemed = async |credential: &str| {
        let request_id = homeroom.new_id().to_string();
        redeem(homeroom, credential, &request_id).await.unwrap()
    };
    // She is a student of one school,
    let admitted = redeemed(&school.class_code().await.code).await;
    assert_eq!(admitted.outcome(), RedemptionOutcome::Admitted);
    // who waits for another class of it, and was denied for a third with a note that contains her name,
    let mut waits = Vec::new();
    for class in ["chemistry", "physics"] {
        let name = format!("{}/joinUrl", school.another_class(class).await);
        let method = "invitations.v1.JoinUrlService.GetJoinUrl";
        let url = call(homeroom, "teacher", method, json!({"name": name})).await;
        let asked = redeemed(url["url"].as_str().unwrap()).await;
        let Some(redeem_response::Result::JoinRequest(asked)) = asked.result else {
            panic!("no request")
        };
        waits.push(asked.name);
    }
    let deny = json!({"name": waits[1], "decide_note": format!("Not you, {NAME}.")});
    let method = "membership.v1.JoinRequestService.DenyJoinRequest";
    call(homeroom, "teacher", method, deny).await;
    // has guessed, was helped by support, and tried secrets of her own and of other people.
    let refused = redeem(homeroom, "HAMILTON-NOTHING", "").await.unwrap_err();
    assert_eq!(reason(&refused), "CODE_NOT_USABLE");
    let name = format!("users/{ADA}");
    let clear = ClearFailedAttemptsRequest { name };
    let cleared = homeroom.platform().users.clear_failed_attempts(clear).await;
    cleared.unwrap();
    let method = "invitations.v1.TokenService.CreateToken";
    let token =
        json!({"parent": school.class, "token": {"assigned_email": EMAIL, "display_name": NAME}});
    call(homeroom, "teacher", method, token).await;
    let method = "invitations.v1.TokenService.BatchCreateTokens";
    let batch = json!({"parent": format!("{}/classes/chemistry", school.organization), "tokens": [{"external_id": SCHOOL_ID}]});
    call(homeroom, "teacher", method, batch).await;

    // She is a teacher of the other school, who helps with its class, reads its code and admits a
    // person,
    let method = "membership.v1.MemberService.AddOrganizationMember";
    let add = json!({"parent": other.organization, "member": {"user": ADA, "role": "TEACHER", "email": EMAIL, "display_name": NAME}});
    call(homeroom, "admin", method, add).await;
    let method = "membership.v1.MemberService.AddClassMember";
    let add = json!({"parent": other.class, "member": {"user": ADA, "role": "CO_TEACHER"}});
    call(homeroom, "teacher", method, add).await;
    let method = "invitations.v1.ClassCodeService.GetClassCode";
    let code = json!({"name": format!("{}/classCode", other.class)});
    call(homeroom, ADA, method, code).await;
    let waiting = homeroom.queued("bob", &other.join_url().await.url).await;
    let method = "membership.v1.JoinRequestService.ApproveJoinRequest";
    call(homeroom, ADA, method, json!({"name": waiting.name})).await;
    // and was a student of a third school, from which she was removed.
    let third = homeroom.school_named("cambridge", 0).await;
    redeemed(&third.class_code().await.code).await;
    let method = "membership.v1.MemberService.RemoveOrganizationMember";
    let remove = json!({"name": format!("{}/members/{ADA}", third.organization)});
    call(homeroom, "admin", method, remove).await;
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
    let bob = GetClassMemberRequest { name: format!("{}/members/bob", other.class) };
    let bob = other.teacher.clone().members.get_class_member(bob).await.unwrap().into_inner();
    assert!(bob.provenance.unwrap().approved_by.starts_with("erased-"));
    // each school gets an event in both feeds, and none contains anything about her,
    for place in [&school, &other] {
        let list = ListEventsRequest { parent: place.organization.clone(), page_size: 1_000, ..Default::default() };
        let mut admin = place.admin.clone();
        let told = [
            admin.membership_events.list_events(list.clone()).await.unwrap().into_inner().events,
            admin.invitations_events.list_events(list).await.unwrap().into_inner().events,
        ];
        for events in told {
            let erased: Vec<_> = events.iter().filter(|event| event.r#type == "user.erased").collect();
            assert!(matches!(erased.as_slice(), [one] if one.subject.starts_with("users/erased-") && one.data.is_empty()), "{erased:?}");
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
    let remove = RemoveOrganizationMemberRequest { name: format!("{}/members/{ADA}", school.organization), ..Default::default() };
    school.admin.clone().members.remove_organization_member(remove).await.unwrap();
    let erasure = homeroom.new_id().to_string();
    erase(homeroom, ADA, &erasure).await.unwrap();

    // An earlier request id is decided afresh, and neither the removal (R8) nor her membership is
    // known.
    let again = redeem(homeroom, &code, &request_id).await.unwrap();
    assert_eq!(again.outcome(), RedemptionOutcome::Admitted);
    assert_ne!(again.redemption, first.redemption);
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
        let transfer = TransferClassOwnershipRequest { name, owner: "co-teacher".to_owned(), ..Default::default() };
        school.admin.clone().classes.transfer_class_ownership(transfer).await.unwrap();
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
    let erase = homeroom_api::membership::v1::EraseUserRequest {
        name: format!("users/{ADA}"),
        pseudonym: format!("erased-{}", homeroom.new_id()),
        ..Default::default()
    };
    homeroom.user_with(service).membership_users.erase_user(erase).await.unwrap();
    // then it ends by the answer stored under its key, and so does the erasure.
    homeroom.settled().await;
    erase_until_done(homeroom).await;
}
}

async fn erase_until_done(homeroom: &Homeroom) {
    let request_id = homeroom.new_id().to_string();
    homeroom
        .eventually("the erasure ends", async || {
            erase(homeroom, ADA, &request_id).await.is_ok()
        })
        .await;
}
