//! Calls of staff and platforms: roles that reach classes, refusals that name the obstacle, and calls that change
//! nothing.

use std::collections::BTreeSet;

use homeroom_api::{
    common::v1::{ErrorReason, Role},
    invitations::v1::{EnrollmentCode, EraseUserRequest, GetClassCodeRequest, Token},
    membership::v1::{
        AddClassMemberRequest, ArchiveClassRequest, CreateOrganizationRequest,
        DeleteOrganizationRequest, GetClassMemberRequest, Member, Organization,
        RemoveClassMemberRequest, RemoveOrganizationMemberRequest, UpdateClassMemberRequest,
        UpdateOrganizationMemberRequest,
    },
};
use homeroom_tests::{
    Claims, Homeroom, School, details, member, on_both_engines, reason, timestamp, violated_fields,
};
use serde_json::{Value, json};
use tonic::Status;

use crate::assert_audited;

async fn set_role(school: &School, user: &str, role: Role) -> Result<Member, Status> {
    let request = UpdateOrganizationMemberRequest {
        member: Some(Member {
            name: format!("{}/members/{user}", school.organization),
            role: role.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut members = school.admin.clone().members;
    let updated = members.update_organization_member(request).await;
    updated.map(tonic::Response::into_inner)
}

on_both_engines! {
async fn u10_who_is_made_a_student_of_the_organization_is_no_co_teacher_any_more(homeroom) {
    // Given a teacher who is co-teacher of two classes and student of a third, and one who is administrator,
    let school = homeroom.school().await;
    let [chemistry, physics] = [school.another_class("chemistry").await, school.another_class("physics").await];
    let add = async |class: &str, user: &str, role: Role| {
        let request = AddClassMemberRequest { parent: class.to_owned(), member: Some(member(user, role)), ..Default::default() };
        school.admin.clone().members.add_class_member(request).await.unwrap();
    };
    add(&chemistry, "co-teacher", Role::CoTeacher).await;
    add(&physics, "co-teacher", Role::Student).await;
    add(&chemistry, "admin", Role::CoTeacher).await;
    let code = || GetClassCodeRequest { name: format!("{}/classCode", school.class) };
    school.co_teacher.clone().class_codes.get_class_code(code()).await.unwrap();
    let role_in = async |class: &str, user: &str| {
        let request = GetClassMemberRequest { name: format!("{class}/members/{user}") };
        school.admin.clone().members.get_class_member(request).await.unwrap().into_inner().role()
    };
    // when they become administrator, or teacher again, nothing in classes changes,
    for role in [Role::Admin, Role::Teacher] {
        set_role(&school, "co-teacher", role).await.unwrap();
        assert_eq!(role_in(&school.class, "co-teacher").await, Role::CoTeacher);
    }
    // and once they are a student of the organization they are a student of its classes, and read no code.
    set_role(&school, "co-teacher", Role::Student).await.unwrap();
    for class in [&school.class, &chemistry, &physics] {
        assert_eq!(role_in(class, "co-teacher").await, Role::Student, "{class}");
    }
    let refused = school.co_teacher.clone().class_codes.get_class_code(code()).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_REQUIRED");
    // Nobody else's role has changed.
    assert_eq!(role_in(&chemistry, "admin").await, Role::CoTeacher);
    // Staff may explicitly make a student of the organization co-teacher of a class.
    let again = UpdateClassMemberRequest { member: Some(Member { name: format!("{chemistry}/members/co-teacher"), role: Role::CoTeacher.into(), ..Default::default() }), ..Default::default() };
    school.admin.clone().members.update_class_member(again).await.unwrap();
    set_role(&school, "co-teacher", Role::Student).await.unwrap();
    assert_eq!(role_in(&chemistry, "co-teacher").await, Role::CoTeacher);
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn u17_last_owner_names_the_classes_wherever_it_is_answered(homeroom) {
    // Given the owner of three classes, one of them archived, who owns one of another school too,
    let school = homeroom.school().await;
    let other = homeroom.school_named("jefferson", 0).await;
    let chemistry = school.another_class("chemistry").await;
    let archive = ArchiveClassRequest { name: school.another_class("physics").await, ..Default::default() };
    let physics = archive.name.clone();
    school.teacher.clone().classes.archive_class(archive).await.unwrap();
    let here = [school.class.clone(), chemistry, physics];
    let erase = EraseUserRequest { name: "users/teacher".to_owned(), ..Default::default() };
    let remove = |by: &homeroom_tests::clients::Clients| {
        let request = RemoveOrganizationMemberRequest { name: format!("{}/members/teacher", school.organization), ..Default::default() };
        let mut members = by.members.clone();
        async move { members.remove_organization_member(request).await.unwrap_err() }
    };
    let in_class = format!("{}/members/teacher", school.class);
    let demote = UpdateClassMemberRequest { member: Some(Member { name: in_class.clone(), role: Role::CoTeacher.into(), ..Default::default() }), ..Default::default() };
    let leave = RemoveClassMemberRequest { name: in_class, ..Default::default() };
    let everywhere: Vec<String> = here.iter().chain([&other.class]).cloned().collect();
    let (everywhere, here) = (everywhere.as_slice(), here.as_slice());
    // then every change that would leave a class without its owner names those classes, of this school only.
    for (what, refused, classes) in [
        ("made a student", set_role(&school, "teacher", Role::Student).await.unwrap_err(), here),
        ("removed", remove(&school.admin).await, here),
        ("leaving", remove(&school.teacher).await, here),
        ("made co-teacher of the class", school.admin.clone().members.update_class_member(demote).await.unwrap_err(), &here[..1]),
        ("leaving the class", school.teacher.clone().members.remove_class_member(leave).await.unwrap_err(), &here[..1]),
        ("erased", homeroom.platform().users.erase_user(erase).await.unwrap_err(), everywhere),
    ] {
        assert_eq!(reason(&refused), "LAST_OWNER", "{what}");
        let violations = details(&refused).precondition_failure().unwrap().violations.clone();
        let named: BTreeSet<&str> = violations.iter().map(|violation| violation.subject.as_str()).collect();
        assert_eq!(named, classes.iter().map(String::as_str).collect(), "{what}");
    }
}
}

on_both_engines! {
async fn u18_the_prefix_of_a_deleted_organization_stays_taken_and_the_refusal_says_so(homeroom) {
    let school = homeroom.school().await;
    let delete = DeleteOrganizationRequest { name: school.organization.clone(), force: true, ..Default::default() };
    school.admin.clone().organizations.delete_organization(delete).await.unwrap();
    for prefix in ["HAMILTON", "hamilton", "HAM", "HAMILTON2"] {
        let request = CreateOrganizationRequest {
            organization: Some(Organization { display_name: "Another".to_owned(), code_prefix: prefix.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let taken = homeroom.platform().organizations.create_organization(request).await.unwrap_err();
        assert_eq!(reason(&taken), "CODE_TAKEN", "{prefix}");
        assert_eq!(violated_fields(&taken), ["organization.code_prefix"]);
        assert!(taken.message().contains("deleted organization"), "{}", taken.message());
    }
}
}

on_both_engines! {
async fn r13_nobody_is_erased_by_a_name_that_is_no_single_persons(homeroom) {
    let school = homeroom.school().await;
    let before = homeroom.settled_row_counts().await;
    let pseudonym = "erased-01900000-0000-7000-8000-00000000000a";
    for user in ["me", "-", "system", pseudonym, "", "a b", "organizations"] {
        // The last one is a valid person id like any other, and nobody here has it.
        let request = EraseUserRequest { name: format!("users/{user}"), ..Default::default() };
        let erased = homeroom.platform().users.erase_user(request).await;
        if user == "organizations" {
            erased.unwrap();
            continue;
        }
        let refused = erased.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_REQUEST", "{user:?}");
        assert_eq!(violated_fields(&refused), ["name"], "{user:?}");
    }
    let after = homeroom.settled_row_counts().await;
    assert_eq!(after["membership.organization_members"], before["membership.organization_members"]);
    drop(school);
}
}

/// A resource that staff change: how it is read, and its fields that can be changed.
struct Changeable {
    get: &'static str,
    update: &'static str,
    name: String,
    field: &'static str,
    mask: &'static str,
}

/// Returns the whole resource as it was read, to be sent back under a mask.
async fn send_back(
    homeroom: &Homeroom,
    what: &Changeable,
    read: &Value,
    mask: Option<&str>,
) -> Result<Value, Status> {
    let mut body = json!({ what.field: read });
    if let Some(mask) = mask {
        body["updateMask"] = json!(mask);
    }
    homeroom.call(Claims::of("admin"), what.update, &body).await
}

on_both_engines! {
async fn r11_an_update_that_changes_nothing_changes_no_etag_and_makes_no_event(homeroom) {
    // Given a school with everything that can be changed,
    let school = homeroom.school().await;
    let (organization, class) = (&school.organization, &school.class);
    let token = school.token(Token {
        max_uses: Some(3),
        assigned_email: "ada@hamiltonschools.org".to_owned(),
        external_id: "S-1".to_owned(),
        display_name: "For Ada".to_owned(),
        ..Default::default()
    }).await;
    let code = school.enrollment_code(EnrollmentCode {
        code: "BIO-101".to_owned(),
        valid_from_time: Some(timestamp(homeroom.now())),
        valid_till_time: Some(timestamp(homeroom.now() + chrono::TimeDelta::days(30))),
        max_uses: Some(30),
        display_name: "Term 1".to_owned(),
        ..Default::default()
    }).await;
    let plain = school.token(Token::default()).await;
    let changeable = |get, update, name: String, field, mask| Changeable { get, update, name, field, mask };
    let token_fields = "maxUses,assignedEmail,externalId,displayName,expireTime";
    let rows = [
        changeable("homeroom.membership.v1.OrganizationService.GetOrganization", "homeroom.membership.v1.OrganizationService.UpdateOrganization", organization.clone(), "organization", "displayName,codePrefix,seatLimit,labels"),
        changeable("homeroom.membership.v1.ClassService.GetClass", "homeroom.membership.v1.ClassService.UpdateClass", class.clone(), "class", "displayName,labels"),
        changeable("homeroom.membership.v1.MemberService.GetOrganizationMember", "homeroom.membership.v1.MemberService.UpdateOrganizationMember", format!("{organization}/members/co-teacher"), "member", "role,displayName,email,externalId"),
        changeable("homeroom.membership.v1.MemberService.GetClassMember", "homeroom.membership.v1.MemberService.UpdateClassMember", format!("{class}/members/co-teacher"), "member", "role"),
        changeable("homeroom.invitations.v1.TokenService.GetInviteToken", "homeroom.invitations.v1.TokenService.UpdateInviteToken", format!("{organization}/inviteToken"), "inviteToken", "expireTime"),
        changeable("homeroom.invitations.v1.TokenService.GetToken", "homeroom.invitations.v1.TokenService.UpdateToken", token.name, "token", token_fields),
        changeable("homeroom.invitations.v1.TokenService.GetToken", "homeroom.invitations.v1.TokenService.UpdateToken", plain.name, "token", token_fields),
        changeable("homeroom.invitations.v1.EnrollmentCodeService.GetEnrollmentCode", "homeroom.invitations.v1.EnrollmentCodeService.UpdateEnrollmentCode", code.name, "enrollmentCode", "code,validFromTime,validTillTime,emailDomains,enabled,maxUses,allowRejoin,displayName"),
        changeable("homeroom.invitations.v1.ClassCodeService.GetClassCode", "homeroom.invitations.v1.ClassCodeService.UpdateClassCode", format!("{class}/classCode"), "classCode", "lockPeriod"),
        changeable("homeroom.invitations.v1.JoinUrlService.GetJoinUrl", "homeroom.invitations.v1.JoinUrlService.UpdateJoinUrl", format!("{class}/joinUrl"), "joinUrl", "enabled"),
    ];
    let events = async || {
        let counts = homeroom.databases().row_counts().await;
        counts["membership.events"] + counts["invitations.events"]
    };
    for what in &rows {
        let read = async || homeroom.call(Claims::of("admin"), what.get, &json!({ "name": what.name })).await.unwrap();
        let before = read().await;
        let told = events().await;
        // when it is sent back as it is, in whole or in part, then nothing has changed.
        for mask in [None, Some(what.mask), Some("*")].into_iter().chain(what.mask.split(',').map(Some)) {
            let updated = send_back(homeroom, what, &before, mask).await;
            let updated = updated.unwrap_or_else(|refused| panic!("{} {mask:?}: {refused:?}", what.update));
            assert_eq!(updated["etag"], before["etag"], "{} {mask:?}", what.update);
        }
        assert_eq!(read().await, before, "{}", what.update);
        assert_eq!(events().await, told, "{}", what.update);
    }
    // Repeating a change that is already in effect changes nothing.
    for (method, body) in [
        ("homeroom.invitations.v1.ClassCodeService.LockClassCode", json!({"name": format!("{class}/classCode")})),
        ("homeroom.membership.v1.ClassService.ArchiveClass", json!({"name": class})),
        ("homeroom.membership.v1.ClassService.UnarchiveClass", json!({"name": class})),
        ("homeroom.membership.v1.ClassService.TransferClassOwnership", json!({"name": class, "owner": "admin"})),
        ("homeroom.invitations.v1.TokenService.RevokeToken", json!({"name": rows[6].name})),
    ] {
        let first = homeroom.call(Claims::of("admin"), method, &body).await.unwrap();
        let told = events().await;
        let again = homeroom.call(Claims::of("admin"), method, &body).await.unwrap();
        assert_eq!(again, first, "{method}");
        assert_eq!(events().await, told, "{method}");
    }
}
}

on_both_engines! {
async fn r3_one_uuid_in_any_spelling_is_one_request_id(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let lms = Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("lms") };
    let platform = Claims { scopes: &["homeroom.platform"], ..Claims::of("platform") };
    let calls: [(Claims<'_>, &str, Value, Value); 5] = [
        (Claims::of("teacher"), "homeroom.membership.v1.ClassService.CreateClass", json!({"parent": school.organization, "class": {"displayName": "Art"}}), json!({"parent": school.organization, "class": {"displayName": "Music"}})),
        (Claims::of("teacher"), "homeroom.invitations.v1.TokenService.CreateToken", json!({"parent": school.class, "token": {}}), json!({"parent": school.class, "token": {"words": 3}})),
        (Claims::of("ann"), "homeroom.invitations.v1.RedemptionService.Redeem", json!({"credential": code}), json!({"credential": code, "signUp": true})),
        (lms, "homeroom.invitations.v1.RedemptionService.BatchRedeem", json!({"requests": [{"credential": code, "user": {"user": "bob"}}]}), json!({"requests": [{"credential": code, "user": {"user": "cid"}}]})),
        (platform, "homeroom.invitations.v1.UserService.EraseUser", json!({"name": "users/zoe"}), json!({"name": "users/zac"})),
    ];
    for (caller, method, body, other) in calls {
        let id = homeroom.new_id();
        let with = |body: &Value, spelling: &str| {
            let mut body = body.clone();
            match body.get_mut("requests") {
                Some(requests) => requests[0]["requestId"] = json!(spelling),
                None => body["requestId"] = json!(spelling),
            }
            body
        };
        let first = homeroom.call(caller, method, &with(&body, &id.to_string())).await.unwrap();
        homeroom.settled().await;
        for spelling in [
            id.to_string().to_uppercase(),
            id.simple().to_string(),
            id.simple().to_string().to_uppercase(),
            id.braced().to_string(),
            id.urn().to_string(),
        ] {
            let again = homeroom.call(caller, method, &with(&body, &spelling)).await.unwrap();
            assert_eq!(again, first, "{method} {spelling}");
            let another = homeroom.call(caller, method, &with(&other, &spelling)).await;
            let conflict = match another {
                Err(status) => reason(&status),
                // A row of a batch fails by itself.
                Ok(answer) => answer.to_string(),
            };
            assert!(conflict.contains("REQUEST_ID_CONFLICT") || conflict.contains("\"code\":6"), "{method} {spelling}: {conflict}");
        }
        // A request id that is not a UUID is refused as such.
        let refused = homeroom.call(caller, method, &with(&body, &format!(" {id}"))).await;
        let told = refused.map_or_else(|status| reason(&status), |answer| answer.to_string());
        assert!(told.contains(ErrorReason::InvalidRequest.as_str_name()) || told.contains("\"code\":3"), "{method}: {told}");
    }
}
}
