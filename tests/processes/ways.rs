//! A school with one of each kind of invitation, created over gRPC.

use homeroom_api::invitations::v1::{ClassCode, EnrollmentCode, InviteToken, JoinUrl, Token};
use homeroom_tests::{Clients, processes::Callers};
use serde_json::{Value, json};
use tonic::Status;

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
        let teacher = callers.user("teacher");
        let organization = json!({
            "organization_id": "hamilton", "organization": {"display_name": "Hamilton"}, "admin": "teacher",
        });
        let method = "OrganizationService.CreateOrganization";
        platform.call(method, &organization).await.unwrap();
        make_class(&teacher, "biology").await;
        let place = |place: &str| json!({"name": place});
        let invite_token = place(&format!("{ORGANIZATION}/inviteToken"));
        let join_url = place(&format!("{CLASS}/joinUrl"));
        let code = new_code(TYPED_CODE);
        Self {
            enrollment_code: teacher
                .ask("EnrollmentCodeService.CreateEnrollmentCode", code)
                .await,
            invite_token: teacher
                .ask("TokenService.GetInviteToken", invite_token)
                .await,
            token: make_token(&teacher).await,
            class_code: class_code(&teacher, CLASS).await,
            join_url: teacher.ask("JoinUrlService.GetJoinUrl", join_url).await,
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
pub(crate) async fn make_class(teacher: &Clients, id: &str) {
    let class = new_class(id, id);
    teacher.clone().classes.create_class(class).await.unwrap();
}

/// Creates a class token for any number of students.
pub(crate) async fn make_token(teacher: &Clients) -> Token {
    let create = json!({"parent": CLASS, "token": {"max_uses": 0, "words": 4}});
    teacher.ask("TokenService.CreateToken", create).await
}

pub(crate) async fn class_code(teacher: &Clients, class: &str) -> ClassCode {
    let code = json!({"name": format!("{class}/classCode")});
    teacher.ask("ClassCodeService.GetClassCode", code).await
}

/// Returns a request for an enrollment code of the class.
fn new_code(typed: &str) -> Value {
    json!({"parent": CLASS, "enrollment_code": {"code": typed}, "acknowledge_weak": true})
}

/// Creates an enrollment code of the class.
pub(crate) async fn make_code(teacher: &Clients, typed: &str) -> Result<Value, Status> {
    let method = "EnrollmentCodeService.CreateEnrollmentCode";
    teacher.call(method, &new_code(typed)).await
}
