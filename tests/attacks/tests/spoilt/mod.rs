//! Credentials of every kind that open nothing, each for a different reason.

use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        DeleteEnrollmentCodeRequest, EnrollmentCode, JoinUrl, ResetClassCodeRequest,
        ResetInviteTokenRequest, RevokeTokenRequest, Token, UpdateEnrollmentCodeRequest,
        UpdateJoinUrlRequest,
    },
    membership::v1::{AddClassMemberRequest, DeleteClassRequest, DeleteOrganizationRequest},
};
use homeroom_tests::{Homeroom, School, field_mask, member};

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
    let mut all = Vec::new();
    let mut add = |what: &str, credential: &str| {
        all.push(Spoilt {
            what: what.to_owned(),
            organization: school.organization.clone(),
            credential: credential.to_owned(),
        });
    };
    let mut teacher = school.teacher.clone();
    let mut admin = school.admin.clone();

    let token = school.invite_token().await;
    let name = token.name.clone();
    let reset = ResetInviteTokenRequest {
        name,
        ..Default::default()
    };
    admin.tokens.reset_invite_token(reset).await.unwrap();
    add("organization token, reset", &token.token);
    add("organization token as URL, reset", &token.invite_url);
    add("organization token, unknown", &reversed(&token.token));
    add(
        "organization token as URL, unknown",
        &reversed_key(&token.invite_url),
    );

    let token = school.token(Token::default()).await;
    let name = token.name.clone();
    let revoke = RevokeTokenRequest {
        name,
        ..Default::default()
    };
    teacher.tokens.revoke_token(revoke).await.unwrap();
    let words: Vec<&str> = token.phrase.split(' ').rev().collect();
    add("class token, revoked", &token.phrase);
    add("class token as URL, revoked", &token.invite_url);
    add("class token, unknown", &words.join(" "));

    let [off, deleted, changed] = ["off-algebra-11", "deleted-algebra", "changed-algebra"];
    let code = async |code: &str| {
        let code = EnrollmentCode {
            code: code.to_owned(),
            ..Default::default()
        };
        school.enrollment_code(code).await
    };
    let (off, deleted, changed) = (code(off).await, code(deleted).await, code(changed).await);
    for (code, path) in [
        (
            EnrollmentCode {
                enabled: Some(false),
                ..off.clone()
            },
            "enabled",
        ),
        (
            EnrollmentCode {
                code: "another-algebra".to_owned(),
                ..changed.clone()
            },
            "code",
        ),
    ] {
        let update = UpdateEnrollmentCodeRequest {
            enrollment_code: Some(code),
            update_mask: field_mask(&[path]),
            acknowledge_weak: true,
            ..Default::default()
        };
        admin
            .enrollment_codes
            .update_enrollment_code(update)
            .await
            .unwrap();
    }
    let delete = DeleteEnrollmentCodeRequest {
        name: deleted.name.clone(),
        ..Default::default()
    };
    admin
        .enrollment_codes
        .delete_enrollment_code(delete)
        .await
        .unwrap();
    add("enrollment code, off", &off.full_code);
    add("enrollment code, deleted", &deleted.full_code);
    add("enrollment code, reset", &changed.full_code);
    add(
        "enrollment code, unknown",
        &off.full_code.replace("11", "12"),
    );

    let code = school.class_code().await;
    let reset = ResetClassCodeRequest {
        name: code.name.clone(),
        ..Default::default()
    };
    teacher.class_codes.reset_class_code(reset).await.unwrap();
    add("class code, reset", &code.code);
    add("class code as URL, reset", &code.join_link);
    add("class code, unknown", &reversed(&code.code));
    add("class code as URL, unknown", &reversed_key(&code.join_link));

    let url = school.join_url().await;
    let update = UpdateJoinUrlRequest {
        join_url: Some(JoinUrl {
            enabled: false,
            ..url.clone()
        }),
        update_mask: field_mask(&["enabled"]),
        ..Default::default()
    };
    teacher.join_urls.update_join_url(update).await.unwrap();
    add("join URL, off", &url.url);
    add("join URL, unknown", &reversed_key(&url.url));

    for (what, credential) in of_a_class(&school, homeroom).await {
        add(&format!("{what} of a deleted class"), &credential);
    }
    let gone = homeroom.school_named("gone", 0).await;
    let organization = gone.organization.clone();
    let mut credentials = vec![(
        "organization token".to_owned(),
        gone.invite_token().await.token,
    )];
    credentials.extend(living(&gone).await);
    let delete = DeleteOrganizationRequest {
        name: organization.clone(),
        force: true,
        ..Default::default()
    };
    gone.admin
        .clone()
        .organizations
        .delete_organization(delete)
        .await
        .unwrap();
    all.extend(credentials.into_iter().map(|(what, credential)| Spoilt {
        what: format!("{what} of a deleted organization"),
        organization: organization.clone(),
        credential,
    }));
    all
}

/// Returns the credentials of a class, which is then deleted.
async fn of_a_class(school: &School, homeroom: &Homeroom) -> Vec<(String, String)> {
    let class = school.another_class("chemistry").await;
    let mut teacher = school.teacher.clone();
    let add = AddClassMemberRequest {
        parent: class.clone(),
        member: Some(member("co-teacher", Role::CoTeacher)),
        ..Default::default()
    };
    teacher.members.add_class_member(add).await.unwrap();
    let there = School {
        organization: school.organization.clone(),
        class: class.clone(),
        platform: homeroom.platform(),
        admin: school.admin.clone(),
        teacher: school.teacher.clone(),
        co_teacher: school.co_teacher.clone(),
    };
    let credentials = living(&there).await;
    let delete = DeleteClassRequest {
        name: class,
        ..Default::default()
    };
    teacher.classes.delete_class(delete).await.unwrap();
    credentials
}

/// Returns credentials of a class that work.
async fn living(school: &School) -> Vec<(String, String)> {
    let code = EnrollmentCode {
        code: "geometry-now".to_owned(),
        ..Default::default()
    };
    let credentials = [
        ("class code", school.class_code().await.code),
        ("join URL", school.join_url().await.url),
        ("class token", school.token(Token::default()).await.phrase),
        (
            "enrollment code",
            school.enrollment_code(code).await.full_code,
        ),
    ];
    credentials
        .map(|(what, credential)| (what.to_owned(), credential))
        .into()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// Returns a URL whose last part is reversed.
fn reversed_key(url: &str) -> String {
    let (base, key) = url.rsplit_once('/').unwrap();
    format!("{base}/{}", reversed(key))
}
