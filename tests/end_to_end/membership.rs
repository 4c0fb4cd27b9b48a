//! Staff and the platform change organizations, classes and members (A10, B4, B14, P5, P8, R7, R8, U4).

use homeroom_tests::{Claims, Homeroom, School, on_both_engines};
use serde_json::{Value, json};

use crate::membership;

const PLATFORM: Claims<'static> = Claims {
    scopes: &["homeroom.platform"],
    ..Claims::of("platform")
};

/// Returns the word for a place in the names of methods about its members.
fn kind(place: &str) -> &'static str {
    if place.contains("/classes/") {
        "Class"
    } else {
        "Organization"
    }
}

async fn add(
    homeroom: &Homeroom,
    by: &str,
    parent: &str,
    user: &str,
    role: &str,
) -> Result<Value, String> {
    let method = format!("MemberService.Add{}Member", kind(parent));
    let body = json!({"parent": parent, "member": {"user": user, "role": role, "email": format!("{user}@School.example")}});
    membership(homeroom, Claims::of(by), &method, body).await
}

async fn role(homeroom: &Homeroom, place: &str, user: &str) -> Result<Value, String> {
    let method = format!("MemberService.Get{}Member", kind(place));
    let body = json!({"name": format!("{place}/members/{user}")});
    let member = membership(homeroom, Claims::of("admin"), &method, body).await?;
    Ok(member["role"].clone())
}

/// Returns the types of the events of a place, oldest first.
async fn event_types(homeroom: &Homeroom, place: &str) -> Vec<Value> {
    let body = json!({"parent": place, "page_size": 1000});
    let listed = membership(homeroom, PLATFORM, "EventService.ListEvents", body)
        .await
        .unwrap();
    let events = listed["events"].as_array().unwrap();
    events.iter().map(|event| event["type"].clone()).collect()
}

/// Returns the ids that end the names in a list.
fn ids(listed: &Value) -> Vec<String> {
    let listed = listed.as_array().cloned().unwrap_or_default();
    let names = listed.iter().map(|one| one["name"].as_str().unwrap());
    names
        .map(|name| name.rsplit('/').next().unwrap().to_owned())
        .collect()
}

async fn waiting(school: &School) -> i64 {
    school.seats().await.requests_waiting
}

on_both_engines! {
async fn an_id_is_given_once_and_an_organization_is_deleted_when_it_is_empty_or_by_force(homeroom) {
    let create = async |id: &str| {
        let body = json!({"organization_id": id, "organization": {"display_name": "Hamilton"}, "admin": "admin"});
        membership(homeroom, PLATFORM, "OrganizationService.CreateOrganization", body).await
    };
    let delete = async |id: &str, force: bool| {
        let body = json!({"name": format!("organizations/{id}"), "force": force});
        membership(homeroom, Claims::of("admin"), "OrganizationService.DeleteOrganization", body).await
    };
    assert_eq!(create("empty").await.unwrap()["name"], "organizations/empty");
    delete("empty", false).await.unwrap();
    assert_eq!(create("empty").await.unwrap_err(), "ORGANIZATION_EXISTS");
    let made = create("").await.unwrap()["name"].to_string();
    assert!(made.len() > "organizations/".len() + 30, "{made}");

    let school = homeroom.school().await;
    let token = school.invite_token().await.token;
    homeroom.outcome("student-1", &token).await;
    homeroom.queued("student-2", &school.join_url().await.url).await;
    assert_eq!(create("hamilton").await.unwrap_err(), "ORGANIZATION_EXISTS");
    assert_eq!(delete("hamilton", false).await.unwrap_err(), "ORGANIZATION_NOT_EMPTY");
    delete("hamilton", true).await.unwrap();
    assert_eq!(delete("hamilton", true).await.unwrap_err(), "ORGANIZATION_NOT_FOUND");
    let types = event_types(homeroom, "organizations/-").await;
    assert_eq!(types[types.len() - 2..], ["join_request.closed", "organization.deleted"]);
}
}

on_both_engines! {
async fn u4_b4_prefixes_that_read_alike_or_begin_one_another_are_one_too_many(homeroom) {
    homeroom.school().await;
    homeroom.school_named("l0ndon", 0).await;
    let choose = async |id: &str, code_prefix: &str| {
        let body = json!({"organization_id": id, "organization": {"display_name": id, "code_prefix": code_prefix}});
        membership(homeroom, PLATFORM, "OrganizationService.CreateOrganization", body).await.map(|made| made["codePrefix"].clone())
    };
    for alike in ["HAM", "hamilton", "HAMILTON2", "HAM1LTON", "hamilt0n", "HAMLLTON", "HAM1", "HAMI", "Hamilt0n2", "LONDON", "IOND0N", "1O"] {
        assert_eq!(choose("another", alike).await.unwrap_err(), "CODE_TAKEN", "{alike}");
    }
    // A prefix that is derived from an id gives way to an existing one.
    for (id, chosen, made) in [("hamburg", "HAMBURG", "HAMBURG"), ("lindon", "LINDON", "LINDON"), ("ham1lton", "", "2HAM1LTON"), ("london", "", "2LONDON")] {
        assert_eq!(choose(id, chosen).await.unwrap(), made, "{id}");
    }
}
}

on_both_engines! {
async fn teachers_own_what_they_create_and_administrators_may_name_an_owner(homeroom) {
    let school = homeroom.school().await;
    add(homeroom, "admin", &school.organization, "student-1", "STUDENT").await.unwrap();
    for (by, id, owner, expected) in [
        ("teacher", "biology", "", Err("CLASS_EXISTS")),
        ("teacher", "chemistry", "admin", Err("ROLE_REQUIRED")),
        ("admin", "chemistry", "stranger", Err("MEMBER_NOT_FOUND")),
        ("admin", "chemistry", "student-1", Err("MEMBER_NOT_FOUND")),
        ("admin", "chemistry", "teacher", Ok("teacher")),
        ("admin", "art", "", Ok("admin")),
    ] {
        let body = json!({"parent": school.organization, "class_id": id, "class": {"display_name": "Class", "owner": owner}});
        let created = membership(homeroom, Claims::of(by), "ClassService.CreateClass", body).await;
        let owner = created.map(|class| class["owner"].as_str().unwrap().to_owned());
        assert_eq!(owner, expected.map(str::to_owned).map_err(str::to_owned), "{id} by {by}");
    }
    assert_eq!(role(homeroom, &school.class, "teacher").await.unwrap(), "OWNER");
    // Lists show a caller's own classes, and filter them.
    let archive = json!({"name": school.class});
    membership(homeroom, Claims::of("teacher"), "ClassService.ArchiveClass", archive).await.unwrap();
    for (by, filter, expected) in [
        ("admin", "", ["art", "biology", "chemistry"].as_slice()),
        ("admin", "state = ARCHIVED", &["biology"]),
        ("admin", "owner = \"teacher\" AND state = ACTIVE", &["chemistry"]),
        ("teacher", "", &["biology", "chemistry"]),
        ("co-teacher", "", &["biology"]),
        ("co-teacher", "state = ACTIVE", &[]),
    ] {
        let mut found = Vec::new();
        let mut page_token = json!("");
        loop {
            let body = json!({"parent": school.organization, "filter": filter, "page_size": 2, "page_token": page_token});
            let page = membership(homeroom, Claims::of(by), "ClassService.ListClasses", body).await.unwrap();
            found.extend(ids(&page["classes"]));
            page_token = page["nextPageToken"].clone();
            if page_token.is_null() {
                break;
            }
        }
        assert_eq!(found, expected, "{by}: {filter}");
    }
    let body = json!({"parent": school.organization, "filter": "state != ACTIVE"});
    assert_eq!(membership(homeroom, Claims::of("admin"), "ClassService.ListClasses", body).await.unwrap_err(), "INVALID_FILTER");
}
}

on_both_engines! {
async fn an_archived_class_closes_its_queue_and_takes_nobody(homeroom) {
    let school = homeroom.school().await;
    homeroom.queued("student-1", &school.join_url().await.url).await;
    let set = async |method: &str| membership(homeroom, Claims::of("teacher"), method, json!({"name": school.class})).await.unwrap()["class"].clone();
    let archived = set("ClassService.ArchiveClass").await;
    assert_eq!((archived["state"].as_str(), waiting(&school).await), (Some("ARCHIVED"), 0));
    assert_eq!(add(homeroom, "teacher", &school.class, "student-2", "STUDENT").await.unwrap_err(), "CLASS_ARCHIVED");
    let token = json!({"parent": school.class, "token": {}});
    assert_eq!(school.teacher.refused("TokenService.CreateToken", token).await, "CLASS_ARCHIVED");
    let types = event_types(homeroom, &school.class).await;
    assert_eq!(types[types.len() - 3..], ["join_request.created", "join_request.closed", "class.archived"]);
    assert_eq!(set("ClassService.UnarchiveClass").await["state"], "ACTIVE");
    add(homeroom, "teacher", &school.class, "student-2", "STUDENT").await.unwrap();
}
}

on_both_engines! {
async fn p8_ownership_is_transferred_and_the_owner_before_stays_as_co_teacher(homeroom) {
    let school = homeroom.school().await;
    add(homeroom, "admin", &school.class, "student-1", "STUDENT").await.unwrap();
    add(homeroom, "admin", &school.organization, "colleague", "TEACHER").await.unwrap();
    let transfer = async |by: &str, owner: &str| {
        let body = json!({"name": school.class, "owner": owner});
        membership(homeroom, Claims::of(by), "ClassService.TransferClassOwnership", body).await.map(|answer| answer["class"]["owner"].clone())
    };
    for nobody in ["student-1", "stranger"] {
        assert_eq!(transfer("teacher", nobody).await.unwrap_err(), "MEMBER_NOT_FOUND", "{nobody}");
    }
    // The new owner waits no more.
    homeroom.queued("colleague", &school.join_url().await.url).await;
    assert_eq!(transfer("teacher", "colleague").await.unwrap(), "colleague");
    assert_eq!(waiting(&school).await, 0);
    let roles = async || [role(homeroom, &school.class, "colleague").await.unwrap(), role(homeroom, &school.class, "teacher").await.unwrap()];
    assert_eq!(roles().await, ["OWNER", "CO_TEACHER"]);
    assert_eq!(transfer("teacher", "teacher").await.unwrap_err(), "ROLE_REQUIRED");
    assert_eq!(transfer("admin", "teacher").await.unwrap(), "teacher");
    assert_eq!(roles().await, ["CO_TEACHER", "OWNER"]);
}
}

on_both_engines! {
async fn a_deleted_class_ends_its_memberships_and_never_comes_back(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await;
    homeroom.outcome("student-1", &code.code).await;
    homeroom.queued("student-2", &school.join_url().await.url).await;
    membership(homeroom, Claims::of("teacher"), "ClassService.DeleteClass", json!({"name": school.class})).await.unwrap();
    assert_eq!(role(homeroom, &school.class, "student-1").await.unwrap_err(), "CLASS_NOT_FOUND");
    let seats = school.seats().await;
    assert_eq!((seats.seats_used, seats.requests_waiting), (1, 0));
    let again = json!({"parent": school.organization, "class_id": "biology", "class": {"display_name": "Biology"}});
    assert_eq!(membership(homeroom, Claims::of("admin"), "ClassService.CreateClass", again).await.unwrap_err(), "CLASS_EXISTS");
    let admitted = homeroom.admit_at_epoch(&school, &code.name, "student-1", 1).await;
    assert_eq!(admitted.refuse_reason().as_str_name(), "CLASS_NOT_FOUND");
}
}

on_both_engines! {
async fn r7_b14_staff_fill_the_seats_and_a_role_change_takes_or_frees_one(homeroom) {
    let school = homeroom.school_named("hamilton", 2).await;
    let seats = async || school.seats().await.seats_used;
    let set_role = async |user: &str, role: &str| {
        let body = json!({"member": {"name": format!("{}/members/{user}", school.organization), "role": role}});
        membership(homeroom, Claims::of("admin"), "MemberService.UpdateOrganizationMember", body).await
    };
    let added = add(homeroom, "admin", &school.organization, "sam", "ROLE_UNSPECIFIED").await.unwrap();
    assert_eq!([&added["role"], &added["email"]], ["STUDENT", "sam@school.example"]);
    assert_eq!(add(homeroom, "admin", &school.organization, "sam", "TEACHER").await.unwrap_err(), "MEMBER_EXISTS");
    // A class adds a person to the organization in the same step.
    assert_eq!(add(homeroom, "teacher", &school.class, "sue", "CO_TEACHER").await.unwrap()["role"], "CO_TEACHER");
    for parent in [&school.organization, &school.class] {
        assert_eq!(add(homeroom, "admin", parent, "tim", "STUDENT").await.unwrap_err(), "NO_SEATS");
    }
    add(homeroom, "admin", &school.organization, "tom", "TEACHER").await.unwrap();
    add(homeroom, "admin", &school.class, "sam", "STUDENT").await.unwrap();
    assert_eq!(seats().await, 2);
    assert_eq!(set_role("tom", "STUDENT").await.unwrap_err(), "NO_SEATS");
    assert_eq!(set_role("tom", "OWNER").await.unwrap_err(), "INVALID_REQUEST");
    set_role("sam", "TEACHER").await.unwrap();
    assert_eq!(seats().await, 1);
    set_role("tom", "STUDENT").await.unwrap();
    assert_eq!(seats().await, 2);
}
}

on_both_engines! {
async fn p8_r8_who_is_added_by_staff_waits_no_more_and_is_not_removed_any_more(homeroom) {
    let school = homeroom.school().await;
    let code = school.class_code().await.code;
    let url = school.join_url().await.url;
    homeroom.queued("sam", &url).await;
    add(homeroom, "admin", &school.organization, "sam", "STUDENT").await.unwrap();
    assert_eq!(waiting(&school).await, 1);
    add(homeroom, "admin", &school.class, "sam", "STUDENT").await.unwrap();
    assert_eq!(waiting(&school).await, 0);
    // Staff remove a person from both, and add them again; then the person leaves, and comes back at once.
    for place in [&school.class, &school.organization] {
        let method = format!("MemberService.Remove{}Member", kind(place));
        school.admin.done(&method, json!({"name": format!("{place}/members/sam")})).await;
    }
    add(homeroom, "admin", &school.class, "sam", "STUDENT").await.unwrap();
    homeroom.user("sam").leave(&school.organization, "sam").await;
    assert_eq!(homeroom.outcome("sam", &code).await.as_str_name(), "ADMITTED");
}
}

on_both_engines! {
async fn a_platform_gives_an_organization_that_lost_its_administrator_another(homeroom) {
    let school = homeroom.school().await;
    school.admin.leave(&school.organization, "admin").await;
    assert_eq!(add(homeroom, "teacher", &school.organization, "zoe", "ADMIN").await.unwrap_err(), "ROLE_REQUIRED");
    let body = json!({"parent": school.organization, "member": {"user": "zoe", "role": "ADMIN"}});
    membership(homeroom, PLATFORM, "MemberService.AddOrganizationMember", body).await.unwrap();
    add(homeroom, "zoe", &school.organization, "kim", "STUDENT").await.unwrap();
}
}

on_both_engines! {
async fn a10_rosters_and_memberships_are_filtered_and_read_within_the_token(homeroom) {
    let school = homeroom.school().await;
    for user in ["sam", "sue"] {
        add(homeroom, "admin", &school.class, user, "STUDENT").await.unwrap();
    }
    homeroom.queued("waits", &school.join_url().await.url).await;
    for (kind, parent, filter, expected) in [
        ("Class", &school.class, "", Ok(["co-teacher", "sam", "sue", "teacher"].as_slice())),
        ("Class", &school.class, "role = STUDENT", Ok(&["sam", "sue"])),
        ("Class", &school.class, "email = \"SUE@school.example\"", Ok(&["sue"])),
        ("Class", &school.class, "role = ADMIN", Err("INVALID_FILTER")),
        ("Organization", &school.organization, "role = TEACHER", Ok(&["co-teacher", "teacher"])),
        ("Organization", &school.organization, "external_id = nobody", Ok(&[])),
    ] {
        let body = json!({"parent": parent, "filter": filter});
        let listed = membership(homeroom, Claims::of("admin"), &format!("MemberService.List{kind}Members"), body).await;
        let users = listed.map(|listed| ids(&listed["members"]));
        assert_eq!(users.as_deref().map_err(String::as_str), expected.map(|users| users.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref().map_err(|reason| *reason), "{filter}");
    }
    for (bound, expected) in [(None, 2), (Some(["hamilton"].as_slice()), 2), (Some(&["elsewhere"]), 0)] {
        let sam = Claims { organizations: bound, ..Claims::of("sam") };
        let listed = membership(homeroom, sam, "MemberService.ListMemberships", json!({"parent": "users/me"})).await.unwrap();
        assert_eq!(ids(&listed["memberships"]).len(), expected, "{bound:?}");
    }
}
}
