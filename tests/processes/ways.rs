//! A school with one of each kind of invitation, created over gRPC.

use homeroom_api::invitations::v1::{
    ClassCode, CreateEnrollmentCodeRequest, CreateTokenRequest, EnrollmentCode,
    GetClassCodeRequest, GetInviteTokenRequest, GetJoinUrlRequest, InviteToken, JoinUrl, Token,
};
use homeroom_tests::{Clients, processes::Callers};
use serde_json::json;

use crate::crowd::{PLATFORM, new_class};

/// The school's resource name.
pub(crate) const ORGANIZATION: &str = "organizations/hamilton";
/// The class of most invitations.
pub(crate) const CLASS: &str = "organizations/hamilton/classes/biology";
/// The code that its teacher types.
pub(crate) const TYPED_CODE: &str = "7X3K-Q9MZ-2W4P";

/// One of each kind of invitation, for any number of students.
pub(crate) struct Ways {
    pub(crate) invite_token: InviteToken,
    pub(crate) token: Token,
    pub(crate) enrollment_code: EnrollmentCode,
    pub(crate) class_code: ClassCode,
    pub(crate) join_url: JoinUrl,
}

impl Ways {
    /// Creates the school, with `teacher` as its administrator and the class's owner, and the
    /// invitations.
    pub(crate) async fn create(callers: &Callers) -> Self {
        let platform = callers.user_with(PLATFORM);
        let mut teacher = callers.user("teacher");
        let organization = json!({
            "organization_id": "hamilton", "organization": {"display_name": "Hamilton"}, "admin": "teacher",
        });
        let method = "OrganizationService.CreateOrganization";
        platform.call(method, &organization).await.unwrap();
        make_class(&mut teacher, "biology").await;
        let invite_token = GetInviteTokenRequest {
            name: format!("{ORGANIZATION}/inviteToken"),
        };
        let invite_token = teacher.tokens.get_invite_token(invite_token).await.unwrap();
        let token = make_token(&mut teacher).await;
        let enrollment_code = create_code(TYPED_CODE);
        let enrollment_code = teacher
            .enrollment_codes
            .create_enrollment_code(enrollment_code)
            .await
            .unwrap();
        let join_url = GetJoinUrlRequest {
            name: format!("{CLASS}/joinUrl"),
        };
        let join_url = teacher.join_urls.get_join_url(join_url).await.unwrap();
        Self {
            invite_token: invite_token.into_inner(),
            token,
            enrollment_code: enrollment_code.into_inner(),
            class_code: class_code(&mut teacher, CLASS).await,
            join_url: join_url.into_inner(),
        }
    }

    /// Returns the text that a student types or pastes for each kind of invitation.
    pub(crate) fn credentials(&self) -> [&str; 5] {
        [
            &self.invite_token.token,
            &self.token.phrase,
            &self.enrollment_code.full_code,
            &self.class_code.code,
            &self.join_url.url,
        ]
    }
}

/// Creates another class of the teacher.
pub(crate) async fn make_class(teacher: &mut Clients, id: &str) {
    let class = new_class(id, id);
    teacher.classes.create_class(class).await.unwrap();
}

/// Creates a class token for any number of students.
pub(crate) async fn make_token(teacher: &mut Clients) -> Token {
    let token = CreateTokenRequest {
        parent: CLASS.to_owned(),
        token: Some(Token {
            max_uses: Some(0),
            words: 4,
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = teacher.tokens.create_token(token).await;
    made.unwrap().into_inner()
}

pub(crate) async fn class_code(teacher: &mut Clients, class: &str) -> ClassCode {
    let code = GetClassCodeRequest {
        name: format!("{class}/classCode"),
    };
    let read = teacher.class_codes.get_class_code(code).await;
    read.unwrap().into_inner()
}

/// Returns a request for an enrollment code of the class.
pub(crate) fn create_code(typed: &str) -> CreateEnrollmentCodeRequest {
    CreateEnrollmentCodeRequest {
        parent: CLASS.to_owned(),
        enrollment_code: Some(EnrollmentCode {
            code: typed.to_owned(),
            ..Default::default()
        }),
        acknowledge_weak: true,
        ..Default::default()
    }
}
