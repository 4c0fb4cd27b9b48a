//! Calls of staff and platforms: roles that reach classes, refusals that name the obstacle, and calls that change
//! nothing.

use std::collections::BTreeSet;

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{EnrollmentCode, Token},
};
use homeroom_tests::{Claims, details, on_both_engines, reason, timestamp, violated_fields};
use serde_json::{Value, json};

use crate::assert_audited;

on_both_engines! {
async fn u10_who_is_made_a_student_of_the_organization_is_no_co_teacher_any_more(homeroom) {
    // Given a teacher who is co-teacher of two classes and student of a third, and one who is administrator,
    let school = homeroom.school().await;
    let admin = &school.admin;
    let [chemistry, physics] = [school.another_class("chemistry").await, school.another_class("physics").await];
    for (class, user, role) in [(&chemistry, "co-teacher", "CO_TEACHER"), (&physics, "co-teacher", "STUDENT"), (&chemistry, "admin", "CO_TEACHER")] {
        admin.done("MemberService.AddClassMember", json!({"parent": class, "member": {"user": user, "role": role}})).await;
    }
    let code = json!({"name": format!("{}/classCode", school.class)});
    school.co_teacher.done("ClassCodeService.GetClassCode", code.clone()).await;
    let role_in = async |class: &str, user: &str| {
        admin.done("MemberService.GetClassMember", json!({"name": format!("{class}/members/{user}")})).await["role"].clone()
    };
    let set_role = async |place: &str, kind: &str, role: &str| {
        let member = json!({"name": format!("{place}/members/co-teacher"), "role": role});
        admin.done(&format!("MemberService.Update{kind}Member"), json!({"member": member})).await;
    };
    // when they become administrator, or teacher again, nothing in classes changes,
    for role in ["ADMIN", "TEACHER"] {
        set_role(&school.organization, "Organization", role).await;
        assert_eq!(role_in(&school.class, "co-teacher").await, "CO_TEACHER");
    }
    // and once they are a student of the organization they are a student of its classes, and read no code.
    set_role(&school.organization, "Organization", "STUDENT").await;
    for class in [&school.class, &chemistry, &physics] {
        assert_eq!(role_in(class, "co-teacher").await, "STUDENT", "{class}");
    }
    assert_eq!(school.co_teacher.refused("ClassCodeService.GetClassCode", code).await, "ROLE_REQUIRED");
    // Nobody else's role has changed.
    assert_eq!(role_in(&chemistry, "admin").await, "CO_TEACHER");
    // Staff may explicitly make a student of the organization co-teacher of a class.
    set_role(&chemistry, "Class", "CO_TEACHER").await;
    set_role(&school.organization, "Organization", "STUDENT").await;
    assert_eq!(role_in(&chemistry, "co-teacher").await, "CO_TEACHER");
    assert_audited(homeroom).await;
}
}

on_both_engines! {
async fn u17_last_owner_names_the_classes_wherever_it_is_answered(homeroom) {
    // Given the owner of three classes, one of them archived, who owns one of another school too,
    let school = homeroom.school().await;
    let other = homeroom.school_named("jefferson", 0).await;
    let [chemistry, physics] = [school.another_class("chemistry").await, school.another_class("physics").await];
    school.teacher.done("ClassService.ArchiveClass", json!({"name": physics})).await;
    let here = [school.class.as_str(), &chemistry, &physics];
    let everywhere = [here[0], here[1], here[2], &other.class];
    let [in_class, member] = [&school.class, &school.organization].map(|place| json!({"name": format!("{place}/members/teacher")}));
    let with_role = |member: &Value, role: &str| json!({"member": {"name": member["name"], "role": role}});
    // then every change that would leave a class without its owner names those classes, of this school only.
    for (caller, method, body, classes) in [
        (&school.admin, "MemberService.UpdateOrganizationMember", with_role(&member, "STUDENT"), here.as_slice()),
        (&school.admin, "MemberService.RemoveOrganizationMember", member.clone(), &here),
        (&school.teacher, "MemberService.RemoveOrganizationMember", member.clone(), &here),
        (&school.admin, "MemberService.UpdateClassMember", with_role(&in_class, "CO_TEACHER"), &here[..1]),
        (&school.teacher, "MemberService.RemoveClassMember", in_class.clone(), &here[..1]),
        (&school.platform, "invitations.v1.UserService.EraseUser", json!({"name": "users/teacher"}), &everywhere),
    ] {
        let refused = caller.call(method, &body).await.unwrap_err();
        assert_eq!(reason(&refused), "LAST_OWNER", "{method}");
        let violations = details(&refused).precondition_failure().unwrap().violations.clone();
        let named: BTreeSet<&str> = violations.iter().map(|violation| violation.subject.as_str()).collect();
        assert_eq!(named, classes.iter().copied().collect(), "{method}");
    }
}
}

on_both_engines! {
async fn u18_the_prefix_of_a_deleted_organization_stays_taken_and_the_refusal_says_so(homeroom) {
    let school = homeroom.school().await;
    school.admin.done("OrganizationService.DeleteOrganization", json!({"name": school.organization, "force": true})).await;
    for prefix in ["HAMILTON", "hamilton", "HAM", "HAMILTON2"] {
        let create = json!({"organization": {"display_name": "Another", "code_prefix": prefix}});
        let taken = school.platform.call("OrganizationService.CreateOrganization", &create).await.unwrap_err();
        assert_eq!(reason(&taken), "CODE_TAKEN", "{prefix}");
        assert_eq!(violated_fields(&taken), ["organization.code_prefix"]);
        assert!(taken.message().contains("perhaps a deleted one"), "{}", taken.message());
    }
}
}

on_both_engines! {
async fn r13_nobody_is_erased_by_a_name_that_is_no_single_persons(homeroom) {
    homeroom.school().await;
    let before = homeroom.settled_row_counts().await;
    let erase = async |user: &str| homeroom.platform().call("invitations.v1.UserService.EraseUser", &json!({"name": format!("users/{user}")})).await;
    for user in ["me", "-", "system", "erased-01900000-0000-7000-8000-00000000000a", "", "a b"] {
        let refused = erase(user).await.unwrap_err();
        assert_eq!(reason(&refused), "INVALID_REQUEST", "{user:?}");
        assert_eq!(violated_fields(&refused), ["name"], "{user:?}");
    }
    // This is a valid person id like any other, and nobody here has it.
    erase("organizations").await.unwrap();
    let after = homeroom.settled_row_counts().await;
    assert_eq!(after["membership.organization_members"], before["membership.organization_members"]);
}
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
    let token_fields = "maxUses,assignedEmail,externalId,displayName,expireTime";
    // A resource: its service and its methods' name for it, its own name, its field, and what can be changed.
    let rows = [
        ("OrganizationService", "Organization", organization.clone(), "organization", "displayName,codePrefix,seatLimit,labels"),
        ("ClassService", "Class", class.clone(), "class", "displayName,labels"),
        ("MemberService", "OrganizationMember", format!("{organization}/members/co-teacher"), "member", "role,displayName,email,externalId"),
        ("MemberService", "ClassMember", format!("{class}/members/co-teacher"), "member", "role"),
        ("TokenService", "InviteToken", format!("{organization}/inviteToken"), "inviteToken", "expireTime"),
        ("TokenService", "Token", token.name, "token", token_fields),
        ("TokenService", "Token", plain.name.clone(), "token", token_fields),
        ("EnrollmentCodeService", "EnrollmentCode", code.name, "enrollmentCode", "code,validFromTime,validTillTime,emailDomains,enabled,maxUses,allowRejoin,displayName"),
        ("ClassCodeService", "ClassCode", format!("{class}/classCode"), "classCode", "lockPeriod"),
        ("JoinUrlService", "JoinUrl", format!("{class}/joinUrl"), "joinUrl", "enabled"),
    ];
    let events = async || {
        let counts = homeroom.databases().row_counts().await;
        counts["membership.events"] + counts["invitations.events"]
    };
    let admin = &school.admin;
    for (service, what, name, field, mask) in rows {
        let read = async || admin.done(&format!("{service}.Get{what}"), json!({"name": name})).await;
        let before = read().await;
        let told = events().await;
        // when it is sent back as it is, in whole or in part, then nothing has changed.
        for mask in [None, Some(mask), Some("*")].into_iter().chain(mask.split(',').map(Some)) {
            let updated = admin.done(&format!("{service}.Update{what}"), json!({field: before, "updateMask": mask})).await;
            assert_eq!(updated["etag"], before["etag"], "{what} {mask:?}");
        }
        assert_eq!(read().await, before, "{what}");
        assert_eq!(events().await, told, "{what}");
    }
    // Repeating a change that is already in effect changes nothing.
    for (method, body) in [
        ("ClassCodeService.LockClassCode", json!({"name": format!("{class}/classCode")})),
        ("ClassService.ArchiveClass", json!({"name": class})),
        ("ClassService.UnarchiveClass", json!({"name": class})),
        ("ClassService.TransferClassOwnership", json!({"name": class, "owner": "admin"})),
        ("TokenService.RevokeToken", json!({"name": plain.name})),
    ] {
        let first = admin.done(method, body.clone()).await;
        let told = events().await;
        let again = admin.done(method, body).await;
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
        (Claims::of("teacher"), "ClassService.CreateClass", json!({"parent": school.organization, "class": {"displayName": "Art"}}), json!({"parent": school.organization, "class": {"displayName": "Music"}})),
        (Claims::of("teacher"), "TokenService.CreateToken", json!({"parent": school.class, "token": {}}), json!({"parent": school.class, "token": {"words": 3}})),
        (Claims::of("ann"), "RedemptionService.Redeem", json!({"credential": code}), json!({"credential": code, "signUp": true})),
        (lms, "RedemptionService.BatchRedeem", json!({"requests": [{"credential": code, "user": {"user": "bob"}}]}), json!({"requests": [{"credential": code, "user": {"user": "cid"}}]})),
        (platform, "invitations.v1.UserService.EraseUser", json!({"name": "users/zoe"}), json!({"name": "users/zac"})),
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
