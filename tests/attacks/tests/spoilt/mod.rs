//! Credentials of every kind that open nothing, each for a different reason.

use homeroom_api::invitations::v1::{EnrollmentCode, Token};
use homeroom_tests::{Homeroom, School};
use serde_json::{Value, json};

/// A credential that opens nothing.
pub struct Spoilt {
    /// Its kind and the reason.
    pub what: String,
    /// Its organization.
    pub organization: String,
    /// The text that a person types or pastes.
    pub credential: String,
}

/// Creates every kind of credential in every state that opens nothing, in one school, and the
/// credentials of a deleted school.
pub async fn create(homeroom: &Homeroom) -> Vec<Spoilt> {
    let school = homeroom.school().await;
    let call = async |method: &str, body: Value| school.admin.call(method, &body).await.unwrap();
    let end = async |method: &str, name: &str| call(method, json!({"name": name})).await;
    let mut all = Vec::new();
    let mut add = |what: &str, credential: &str| {
        all.push(Spoilt {
            what: what.to_owned(),
            organization: school.organization.clone(),
            credential: credential.to_owned(),
        });
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
    let off = enrollment_code(&school, off).await;
    let deleted = enrollment_code(&school, deleted).await;
    let changed = enrollment_code(&school, changed).await;
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

    let code = school.class_code().await;
    end("ClassCodeService.ResetClassCode", &code.name).await;
    add("class code, reset", &code.code);
    add("class code as URL, reset", &code.join_link);
    add("class code, unknown", &reversed(&code.code));
    add("class code as URL, unknown", &reversed_key(&code.join_link));

    let url = school.join_url().await;
    let switched_off =
        json!({"join_url": {"name": url.name, "enabled": false}, "update_mask": "enabled"});
    call("JoinUrlService.UpdateJoinUrl", switched_off).await;
    add("join URL, off", &url.url);
    add("join URL, unknown", &reversed_key(&url.url));

    let chemistry = school.of_class(school.another_class("chemistry").await);
    let of_class = living(&chemistry).await;
    end("ClassService.DeleteClass", &chemistry.class).await;
    for (what, credential) in of_class {
        add(&format!("{what} of a deleted class"), &credential);
    }
    let gone = homeroom.school_named("gone", 0).await;
    let mut credentials = living(&gone).await;
    credentials.push(("organization token", gone.invite_token().await.token));
    let delete = json!({"name": gone.organization, "force": true});
    let deleted = gone
        .admin
        .call("OrganizationService.DeleteOrganization", &delete)
        .await;
    deleted.unwrap();
    all.extend(credentials.into_iter().map(|(what, credential)| Spoilt {
        what: format!("{what} of a deleted organization"),
        organization: gone.organization.clone(),
        credential,
    }));
    all
}

async fn enrollment_code(school: &School, code: &str) -> EnrollmentCode {
    let code = EnrollmentCode {
        code: code.to_owned(),
        ..Default::default()
    };
    school.enrollment_code(code).await
}

/// Returns credentials of a class that work.
async fn living(school: &School) -> Vec<(&'static str, String)> {
    vec![
        ("class code", school.class_code().await.code),
        ("join URL", school.join_url().await.url),
        ("class token", school.token(Token::default()).await.phrase),
        (
            "enrollment code",
            enrollment_code(school, "geometry-now").await.full_code,
        ),
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
