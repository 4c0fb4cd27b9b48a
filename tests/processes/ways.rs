//! A school with one of each kind of invitation, created over gRPC.

use homeroom_api::invitations::v1::{ClassCode, EnrollmentCode, InviteToken, JoinUrl, Token};
use homeroom_tests::{School, processes::Processes};

/// The code that its teacher types.
pub(crate) const TYPED_CODE: &str = "7X3K-Q9MZ-2W4P";

/// A school, and one of each kind of invitation for any number of students.
pub(crate) struct Ways {
    pub(crate) school: School,
    pub(crate) invite_token: InviteToken,
    pub(crate) token: Token,
    pub(crate) enrollment_code: EnrollmentCode,
    pub(crate) class_code: ClassCode,
    pub(crate) join_url: JoinUrl,
}

impl Ways {
    pub(crate) async fn create(processes: &Processes) -> Self {
        let school = processes.school().await;
        let token = Token {
            max_uses: Some(0),
            words: 4,
            ..Default::default()
        };
        Self {
            invite_token: school.invite_token().await,
            token: school.token(token).await,
            enrollment_code: school.enrollment_code(code(TYPED_CODE)).await,
            class_code: school.class_code().await,
            join_url: school.join_url().await,
            school,
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

/// Returns an enrollment code to create.
pub(crate) fn code(text: &str) -> EnrollmentCode {
    EnrollmentCode {
        code: text.to_owned(),
        ..Default::default()
    }
}
