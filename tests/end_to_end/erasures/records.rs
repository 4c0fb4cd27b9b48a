//! Everything that is kept about a person is listed (R13).

use std::collections::BTreeMap;

use homeroom_tests::{Claims, Homeroom, on_both_engines, reason};
use serde_json::{Value, json};

use crate::assert_audited_soon;

use super::{ADA, EMAIL, NAME, SCHOOL_ID, erase, live};

const LIST: &str = "invitations.v1.UserService.ListUserRecords";

/// Returns the records of a user, read in pages of this size.
async fn records(homeroom: &Homeroom, user: &str, page_size: i32) -> Vec<Value> {
    let (mut records, mut token) = (Vec::new(), Value::Null);
    loop {
        let list =
            json!({"parent": format!("users/{user}"), "page_size": page_size, "page_token": token});
        let page = homeroom.platform().done(LIST, list).await;
        let found = page["userRecords"].as_array().cloned().unwrap_or_default();
        assert!(found.len() <= usize::try_from(page_size).unwrap());
        records.extend(found);
        token = page["nextPageToken"].clone();
        if token.is_null() {
            return records;
        }
    }
}

/// Returns the number of records of each kind; those of membership have a dot.
fn kinds(records: &[Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for record in records {
        let (kind, record) = record.as_object().unwrap().iter().next().unwrap();
        let of_membership =
            (kind == "membership").then(|| record.as_object().unwrap().keys().next().unwrap());
        let kind = of_membership.map_or_else(|| kind.clone(), |kind| format!("membership.{kind}"));
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

/// Returns the ids of a service's events that mention Ada, in order.
async fn told(homeroom: &Homeroom, service: &str) -> Vec<Value> {
    let list = json!({"parent": "organizations/-", "page_size": 1_000});
    let feed = homeroom
        .platform()
        .done(&format!("{service}.v1.EventService.ListEvents"), list)
        .await;
    let events = feed["events"].as_array().unwrap().iter();
    events
        .filter(|event| event.to_string().contains(ADA))
        .map(|event| event["id"].clone())
        .collect()
}

on_both_engines! {
async fn r13_everything_that_is_kept_about_a_person_is_listed(homeroom) {
    // Given a person who has lived in three schools, and another in one of them,
    let school = homeroom.school_named("hamilton", 10).await;
    let other = homeroom.school_named("oxford", 10).await;
    homeroom.outcome("student-1", &school.class_code().await.code).await;
    live(homeroom, &school, &other).await;
    assert_audited_soon(homeroom).await;
    homeroom.eventually("the refused attempt is logged", async || {
        homeroom.databases().row_counts().await["invitations.refused_attempts"] == 1
    }).await;

    // when the platform asks for what is kept about her,
    let found = records(homeroom, ADA, 1_000).await;

    // then each memory of each service is there:
    let by_membership = told(homeroom, "membership").await;
    let by_invitations = told(homeroom, "invitations").await;
    let expected = [
        // of the first two schools and of a class of each,
        ("membership.member", 4),
        // the one that waits and the one that was denied,
        ("membership.joinRequest", 2),
        // from the third school,
        ("membership.removal", 1),
        ("membership.event", by_membership.len()),
        ("redemption", 4),
        ("refusedAttempt", 1),
        // a code that she read, and what support did for her,
        ("auditEntry", 2),
        // one for her address, one for her school id.
        ("token", 2),
        ("event", by_invitations.len()),
    ];
    let expected = expected.into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(kinds(&found), expected.map(|(kind, count)| (kind.to_owned(), count)).collect());
    let ids = |service: &str| -> Vec<Value> {
        let events = found.iter().map(|record| if service.is_empty() { &record["event"] } else { &record[service]["event"] });
        events.filter(|event| event.is_object()).map(|event| event["id"].clone()).collect()
    };
    assert_eq!((ids("membership"), ids("")), (by_membership, by_invitations));
    // with everything that was told about her, and no secret or other person's record.
    let text = json!(found).to_string();
    for known in [NAME, EMAIL, SCHOOL_ID, "Not you, Ada Lovelace."] {
        assert!(text.contains(known), "{known}");
    }
    assert!(!text.contains("student-1"));
    assert!(!text.contains(&school.class_code().await.code));
}
}

on_both_engines! {
async fn r13_r12_the_list_of_a_person_is_paged_and_its_first_page_audited(homeroom) {
    let school = homeroom.school_named("hamilton", 10).await;
    let other = homeroom.school_named("oxford", 10).await;
    live(homeroom, &school, &other).await;
    assert_audited_soon(homeroom).await;
    homeroom.eventually("the refused attempt is logged", async || {
        homeroom.databases().row_counts().await["invitations.refused_attempts"] == 1
    }).await;
    // Pages of any size hold the same, but for the entries of the earlier calls.
    let whole = records(homeroom, ADA, 1_000).await;
    let known = |record: &Value| record["auditEntry"]["method"] != "homeroom.invitations.v1.UserService/ListUserRecords";
    for (size, calls) in [(1, 2), (3, 3), (7, 4)] {
        let mut paged = records(homeroom, ADA, size).await;
        let before = paged.len();
        paged.retain(known);
        assert_eq!(paged, whole, "{size}");
        assert_eq!(before - paged.len(), calls, "{size}");
    }
    // A page of one person is no page of another, and nobody reads on where another caller began,
    let platform = homeroom.platform();
    let page = platform.done(LIST, json!({"parent": format!("users/{ADA}"), "page_size": 1})).await;
    let of_another = json!({"parent": "users/bob", "page_token": page["nextPageToken"]});
    assert_eq!(reason(&platform.call(LIST, &of_another).await.unwrap_err()), "INVALID_PAGE_TOKEN");
    let another = homeroom.user_with(Claims { scopes: &["homeroom.platform"], ..Claims::of("platform-2") });
    let begun = json!({"parent": format!("users/{ADA}"), "page_token": page["nextPageToken"]});
    assert_eq!(reason(&another.call(LIST, &begun).await.unwrap_err()), "INVALID_PAGE_TOKEN");
    // and of an erased or an unknown person there is nothing but who asked.
    erase(homeroom, ADA, "").await.unwrap();
    assert!(records(homeroom, ADA, 50).await.iter().all(|record| !known(record)));
    assert_eq!(records(homeroom, "nobody-known", 50).await, Vec::<Value>::new());
}
}

on_both_engines! {
async fn r13_i8_whoever_claims_an_address_is_not_shown_what_staff_wrote_beside_it(homeroom) {
    // Given a token of somebody, and a person who claims the address of it without proof,
    let school = homeroom.school_named("hamilton", 10).await;
    let token = json!({"assigned_email": EMAIL, "external_id": SCHOOL_ID, "display_name": NAME});
    let token = json!({"parent": school.class, "token": token});
    school.teacher.done("TokenService.CreateToken", token).await;
    let claimer = homeroom.user_with(Claims { email: EMAIL, ..Claims::of("mallory") });
    claimer.redeem(&school.join_url().await.url).await.unwrap();
    // when what is kept about that person is listed,
    let found = records(homeroom, "mallory", 1_000).await;
    // then the token is there, and only the address that the person gave is told.
    assert_eq!(kinds(&found)["token"], 1);
    let text = json!(found).to_string();
    assert!(text.contains(EMAIL));
    for hidden in [NAME, SCHOOL_ID] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}
}
