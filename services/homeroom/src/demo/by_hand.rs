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

    let read = buf_curl(
        "TEACHER",
        &format!("http://{invitations}/homeroom.invitations.v1.ClassCodeService/GetClassCode"),
        &format!(r#"{{"name": "{CLASS}/classCode"}}"#),
    );
    let redeem = buf_curl(
        "STUDENT",
        &format!("http://{invitations}/homeroom.invitations.v1.RedemptionService/Redeem"),
        &format!(r#"{{"credential": "{class_code}"}}"#),
    );
    let roster = grpcurl(
        "TEACHER",
        &membership.to_string(),
        "homeroom.membership.v1.MemberService/ListClassMembers",
        &format!(r#"{{"parent": "{CLASS}"}}"#),
    );
    let token = token_command(folder.path());
    print::title("Now try it yourself, in another terminal");
    print::plain(&format!(
        "
export TEACHER={teacher}
export STUDENT={student}

# The class code, with buf curl:
{read}

# A new student uses it:
{redeem}

# The roster, with grpcurl:
{roster}

# Everything there is to call:
grpcurl -plaintext {invitations} list

# More tokens:
{token} --user platform --scope homeroom.platform

Ctrl-C ends it."
    ));
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
