//! Credentials that open nothing get one answer (R5): unknown, reset, revoked, switched off or
//! deleted, of every kind, by Redeem and by `PreviewRedemption`, for everyone and for staff.

use std::collections::BTreeMap;

use homeroom_api::invitations::v1::Token;
use homeroom_tests::{Claims, Clients, Homeroom, School, on_both_engines};
use serde_json::{Value, json};
use tonic::Status;

use crate::code;

/// A credential that opens nothing: its kind and the reason, its organization, and its text.
type Spoilt = (String, String, String);

/// Creates every kind of credential in every state that opens nothing, in one school, and the
/// credentials of a deleted class and a deleted school.
async fn spoilt(homeroom: &Homeroom) -> Vec<Spoilt> {
    let school = homeroom.school().await;
    let call = async |method: &str, body: Value| school.admin.call(method, &body).await.unwrap();
    let end = async |method: &str, name: &str| call(method, json!({"name": name})).await;
    let mut all = Vec::new();
    let mut add = |what: &str, text: &str| {
        let organization = school.organization.clone();
        all.push((what.to_owned(), organization, text.to_owned()));
    };

    let token = school.invite_token().await;
    end("TokenService.ResetInviteToken", &token.name).await;
    add("organization token, reset", &token.token);
    add("organization token as URL, reset", &token.invite_url);
    add("organization token, unknown", &reversed(&token.token));
    let unknown = reversed_key(&token.invite_url);
    add("organization token as URL, unknown", &unknown);

    let token = school.token(Token::default()).await;
    end("TokenService.RevokeToken", &token.name).await;
    let words: Vec<&str> = token.phrase.split(' ').rev().collect();
    add("class token, revoked", &token.phrase);
    add("class token as URL, revoked", &token.invite_url);
    add("class token, unknown", &words.join(" "));

    let [off, deleted, changed] = ["off-algebra-11", "deleted-algebra", "changed-algebra"];
    let off = school.enrollment_code(code(off)).await;
    let deleted = school.enrollment_code(code(deleted)).await;
    let changed = school.enrollment_code(code(changed)).await;
    for (code, field, value) in [
        (&off, "enabled", json!(false)),
        (&changed, "code", json!("another-algebra")),
    ] {
        let mut update = json!({"name": code.name});
        update[field] = value;
        let body =
            json!({"enrollment_code": update, "update_mask": field, "acknowledge_weak": true});
        call("EnrollmentCodeService.UpdateEnrollmentCode", body).await;
    }
    end("EnrollmentCodeService.DeleteEnrollmentCode", &deleted.name).await;
    add("enrollment code, off", &off.full_code);
    add("enrollment code, deleted", &deleted.full_code);
    add("enrollment code, reset", &changed.full_code);
    let unknown = off.full_code.replace("11", "12");
    add("enrollment code, unknown", &unknown);

    let class_code = school.class_code().await;
    end("ClassCodeService.ResetClassCode", &class_code.name).await;
    add("class code, reset", &class_code.code);
    add("class code as URL, reset", &class_code.join_link);
    add("class code, unknown", &reversed(&class_code.code));
    let unknown = reversed_key(&class_code.join_link);
    add("class code as URL, unknown", &unknown);

    let url = school.join_url().await;
    let off = json!({"join_url": {"name": url.name, "enabled": false}, "update_mask": "enabled"});
    call("JoinUrlService.UpdateJoinUrl", off).await;
    add("join URL, off", &url.url);
    add("join URL, unknown", &reversed_key(&url.url));

    let chemistry = school.of_class(school.another_class("chemistry").await);
    let of_class = living(&chemistry).await;
    end("ClassService.DeleteClass", &chemistry.class).await;
    for (what, text) in of_class {
        add(&format!("{what} of a deleted class"), &text);
    }
    let gone = homeroom.school_named("gone", 0).await;
    let mut of_school = living(&gone).await;
    of_school.push(("organization token", gone.invite_token().await.token));
    let delete = json!({"name": gone.organization, "force": true});
    let method = "OrganizationService.DeleteOrganization";
    gone.admin.call(method, &delete).await.unwrap();
    for (what, text) in of_school {
        let what = format!("{what} of a deleted organization");
        all.push((what, gone.organization.clone(), text));
    }
    all
}

/// Returns credentials of a class that work.
async fn living(school: &School) -> Vec<(&'static str, String)> {
    let typed = school.enrollment_code(code("geometry-now")).await;
    vec![
        ("class code", school.class_code().await.code),
        ("join URL", school.join_url().await.url),
        ("class token", school.token(Token::default()).await.phrase),
        ("enrollment code", typed.full_code),
    ]
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// Returns a URL whose last part is reversed.
fn reversed_key(url: &str) -> String {
    let (base, key) = url.rsplit_once('/').unwrap();
    format!("{base}/{}", reversed(key))
}

/// Returns everything that the caller sees of a refusal, but the time and the id of the call.
fn seen(answer: Result<Value, Status>) -> String {
    let status = answer.err().unwrap();
    let mut headers = status.metadata().clone().into_headers();
    for of_the_call in ["date", "x-request-id"] {
        headers.remove(of_the_call);
    }
    let (code, message, details) = (status.code(), status.message(), status.details());
    format!("{code:?} {message} {details:?} {headers:?}")
}

/// Tries a credential in every way, each by a person who has not tried before, so that the limiter
/// does not interfere. Returns the answers, and how each was got.
async fn tried(
    homeroom: &Homeroom,
    [platform, staff]: &[Clients; 2],
    (what, organization, credential): &Spoilt,
) -> Vec<(String, String)> {
    let request = |organization: &str| {
        let user = json!({"user": format!("guest-{}", homeroom.new_id())});
        json!({"credential": credential, "organization": organization, "user": user})
    };
    let redeem = async |how: &str, organization: &str, request_id: &str| {
        let mut request = request(organization);
        request["request_id"] = request_id.into();
        let redeem = async || seen(platform.call("RedemptionService.Redeem", &request).await);
        let answer = redeem().await;
        // While a use is being taken, the answer is USE_IN_PROGRESS for a moment, also for a
        // deleted class (P3).
        homeroom.settled().await;
        let again = (redeem().await, format!("{what}, {how} again"));
        [(answer, format!("{what}, {how}")), again]
    };
    let preview = async |how: &str, organization: &str, caller: &Clients| {
        let (method, request) = ("RedemptionService.PreviewRedemption", request(organization));
        let answer = seen(caller.call(method, &request).await);
        [(answer, format!("{what}, {how}"))]
    };
    let id = homeroom.new_id().to_string();
    let mut tried = Vec::new();
    tried.extend(redeem("redeemed", "", "").await);
    tried.extend(redeem("redeemed with a request id", "", &id).await);
    tried.extend(redeem("redeemed, its organization named", organization, "").await);
    tried.extend(preview("previewed, its organization named", organization, platform).await);
    tried.extend(preview("previewed", "", platform).await);
    tried.extend(preview("previewed by staff", "", staff).await);
    tried
}

on_both_engines! {
async fn r5_what_opens_nothing_has_one_answer(homeroom) {
    let credentials = spoilt(homeroom).await;
    let platform = homeroom.user_with(Claims { scopes: &["homeroom.act_as", "homeroom.vouch"], ..Claims::of("platform") });
    let callers = [platform.clone(), platform.acting_for("admin")];
    // The distinct answers, and the attempts that got each.
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for credential in &credentials {
        for (answer, how) in tried(homeroom, &callers, credential).await {
            answers.entry(answer).or_default().push(how);
        }
    }
    let mut told: Vec<(usize, String, Vec<String>)> = answers.into_iter().map(|(answer, who)| (who.len(), answer, who)).collect();
    told.sort();
    assert_eq!(told.len(), 1, "more than one answer, such as: {:?}", told[0]);
    assert_eq!(homeroom.refusal("guest", &credentials[0].2).await, "CODE_NOT_USABLE");
}
}
