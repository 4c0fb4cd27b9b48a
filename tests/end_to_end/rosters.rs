//! Imports of the rosters of other systems (S1 to S7).

use homeroom_tests::{School, clients::Clients, on_both_engines, reason};
use serde_json::{Value, json};

use crate::assert_audited_soon;

const PLAN: &str = "RosterService.PlanImport";
const COMMIT: &str = "RosterService.CommitImport";

/// Returns a row for the organization itself (an empty class) or one of its classes.
fn row(class: &str, user: &str, role: &str) -> Value {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!("organizations/hamilton/classes/{class}")
    };
    json!({"class": class, "user": user, "role": role})
}

fn removal(class: &str, user: &str) -> Value {
    let mut row = row(class, user, "ROLE_UNSPECIFIED");
    row["remove"] = true.into();
    row
}

fn request(rows: &[Value], percent_max: i64) -> Value {
    json!({"parent": "organizations/hamilton", "rows": rows, "removals_percent_max": percent_max})
}

/// Returns what an answer says of each row: the change, or the reason of the failure.
fn told(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap();
    let told = results.iter().enumerate().map(|(index, result)| {
        assert_eq!(result["index"].as_u64().unwrap_or(0), index as u64);
        let details = result["status"]["details"].as_array();
        let reason =
            details.and_then(|details| details.iter().find_map(|detail| detail["reason"].as_str()));
        let change = result["change"].as_str();
        assert!(change.is_some() != reason.is_some(), "{result}");
        change.or(reason).unwrap().to_owned()
    });
    told.collect()
}

async fn planned(by: &Clients, rows: &[Value], percent_max: i64) -> Value {
    by.done(PLAN, request(rows, percent_max)).await
}

/// Returns the request that carries out a plan.
fn to_commit(rows: &[Value], percent_max: i64, plan: &Value) -> Value {
    let mut commit = request(rows, percent_max);
    commit["revision"] = plan["revision"].clone();
    commit
}

/// Plans and commits, which say the same.
async fn imported(by: &Clients, rows: &[Value], percent_max: i64) -> Vec<String> {
    let plan = planned(by, rows, percent_max).await;
    let committed = by.done(COMMIT, to_commit(rows, percent_max, &plan)).await;
    assert_eq!(told(&committed), told(&plan));
    told(&committed)
}

async fn member(school: &School, place: &str, user: &str) -> Option<Value> {
    let method = if place.contains("/classes/") {
        "MemberService.GetClassMember"
    } else {
        "MemberService.GetOrganizationMember"
    };
    let name = json!({"name": format!("{place}/members/{user}")});
    school.admin.call(method, &name).await.ok()
}

async fn role(school: &School, place: &str, user: &str) -> String {
    let member = member(school, place, user).await;
    member.map_or_else(String::new, |member| {
        member["role"].as_str().unwrap().to_owned()
    })
}

async fn event_types(school: &School) -> Vec<String> {
    let list = json!({"parent": school.organization, "page_size": 1_000});
    let listed = school
        .admin
        .done("membership.v1.EventService.ListEvents", list)
        .await;
    let events = listed["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

on_both_engines! {
async fn s1_a_plan_says_what_becomes_of_each_row_and_changes_nothing(homeroom) {
    let school = homeroom.school_named("hamilton", 3).await;
    school.another_class("art").await;
    school.another_class("latin").await;
    school.admin.done("ClassService.ArchiveClass", json!({"name": "organizations/hamilton/classes/latin"})).await;
    let code = school.class_code().await.code;
    homeroom.outcome("ann", &code).await;
    let mut renamed = row("biology", "ann", "STUDENT");
    renamed["display_name"] = "Ann Lee".into();
    let rows = [
        (row("biology", "ben", "STUDENT"), "ADDED"),
        (row("biology", "ann", "ROLE_UNSPECIFIED"), "UNCHANGED"),
        (renamed, "DUPLICATE"),
        (row("art", "ann", "STUDENT"), "ADDED"),
        (row("biology", "co-teacher", "STUDENT"), "UPDATED"),
        (row("biology", "teacher", "CO_TEACHER"), "UNCHANGED"),
        (row("art", "teacher", "STUDENT"), "LAST_OWNER"),
        (row("", "teacher", "STUDENT"), "LAST_OWNER"),
        (row("", "teacher", "TEACHER"), "DUPLICATE"),
        (row("biology", "kim", "CO_TEACHER"), "ADDED"),
        (row("", "cal", "STUDENT"), "ADDED"),
        // The licence has no seat for a fourth Student.
        (row("biology", "dan", "STUDENT"), "NO_SEATS"),
        (row("", "principal", "ADMIN"), "ADDED"),
        (row("physics", "ann", "STUDENT"), "CLASS_NOT_FOUND"),
        (row("latin", "ann", "STUDENT"), "CLASS_ARCHIVED"),
        (row("latin", "teacher", "CO_TEACHER"), "UNCHANGED"),
        (row("art", "co-teacher", "OWNER"), "INVALID_REQUEST"),
        (removal("art", "nobody"), "UNCHANGED"),
        (removal("physics", "nobody"), "CLASS_NOT_FOUND"),
    ];
    let expected: Vec<&str> = rows.iter().map(|(_, expected)| *expected).collect();
    let rows: Vec<Value> = rows.iter().map(|(row, _)| row.clone()).collect();
    let before = homeroom.settled_row_counts().await;
    let plan = planned(&school.admin, &rows, 0).await;
    assert_eq!(told(&plan), expected);
    assert_eq!(plan["seatsTaken"], "2");
    assert_eq!(homeroom.settled_row_counts().await, before, "a plan writes nothing");
    // Seats of the batches before this one count.
    let mut later = request(&rows, 0);
    later["seats_planned"] = 2.into();
    let later = school.platform.done(PLAN, later).await;
    assert_eq!((told(&later)[0].as_str(), &later["seatsTaken"]), ("NO_SEATS", &Value::Null));

    let committed = school.admin.done(COMMIT, to_commit(&rows, 0, &plan)).await;
    assert_eq!(told(&committed), expected);
    let (organization, class) = (&school.organization, &school.class);
    for (place, user, expected) in [
        (class, "ben", "STUDENT"), (organization, "ben", "STUDENT"), (class, "co-teacher", "STUDENT"),
        (organization, "co-teacher", "TEACHER"), (class, "kim", "CO_TEACHER"), (organization, "kim", "TEACHER"),
        (organization, "principal", "ADMIN"), (organization, "dan", ""), (class, "teacher", "OWNER"),
    ] {
        assert_eq!(role(&school, place, user).await, expected, "{user} in {place}");
    }
    assert_eq!(school.seats().await.seats_used, 3);
    let ben = member(&school, class, "ben").await.unwrap();
    assert_eq!([&ben["provenance"]["method"], &ben["provenance"]["approvedBy"]], ["ADDED", "admin"]);
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn s2_a_plan_that_has_been_overtaken_is_not_carried_out(homeroom) {
    let school = homeroom.school_named("hamilton", 3).await;
    let code = school.class_code().await.code;
    homeroom.outcome("ann", &code).await;
    let mut renamed = row("biology", "ann", "STUDENT");
    renamed["external_id"] = "s-1".into();
    let rows = [renamed, row("biology", "ben", "STUDENT"), removal("biology", "co-teacher")];
    let plan = planned(&school.admin, &rows, 50).await;
    assert_eq!(told(&plan), ["UPDATED", "ADDED", "REMOVED"]);
    let commit = async |rows: &[Value]| school.admin.call(COMMIT, &to_commit(rows, 50, &plan)).await.map_err(|status| reason(&status));
    let stale = || Err("STALE_PLAN".to_owned());
    // Other rows are not those of the plan.
    assert_eq!(commit(&rows[..2]).await, stale());
    // A row would replace another value, add nobody, remove nobody, or find no seat.
    let set = async |external_id: &str| {
        let member = json!({"name": format!("{}/members/ann", school.organization), "external_id": external_id});
        school.admin.done("MemberService.UpdateOrganizationMember", json!({"member": member, "update_mask": "externalId"})).await
    };
    set("s-0").await;
    assert_eq!(commit(&rows).await, stale());
    set("").await;
    homeroom.outcome("ben", &code).await;
    assert_eq!(commit(&rows).await, stale());
    school.admin.leave(&school.organization, "ben").await;
    let seats = async |limit: i64| {
        let organization = json!({"name": school.organization, "seat_limit": limit});
        school.platform.done("OrganizationService.UpdateOrganization", json!({"organization": organization, "update_mask": "seatLimit"})).await
    };
    seats(1).await;
    assert_eq!(commit(&rows).await, stale());
    seats(2).await;
    // Whatever else changes does not matter: other people, and other values of the same ones.
    school.admin.done("MemberService.AddOrganizationMember", json!({"parent": school.organization, "member": {"user": "zoe", "role": "TEACHER"}})).await;
    school.admin.done("MemberService.UpdateOrganizationMember", json!({"member": {"name": format!("{}/members/ann", school.organization), "display_name": "Ann"}})).await;
    assert_eq!(told(&commit(&rows).await.unwrap()), ["UPDATED", "ADDED", "REMOVED"]);
    assert_eq!(member(&school, &school.class, "ann").await.unwrap()["externalId"], "s-1");
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn s3_an_import_may_be_repeated_and_resumed(homeroom) {
    let school = homeroom.school().await;
    let mut kim = row("biology", "kim", "CO_TEACHER");
    kim["email"] = "Kim@School.example".into();
    let rows = [kim, row("biology", "ann", "STUDENT"), row("", "ben", "STUDENT"), removal("biology", "co-teacher")];
    let plan = planned(&school.admin, &rows, 50).await;
    let mut commit = to_commit(&rows, 50, &plan);
    commit["request_id"] = homeroom.new_id().to_string().into();
    let first = school.admin.done(COMMIT, commit.clone()).await;
    assert_eq!(told(&first), ["ADDED", "ADDED", "ADDED", "REMOVED"]);
    let (events, counts) = (event_types(&school).await, homeroom.settled_row_counts().await);
    // A retry gets the same answer, and another request of the same id none.
    assert_eq!(school.admin.done(COMMIT, commit.clone()).await, first);
    commit["removals_percent_max"] = 51.into();
    assert_eq!(school.admin.refused(COMMIT, commit).await, "REQUEST_ID_CONFLICT");
    // Without the id, the plan has been overtaken by itself; planned anew it changes nothing.
    assert_eq!(school.admin.refused(COMMIT, to_commit(&rows, 50, &plan)).await, "STALE_PLAN");
    assert_eq!(imported(&school.admin, &rows, 0).await, ["UNCHANGED"; 4]);
    assert_eq!((event_types(&school).await, homeroom.settled_row_counts().await), (events, counts));
}
}

on_both_engines! {
async fn s3_s4_a_row_without_a_role_changes_no_role(homeroom) {
    let school = homeroom.school().await;
    let unset = |class: &str, user: &str| row(class, user, "ROLE_UNSPECIFIED");
    // Staff keep the roles that they have.
    let staff = [("", "admin"), ("", "teacher"), ("", "co-teacher"), ("biology", "teacher"), ("biology", "co-teacher")];
    let before = event_types(&school).await;
    assert_eq!(imported(&school.admin, &staff.map(|(class, user)| unset(class, user)), 0).await, ["UNCHANGED"; 5]);
    assert_eq!(event_types(&school).await, before);
    let mut named = unset("", "admin");
    named["display_name"] = "Ada Lovelace".into();
    assert_eq!(imported(&school.admin, &[named], 0).await, ["UPDATED"]);
    // Whoever is new to the organization or to a class is a Student of it.
    let newcomers = [unset("", "ann"), unset("biology", "ben"), unset("biology", "admin")];
    assert_eq!(imported(&school.admin, &newcomers, 0).await, ["ADDED"; 3]);
    let (organization, class) = (&school.organization, &school.class);
    for (place, user, expected) in [
        (organization, "admin", "ADMIN"), (organization, "teacher", "TEACHER"), (class, "teacher", "OWNER"), (class, "co-teacher", "CO_TEACHER"),
        (organization, "ann", "STUDENT"), (organization, "ben", "STUDENT"), (class, "ben", "STUDENT"), (class, "admin", "STUDENT"),
    ] {
        assert_eq!(role(&school, place, user).await, expected, "{user} in {place}");
    }
    assert_eq!(school.seats().await.seats_used, 2);
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn s4_b13_p8_r8_rows_add_people_as_staff_do(homeroom) {
    let school = homeroom.school_named("hamilton", 2).await;
    let (code, url) = (school.class_code().await.code, school.join_url().await.url);
    homeroom.outcome("ann", &code).await;
    homeroom.queued("ben", &url).await;
    homeroom.outcome("cal", &code).await;
    school.admin.leave(&school.organization, "cal").await;
    // A Student who teaches a class becomes a Teacher, whose seat is free for the next row.
    let mut ben = row("biology", "ben", "STUDENT");
    ben["display_name"] = "Ben Lee".into();
    let rows = [row("", "eve", "STUDENT"), row("biology", "cal", "STUDENT"), row("biology", "ann", "CO_TEACHER"), ben];
    assert_eq!(imported(&school.admin, &rows, 0).await, ["ADDED", "NO_SEATS", "UPDATED", "ADDED"]);
    assert_eq!(school.waiting().await.len(), 0);
    assert_eq!([role(&school, &school.organization, "ann").await, role(&school, &school.class, "ann").await], ["TEACHER", "CO_TEACHER"]);
    let types = event_types(&school).await;
    assert_eq!(types[types.len() - 6..], ["member.joined", "member.updated", "member.updated", "member.joined", "join_request.closed", "member.joined"]);
    // What a row sets counts as set by staff.
    let told = json!({"user": {"user": "ben", "display_name": "B."}, "credential": code});
    school.admin.done("MemberService.RemoveClassMember", json!({"name": format!("{}/members/ben", school.class)})).await;
    assert_eq!(imported(&school.admin, &[row("biology", "ben", "STUDENT")], 0).await, ["ADDED"]);
    homeroom.user("ben").done("RedemptionService.Redeem", told).await;
    assert_eq!(member(&school, &school.class, "ben").await.unwrap()["displayName"], "Ben Lee");
    // A Teacher who becomes a Student again is no longer co-teacher (U10), and needs a seat.
    assert_eq!(imported(&school.admin, &[row("", "ann", "STUDENT")], 0).await, ["NO_SEATS"]);
    assert_eq!(imported(&school.admin, &[removal("", "eve"), row("", "ann", "STUDENT")], 100).await, ["REMOVED", "UPDATED"]);
    assert_eq!(role(&school, &school.class, "ann").await, "STUDENT");
    // A person whom staff removed and a row adds may come back at once after leaving.
    assert_eq!(imported(&school.admin, &[removal("", "ann"), row("biology", "cal", "STUDENT")], 100).await, ["REMOVED", "ADDED"]);
    homeroom.user("cal").leave(&school.organization, "cal").await;
    assert_eq!(homeroom.outcome("cal", &code).await.as_str_name(), "ADMITTED");
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn s5_r7_r8_an_import_removes_no_larger_share_than_it_may(homeroom) {
    let school = homeroom.school().await;
    let art = school.another_class("art").await;
    let code = school.class_code().await.code;
    let students: Vec<String> = (0..8).map(|number| format!("student-{number}")).collect();
    let rows: Vec<Value> = students.iter().flat_map(|user| [row("biology", user, "STUDENT"), row("art", user, "STUDENT")]).collect();
    assert_eq!(imported(&school.admin, &rows, 0).await, ["ADDED"; 16]);
    homeroom.advance(chrono::TimeDelta::seconds(1));
    // Biology has ten members: the owner, a co-teacher and eight students.
    let gone: Vec<Value> = ["student-0", "student-1", "student-1", "nobody"].map(|user| removal("biology", user)).into();
    let before = homeroom.settled_row_counts().await;
    for percent_max in [0, 19] {
        let refused = school.admin.call(PLAN, &request(&gone, percent_max)).await.unwrap_err();
        assert_eq!(reason(&refused), "TOO_MANY_REMOVALS");
        let details = homeroom_tests::details(&refused);
        let failed = &details.precondition_failure().unwrap().violations[0];
        assert_eq!((failed.subject.as_str(), failed.description.as_str()), (school.class.as_str(), "would lose 2 of 10 members"));
    }
    let plan = planned(&school.admin, &gone, 20).await;
    assert_eq!(told(&plan), ["REMOVED", "REMOVED", "DUPLICATE", "UNCHANGED"]);
    assert_eq!(school.admin.refused(COMMIT, to_commit(&gone, 19, &plan)).await, "TOO_MANY_REMOVALS");
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
    school.admin.done(COMMIT, to_commit(&gone, 20, &plan)).await;
    // They stay in the organization and in other classes, and are let in again by approval only.
    assert_eq!(role(&school, &school.class, "student-0").await, "");
    assert_eq!((role(&school, &art, "student-0").await.as_str(), school.seats().await.seats_used), ("STUDENT", 8));
    homeroom.queued("student-0", &code).await;

    // Who leaves the organization leaves its classes and its queue, and frees a seat.
    let leaving = [removal("", "student-0"), removal("", "co-teacher"), removal("biology", "teacher"), removal("", "teacher"), removal("biology", "co-teacher")];
    assert_eq!(school.admin.call(PLAN, &request(&leaving, 10)).await.map_err(|status| reason(&status)).unwrap_err(), "TOO_MANY_REMOVALS");
    let plan = planned(&school.admin, &leaving, 20).await;
    assert_eq!(told(&plan), ["REMOVED", "REMOVED", "LAST_OWNER", "LAST_OWNER", "UNCHANGED"]);
    assert_eq!(plan["seatsTaken"], "-1");
    school.admin.done(COMMIT, to_commit(&leaving, 20, &plan)).await;
    let (waiting, seats) = (school.seats().await.requests_waiting, school.seats().await.seats_used);
    assert_eq!((waiting, seats), (0, 7));
    for (place, user) in [(&art, "student-0"), (&school.organization, "student-0"), (&school.class, "co-teacher"), (&school.organization, "co-teacher")] {
        assert_eq!(role(&school, place, user).await, "", "{user} in {place}");
    }
    let types = event_types(&school).await;
    assert_eq!(types[types.len() - 5..], ["member.removed", "join_request.closed", "member.removed", "member.removed", "member.removed"]);
    // One request may take a person out and into another class.
    assert_eq!(imported(&school.admin, &[removal("", "student-2"), row("art", "student-2", "STUDENT"), removal("biology", "student-2")], 50).await, ["REMOVED", "ADDED", "UNCHANGED"]);
    assert_eq!([role(&school, &art, "student-2").await, role(&school, &school.class, "student-2").await], ["STUDENT", ""]);
    assert_audited_soon(homeroom).await;
}
}

on_both_engines! {
async fn s6_a_row_that_cannot_take_effect_is_left_out_with_its_reason(homeroom) {
    let school = homeroom.school().await;
    homeroom.school_named("jefferson", 0).await;
    let with = |field: &str, value: &str| {
        let mut row = row("biology", "ann", "STUDENT");
        row[field] = value.into();
        row
    };
    let rows = [
        (with("user", "a b"), "INVALID_REQUEST", "user"),
        (with("user", "system"), "INVALID_REQUEST", "user"),
        (with("class", "organizations/jefferson/classes/biology"), "INVALID_REQUEST", "class"),
        (with("class", "nonsense"), "INVALID_REQUEST", "class"),
        (with("role", "ADMIN"), "INVALID_REQUEST", "role"),
        (row("", "ann", "CO_TEACHER"), "INVALID_REQUEST", "role"),
        (with("email", "ann"), "EMAIL_MALFORMED", "email"),
        (with("external_id", &"x".repeat(256)), "INVALID_REQUEST", "external_id"),
        (with("external_id", &"x".repeat(255)), "ADDED", ""),
    ];
    let sent: Vec<Value> = rows.iter().map(|(row, ..)| row.clone()).collect();
    let expected: Vec<&str> = rows.iter().map(|(_, expected, _)| *expected).collect();
    let plan = planned(&school.admin, &sent, 0).await;
    assert_eq!(told(&plan), expected);
    for ((_, _, field), result) in rows.iter().zip(plan["results"].as_array().unwrap()) {
        let details = result["status"]["details"].as_array().cloned().unwrap_or_default();
        let fields: Vec<&str> = details.iter().filter_map(|detail| detail["fieldViolations"][0]["field"].as_str()).collect();
        assert_eq!(fields, Vec::from_iter((!field.is_empty()).then_some(*field)), "{result}");
    }
    assert_eq!(imported(&school.platform, &sent, 0).await, expected);
    assert_eq!(role(&school, &school.class, "ann").await, "STUDENT");
    // 500 rows are one request.
    let many: Vec<Value> = (0..500).map(|number| row("biology", &format!("student-{number}"), "STUDENT")).collect();
    assert_eq!(imported(&school.admin, &many, 0).await, ["ADDED"; 500]);
    assert_eq!(school.roster().await.len(), 503);
}
}

on_both_engines! {
async fn s7_classes_are_found_by_the_ids_of_another_system(homeroom) {
    let school = homeroom.school().await;
    let found = async |by: &Clients, filter: &str| {
        let list = json!({"parent": school.organization, "filter": filter});
        let listed = by.done("ClassService.ListClasses", list).await;
        let classes = listed["classes"].as_array().cloned().unwrap_or_default();
        classes.iter().map(|class| class["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for id in ["art", "music"] {
        let class = json!({"display_name": id, "external_id": " sis-7 "});
        let made = school.admin.done("ClassService.CreateClass", json!({"parent": school.organization, "class_id": id, "class": class})).await;
        assert_eq!(made["externalId"], "sis-7");
    }
    let update = json!({"class": {"name": school.class, "external_id": "sis-8", "display_name": "Unread"}, "update_mask": "externalId"});
    let updated = school.teacher.done("ClassService.UpdateClass", update.clone()).await;
    assert_eq!([&updated["externalId"], &updated["displayName"]], ["sis-8", "Biology"]);
    assert_eq!(school.teacher.done("ClassService.UpdateClass", update).await["etag"], updated["etag"]);
    for (by, filter, expected) in [
        (&school.admin, "external_id = \"sis-7\"", ["art", "music"].as_slice()),
        (&school.admin, "external_id = \"sis-7\" AND owner = \"teacher\"", &[]),
        (&school.admin, "external_id = \"SIS-7\"", &[]),
        (&school.teacher, "external_id = \"sis-8\"", &["biology"]),
        (&school.teacher, "external_id = \"sis-7\"", &[]),
    ] {
        assert_eq!(found(by, filter).await, expected, "{filter}");
    }
}
}

on_both_engines! {
async fn s2_b14_people_join_while_imports_are_committed(homeroom) {
    let school = homeroom.school_named("hamilton", 40).await;
    let code = school.class_code().await.code;
    let joins = (0..30).map(async |number| {
        let request = homeroom_api::invitations::v1::RedeemRequest {
            credential: code.clone(), request_id: homeroom.new_id().to_string(), ..Default::default()
        };
        let _ = homeroom.user(&format!("student-{number}")).redeem_at_last(request).await;
    });
    let import = async {
        let rows: Vec<Value> = (20..50).map(|number| row("biology", &format!("student-{number}"), "STUDENT")).collect();
        for _ in 0..100 {
            let plan = planned(&school.admin, &rows, 0).await;
            match school.admin.call(COMMIT, &to_commit(&rows, 0, &plan)).await {
                Ok(_) => return,
                Err(status) => assert_eq!(reason(&status), "STALE_PLAN"),
            }
        }
        panic!("no plan was ever carried out");
    };
    futures::join!(futures::future::join_all(joins), import);
    // Every seat is taken, and none twice.
    assert_eq!(school.seats().await.seats_used, 40);
    assert_audited_soon(homeroom).await;
}
}
