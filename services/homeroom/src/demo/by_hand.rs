//! Commands that a person can paste after the story.

use chrono::TimeDelta;

use super::{
    print,
    stage::Stage,
    step::Actor,
    story::{CLASS, TEACHER},
};
use crate::{Failure, data_folder::DataFolder, embedded::Embedded, serve::token_command};

/// The validity of the pasted tokens.
const PASTED_TOKEN_LIFE: TimeDelta = TimeDelta::hours(12);
const NEW_STUDENT: Actor = Actor::person("student-9");

/// Prints `buf curl` and grpcurl lines with a token.
pub(super) fn print(
    stage: &Stage<'_>,
    embedded: &Embedded,
    folder: &DataFolder,
    class_code: &str,
) -> Result<(), Failure> {
    let teacher = stage.token(TEACHER, PASTED_TOKEN_LIFE)?;
    let student = stage.token(NEW_STUDENT, PASTED_TOKEN_LIFE)?;
    let invitations = embedded.invitations_address();
    let membership = embedded.membership_address();

    print::title("Now try it yourself, in another terminal");
    print::plain(&format!("\nexport TEACHER={teacher}"));
    print::plain(&format!("export STUDENT={student}"));
    print::plain("\n# The class code, with buf curl:");
    print::plain(&buf_curl(
        "TEACHER",
        &format!("http://{invitations}/homeroom.invitations.v1.ClassCodeService/GetClassCode"),
        &format!(r#"{{"name": "{CLASS}/classCode"}}"#),
    ));
    print::plain("\n# A new student uses it:");
    print::plain(&buf_curl(
        "STUDENT",
        &format!("http://{invitations}/homeroom.invitations.v1.RedemptionService/Redeem"),
        &format!(r#"{{"credential": "{class_code}"}}"#),
    ));
    print::plain("\n# The roster, with grpcurl:");
    print::plain(&grpcurl(
        "TEACHER",
        &membership.to_string(),
        "homeroom.membership.v1.MemberService/ListClassMembers",
        &format!(r#"{{"parent": "{CLASS}"}}"#),
    ));
    print::plain("\n# Everything there is to call:");
    print::plain(&format!("grpcurl -plaintext {invitations} list"));
    print::plain("\n# More tokens:");
    print::plain(&format!(
        "{} --user platform --scope homeroom.platform",
        token_command(folder.path())
    ));
    print::plain("\nCtrl-C ends it.");
    Ok(())
}

fn buf_curl(token: &str, url: &str, body: &str) -> String {
    format!(
        "buf curl --protocol grpc --http2-prior-knowledge -H \"authorization: Bearer ${token}\" \\\n  -d '{body}' \\\n  {url}"
    )
}

fn grpcurl(token: &str, address: &str, method: &str, body: &str) -> String {
    format!(
        "grpcurl -plaintext -H \"authorization: Bearer ${token}\" \\\n  -d '{body}' \\\n  {address} {method}"
    )
}
