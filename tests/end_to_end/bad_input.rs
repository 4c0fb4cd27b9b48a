//! Bad input for every RPC of the contract gets the right code and reason, reports every violation
//! at once, and writes nothing.

mod addresses_and_codes;
mod bounds;
mod table;

use std::collections::BTreeSet;

use homeroom_api::{common::v1::ErrorReason, invitations::v1::Token};
use homeroom_kit::status::code_of;
use homeroom_tests::{
    Claims, Engine, Homeroom, details, on_both_engines, raw, reason, violated_fields,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::good_requests::{Existing, good_requests};
use table::{RULES, spoilers};

/// Returns true if the method's request has the field, and reads it.
fn has_field(method: &str, path: &str) -> bool {
    let create = ["Create", "Add"]
        .iter()
        .any(|verb| method.contains(&format!(".{verb}")));
    // Fields that the server sets are not read at creation; immutable fields are not read in an
    // update.
    if create && (path.ends_with(".name") || path.ends_with(".etag")) {
        return false;
    }
    if method.contains(".Update")
        && (path.ends_with(".user") || path.ends_with(".owner") || path.ends_with(".words"))
    {
        return false;
    }
    // Only the role of a class member can be changed.
    if method.ends_with("UpdateClassMember")
        && path.starts_with("member.")
        && path != "member.name"
        && path != "member.etag"
    {
        return false;
    }
    let mut message = raw::method(method).input();
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(field) = message.get_field_by_name(part) else {
            return false;
        };
        match (parts.peek(), field.kind().as_message().cloned()) {
            (Some(_), Some(inner)) => message = inner,
            (Some(_), None) => return false,
            (None, inner) => {
                return inner.is_none()
                    || field.is_list()
                    || field.is_map()
                    || ["update_mask", "lock_period", "expire_time"].contains(&part);
            }
        }
    }
    false
}

fn spoil(body: &Value, path: &str, value: &Value) -> Value {
    let mut spoilt = body.clone();
    let mut target = &mut spoilt;
    for part in path.split('.') {
        target = target
            .as_object_mut()
            .unwrap()
            .entry(part)
            .or_insert_with(|| json!({}));
    }
    *target = value.clone();
    spoilt
}

pub(crate) async fn existing(homeroom: &Homeroom) -> Existing {
    let school = homeroom.school().await;
    homeroom.school_named("jefferson", 0).await;
    let code = school.class_code().await.code;
    homeroom.user("student-0").redeem(&code).await.unwrap();
    let url = school.join_url().await.url;
    let join_request = homeroom.queued("student-1", &url).await.name;
    school.invite_token().await;
    Existing {
        token: school.token(Token::default()).await.name,
        enrollment_code: school.enrollment_code(crate::code("BIO101")).await.name,
        join_request,
    }
}

fn told(answer: Result<Value, Status>) -> (Code, String, Vec<String>) {
    match answer {
        Ok(answer) => (Code::Ok, answer.to_string(), Vec::new()),
        Err(status) => (status.code(), reason(&status), violated_fields(&status)),
    }
}

on_both_engines! {
async fn every_rpc_refuses_every_bad_field_by_name_and_writes_nothing(homeroom) {
    let existing = existing(homeroom).await;
    let requests = good_requests(&existing);
    let covered: BTreeSet<_> = requests.iter().map(|request| request.method.clone()).collect();
    let all: BTreeSet<_> = raw::methods().iter().map(|method| method.full_name().to_owned()).collect();
    assert_eq!(covered, all, "the table has a row for each RPC");

    let before = homeroom.settled_row_counts().await;
    let mut wrong = Vec::new();
    let mut checked = 0;
    let mut rules = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for request in &requests {
        let mut together = (request.body.clone(), BTreeSet::new());
        for spoilt in spoilers() {
            let optional = ["RedemptionService.Redeem", "RedemptionService.PreviewRedemption"].iter().any(|method| request.method.ends_with(method));
            if !has_field(&request.method, spoilt.path) || !request.method.contains(spoilt.of) || (optional && spoilt.path == "organization" && spoilt.what == "missing") {
                continue;
            }
            // An update without a mask keeps a field that is empty in the request.
            if request.method.contains(".Update") && spoilt.what == "missing" && !spoilt.path.ends_with(".name") {
                continue;
            }
            let body = spoil(&request.body, spoilt.path, &spoilt.value);
            let (code, reason, fields) = told(homeroom.call(request.caller, &request.method, &body).await);
            checked += 1;
            rules.insert(spoilt.rule);
            reasons.insert(reason.clone());
            let names = spoilt.names;
            let named = spoilt.code != Code::InvalidArgument
                || matches!(spoilt.reason, "INVALID_PAGE_TOKEN" | "INVALID_FILTER")
                || fields.iter().any(|field| field == names || field.starts_with(&format!("{names}.")) || field.starts_with(&format!("{names}[")));
            if (code, reason.as_str(), named) != (spoilt.code, spoilt.reason, true) {
                wrong.push(format!("{} with {} {}: {code:?} {reason} {fields:?}, not {:?} {}", request.method, spoilt.path, spoilt.what, spoilt.code, spoilt.reason));
            }
            // Without a mask an update reads every field that is not empty; with a wrong mask it
            // reads none.
            let masks = request.method.contains(".Update") && spoilt.path == "update_mask";
            if spoilt.reason == "INVALID_REQUEST" && !masks {
                together = (spoil(&together.0, spoilt.path, &spoilt.value), together.1);
                together.1.insert(spoilt.path);
            }
        }
        if together.1.is_empty() {
            continue;
        }
        // Every violation is reported at once.
        let (code, _, fields) = told(homeroom.call(request.caller, &request.method, &together.0).await);
        for path in &together.1 {
            let parent_spoilt = together.1.iter().any(|other| path.starts_with(&format!("{other}.")));
            if !parent_spoilt && (code != Code::InvalidArgument || !fields.iter().any(|field| field.starts_with(path))) {
                wrong.push(format!("{} with all fields spoilt: {path} is not among {code:?} {fields:?}", request.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} checks:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
    assert_eq!(rules, BTreeSet::from(RULES), "each rule was checked");
    let missing: Vec<_> = invalid_argument_reasons().filter(|name| !reasons.contains(*name)).collect();
    assert!(missing.is_empty(), "no row was answered with {missing:?}");
}
}

/// Returns the reasons with the code `INVALID_ARGUMENT`.
fn invalid_argument_reasons() -> impl Iterator<Item = &'static str> {
    (0..1_000)
        .filter_map(|number| ErrorReason::try_from(number).ok())
        .filter(|reason| code_of(*reason) == Code::InvalidArgument)
        .map(|reason| reason.as_str_name())
}

on_both_engines! {
async fn what_is_beyond_a_message_or_beside_it_is_refused_by_name(homeroom) {
    let existing = existing(homeroom).await;
    let before = homeroom.settled_row_counts().await;
    // Messages have at most 1 MiB.
    let long = json!({"display_name": "x".repeat(1024 * 1024)});
    for (method, body) in [
        ("homeroom.membership.v1.ClassService.CreateClass", json!({"parent": "organizations/hamilton", "class": long})),
        ("homeroom.invitations.v1.TokenService.CreateToken", json!({"parent": "organizations/hamilton/classes/biology", "token": long})),
    ] {
        let (code, reason, _) = told(homeroom.call(Claims::of("admin"), method, &body).await);
        assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"), "{method}");
    }
    // `x-homeroom-user` is one user id.
    let lms = Claims { scopes: &["homeroom.act_as"], ..Claims::of("lms") };
    let long = "u".repeat(801);
    for user in ["a/b", "a b", long.as_str(), "system", "me", "-", "erased-01900000-0000-7000-8000-00000000000a"] {
        let clients = homeroom.user_with(Claims { acting_user: user, ..lms });
        let refused = clients.call("OrganizationService.ListOrganizations", &json!({})).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_REQUEST"), "{user:?}");
        assert_eq!(violated_fields(&refused), ["x-homeroom-user"], "{user:?}");
    }
    // Nobody is admitted under the name of automatic actions.
    let redeem = json!({"credential": "7X3K-Q9MZ-2W4P", "user": {"user": "system"}});
    let refused = homeroom.call(lms, "homeroom.invitations.v1.RedemptionService.Redeem", &redeem).await.unwrap_err();
    assert_eq!(violated_fields(&refused), ["user.user"]);
    // A caller who may not erase anybody is told so, whatever else is wrong.
    let bound = Claims { scopes: &["homeroom.admit"], organizations: Some(&["hamilton"]), ..Claims::of("platform") };
    let refused = homeroom.call(bound, "homeroom.membership.v1.UserService.EraseUser", &json!({})).await.unwrap_err();
    assert_eq!(reason(&refused), "SCOPE_MISSING");
    // A page token is bound to its list, and a batch reports each row.
    let list = "homeroom.membership.v1.MemberService.ListOrganizationMembers";
    let page = homeroom.call(Claims::of("admin"), list, &json!({"parent": "organizations/hamilton", "page_size": 1})).await.unwrap();
    let token = page["nextPageToken"].as_str().unwrap();
    for other in [
        json!({"parent": "organizations/hamilton", "page_token": token, "filter": "role = TEACHER"}),
        json!({"parent": "organizations/jefferson", "page_token": token}),
        json!({"parent": "organizations/hamilton", "page_token": format!("{token}A")}),
    ] {
        let (code, reason, _) = told(homeroom.call(Claims::of("admin"), list, &other).await);
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"), "{other}");
    }
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
    drop(existing);
}
}

on_both_engines! {
async fn i8_another_organizations_ids_are_as_absent_as_ids_that_do_not_exist(homeroom) {
    let existing = existing(homeroom).await;
    let before = homeroom.settled_row_counts().await;
    let mut wrong = Vec::new();
    for request in good_requests(&existing) {
        let text = request.body.to_string();
        let outsider = request.caller.subject == "admin" || request.caller.subject == "student-1";
        if !outsider || !text.contains("organizations/hamilton") {
            continue;
        }
        // `stranger` may see neither school; `nowhere` does not exist.
        let stranger = Claims::of("stranger");
        let theirs = serde_json::from_str(&text.replace("organizations/hamilton", "organizations/jefferson")).unwrap();
        let absent = serde_json::from_str(&text.replace("organizations/hamilton", "organizations/nowhere")).unwrap();
        let own: Value = serde_json::from_str(&text).unwrap();
        let answers = [
            homeroom.call(stranger, &request.method, &own).await,
            homeroom.call(stranger, &request.method, &theirs).await,
            homeroom.call(stranger, &request.method, &absent).await,
        ]
        .map(told);
        let listed_empty = answers.iter().all(|(code, ..)| *code == Code::Ok) && request.method.contains(".List");
        let absent_alike = answers.iter().all(|(code, reason, _)| *code == Code::NotFound && reason.ends_with("_NOT_FOUND") && *reason == answers[0].1);
        if !listed_empty && !absent_alike {
            wrong.push(format!("{}: {answers:?}", request.method));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
}
}

on_both_engines! {
async fn calls_without_a_good_access_token_are_unauthenticated(homeroom) {
    for method in raw::methods() {
        let (code, reason, _) = told(homeroom.call_with_authorization("Bearer nonsense", method.full_name(), &json!({})).await);
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "ACCESS_TOKEN_INVALID"), "{}", method.full_name());
    }
}
}

/// The calls that must all be answered alike. A client may refuse trailers of more than 8 KiB now and then; those in
/// other languages are asked the same in tests/clients.
const CALLS: usize = 400;

#[tokio::test]
async fn a_thousand_violations_at_once_are_read_in_every_call() {
    let homeroom = Homeroom::start(Engine::Sqlite).await;
    let mask = ["nothing"; 1_000].join(",");
    let update = json!({"enrollment_code": {"name": "organizations/hamilton/enrollmentCodes/01900000-0000-7000-8000-00000000000a"}, "update_mask": mask});
    let teacher = homeroom.user("teacher");
    for _ in 0..CALLS {
        let refused = teacher
            .call("EnrollmentCodeService.UpdateEnrollmentCode", &update)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "INVALID_REQUEST")
        );
        let told = details(&refused)
            .bad_request()
            .unwrap()
            .field_violations
            .clone();
        let (counted, told) = told.split_last().unwrap();
        assert_eq!(
            counted.description,
            format!("and {} more", 1_000 - told.len())
        );
    }
    homeroom.stop().await;
}
