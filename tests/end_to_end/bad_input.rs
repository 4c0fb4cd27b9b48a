//! Bad input, over every RPC of the contract: the code and reason of 02, every
//! violation at once, and nothing written.

use std::collections::BTreeSet;

use homeroom_api::invitations::v1::Token;
use homeroom_tests::{Claims, Homeroom, on_both_engines, raw, reason, violated_fields};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::good_requests::{Existing, good_requests};

/// A field spoilt, and what must be answered.
struct Spoilt {
    what: &'static str,
    path: &'static str,
    value: Value,
    code: Code,
    reason: &'static str,
}

/// What is spoilt wherever a request has such a field. The path is where it stands and what the violation names.
fn spoilers() -> Vec<Spoilt> {
    let invalid = |what, path, value| Spoilt {
        what,
        path,
        value,
        code: Code::InvalidArgument,
        reason: "INVALID_REQUEST",
    };
    let mut spoilers = Vec::new();
    for path in [
        "name",
        "parent",
        "organization.name",
        "class.name",
        "member.name",
        "invite_token.name",
        "token.name",
        "enrollment_code.name",
        "class_code.name",
        "join_url.name",
        "redemption",
        "organization",
    ] {
        spoilers.push(invalid("missing", path, json!("")));
        spoilers.push(invalid("of another shape", path, json!("nonsense")));
        spoilers.push(invalid(
            "too long",
            path,
            json!(format!("organizations/{}", "a".repeat(64))),
        ));
        spoilers.push(invalid(
            "wrong alphabet",
            path,
            json!("organizations/Hämilton"),
        ));
    }
    for path in ["organization_id", "class_id"] {
        spoilers.push(invalid("too short", path, json!("ab")));
        spoilers.push(invalid("too long", path, json!("a".repeat(64))));
        spoilers.push(invalid("wrong alphabet", path, json!("No!")));
    }
    for path in [
        "admin",
        "owner",
        "user",
        "member.user",
        "user.user",
        "class.owner",
    ] {
        spoilers.push(invalid("too long", path, json!("u".repeat(129))));
        spoilers.push(invalid("wrong alphabet", path, json!("a/b")));
    }
    for path in ["organization.display_name", "class.display_name"] {
        spoilers.push(invalid("missing", path, json!("")));
    }
    for path in [
        "organization.display_name",
        "class.display_name",
        "member.display_name",
        "token.display_name",
        "enrollment_code.display_name",
        "user.display_name",
    ] {
        spoilers.push(invalid("too long", path, json!("x".repeat(201))));
    }
    for path in ["organization.labels", "class.labels"] {
        spoilers.push(invalid("wrong alphabet", path, json!({"Not A Key": "x"})));
    }
    for path in [
        "member.external_id",
        "token.external_id",
        "user.external_id",
    ] {
        spoilers.push(invalid("too long", path, json!("x".repeat(129))));
    }
    spoilers.push(invalid("negative", "organization.seat_limit", json!(-1)));
    spoilers.push(invalid(
        "too large",
        "organization.seat_limit",
        json!(1_000_000_001_i64),
    ));
    spoilers.push(invalid("negative", "token.max_uses", json!(-1)));
    spoilers.push(invalid("too many", "token.words", json!(5)));
    spoilers.push(invalid("negative", "enrollment_code.max_uses", json!(-1)));
    spoilers.push(invalid("negative", "class_code.lock_period", json!("-1s")));
    spoilers.push(invalid("missing", "invitation", json!("")));
    spoilers.push(invalid("negative", "epoch", json!(-1)));
    spoilers.push(invalid("missing", "permission", json!(0)));
    spoilers.push(invalid("missing", "route", json!(0)));
    spoilers.push(invalid("negative", "page_size", json!(-1)));
    spoilers.push(invalid("not a UUID", "request_id", json!("retry-1")));
    spoilers.push(invalid(
        "of an unknown field",
        "update_mask",
        json!("colour"),
    ));
    spoilers.push(invalid("too long", "decide_note", json!("x".repeat(501))));
    spoilers.push(invalid("missing", "credential", json!("")));
    spoilers.push(invalid("too long", "credential", json!("x".repeat(513))));
    spoilers.push(invalid("not an address", "client_ip", json!("nowhere")));
    spoilers.push(invalid("missing", "decisions", json!([])));
    spoilers.push(invalid("missing", "tokens", json!([])));
    spoilers.push(invalid("missing", "requests", json!([])));
    for path in ["member.email", "user.email", "token.assigned_email"] {
        spoilers.push(Spoilt {
            reason: "EMAIL_MALFORMED",
            ..invalid("malformed", path, json!("a@b@c"))
        });
    }
    spoilers.push(Spoilt {
        reason: "CODE_MALFORMED",
        ..invalid(
            "wrong alphabet",
            "enrollment_code.code",
            json!("BIO\u{202e}101"),
        )
    });
    spoilers.push(Spoilt {
        reason: "CODE_MALFORMED",
        ..invalid("wrong alphabet", "credential", json!("\u{202e}abc"))
    });
    spoilers.push(Spoilt {
        reason: "INVALID_PAGE_TOKEN",
        ..invalid("not made by this list", "page_token", json!("garbage"))
    });
    spoilers.push(Spoilt {
        reason: "INVALID_FILTER",
        ..invalid("unreadable", "filter", json!("((("))
    });
    for path in [
        "etag",
        "organization.etag",
        "class.etag",
        "member.etag",
        "invite_token.etag",
        "token.etag",
        "enrollment_code.etag",
        "class_code.etag",
        "join_url.etag",
    ] {
        spoilers.push(Spoilt {
            what: "of another version",
            path,
            value: json!("\"999\""),
            code: Code::Aborted,
            reason: "ETAG_MISMATCH",
        });
    }
    spoilers
}

/// Whether the method's request has the field, and it means something there.
fn has_field(method: &str, path: &str) -> bool {
    let create = ["Create", "Add"]
        .iter()
        .any(|verb| method.contains(&format!(".{verb}")));
    // What the server gives at creation is not read; what cannot be changed is not read in an update.
    if create && (path.ends_with(".name") || path.ends_with(".etag")) {
        return false;
    }
    if method.contains(".Update")
        && (path.ends_with(".user") || path.ends_with(".owner") || path.ends_with(".words"))
    {
        return false;
    }
    // Membership takes the address that invitations has judged: no reason to keep a person out.
    if method.contains(".AdmissionService.") && path == "user.email" {
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
                    || ["update_mask", "lock_period"].contains(&part);
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
    homeroom
        .user("student-0")
        .redeem(&school.class_code().await.code)
        .await
        .unwrap();
    let waiting = homeroom
        .user("student-1")
        .redeem(&school.join_url().await.url)
        .await
        .unwrap();
    let Some(homeroom_api::invitations::v1::redeem_response::Result::JoinRequest(request)) =
        waiting.result
    else {
        panic!("no join request")
    };
    school.invite_token().await;
    Existing {
        token: school.token(Token::default()).await.name,
        enrollment_code: school
            .enrollment_code(homeroom_api::invitations::v1::EnrollmentCode {
                code: "BIO101".to_owned(),
                ..Default::default()
            })
            .await
            .name,
        join_request: request.name,
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
    let covered: BTreeSet<_> = requests.iter().map(|request| request.method.to_owned()).collect();
    let all: BTreeSet<_> = raw::methods().iter().map(|method| method.full_name().to_owned()).collect();
    assert_eq!(covered, all, "the table has a row for each RPC");

    let before = homeroom.settled_row_counts().await;
    let mut wrong = Vec::new();
    let mut checked = 0;
    for request in &requests {
        let mut together = (request.body.clone(), BTreeSet::new());
        for spoilt in spoilers() {
            let optional = ["RedemptionService.Redeem", "RedemptionService.PreviewRedemption"].iter().any(|method| request.method.ends_with(method));
            if !has_field(request.method, spoilt.path) || (optional && spoilt.path == "organization" && spoilt.what == "missing") {
                continue;
            }
            // An update without a mask takes an empty field as one that stays.
            if request.method.contains(".Update") && spoilt.what == "missing" && !spoilt.path.ends_with(".name") {
                continue;
            }
            let body = spoil(&request.body, spoilt.path, &spoilt.value);
            let (code, reason, fields) = told(homeroom.call(request.caller, request.method, &body).await);
            checked += 1;
            let named = spoilt.code != Code::InvalidArgument
                || matches!(spoilt.reason, "INVALID_PAGE_TOKEN" | "INVALID_FILTER")
                || fields.iter().any(|field| field == spoilt.path || field.starts_with(&format!("{}.", spoilt.path)) || field.starts_with(&format!("{}[", spoilt.path)));
            if (code, reason.as_str(), named) != (spoilt.code, spoilt.reason, true) {
                wrong.push(format!("{} with {} {}: {code:?} {reason} {fields:?}, not {:?} {}", request.method, spoilt.path, spoilt.what, spoilt.code, spoilt.reason));
            }
            // Without a mask an update reads every field that is not empty; with a wrong one, none.
            let masks = request.method.contains(".Update") && spoilt.path == "update_mask";
            if spoilt.reason == "INVALID_REQUEST" && !masks {
                together = (spoil(&together.0, spoilt.path, &spoilt.value), together.1);
                together.1.insert(spoilt.path);
            }
        }
        if together.1.is_empty() {
            continue;
        }
        // Every violation at once.
        let (code, _, fields) = told(homeroom.call(request.caller, request.method, &together.0).await);
        for path in &together.1 {
            let parent_spoilt = together.1.iter().any(|other| path.starts_with(&format!("{other}.")));
            if !parent_spoilt && (code != Code::InvalidArgument || !fields.iter().any(|field| field.starts_with(path))) {
                wrong.push(format!("{} with all fields spoilt: {path} is not among {code:?} {fields:?}", request.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} checks:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
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
            homeroom.call(stranger, request.method, &own).await,
            homeroom.call(stranger, request.method, &theirs).await,
            homeroom.call(stranger, request.method, &absent).await,
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
