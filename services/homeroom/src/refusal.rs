//! What a refusal says on the terminal.

use homeroom_kit::{server::REQUEST_ID_METADATA, status::code_name};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::dynamic::reason_of;

/// Returns a refusal with all its details: code and reason, the message, the error in each field, what must be mended
/// first, the metadata, when to retry, and what the operator needs to find it in the log.
pub(crate) fn told(address: &str, status: &Status) -> String {
    let mut text = code_name(status.code()).to_owned();
    let reason = reason_of(status);
    if !reason.is_empty() {
        text.push(' ');
        text.push_str(&reason);
    }
    text.push_str(": ");
    text.push_str(if status.message().is_empty() {
        status.code().description()
    } else {
        status.message()
    });
    let mut lines = vec![text];
    let fields = status.get_details_bad_request();
    for violation in fields
        .into_iter()
        .flat_map(|fields| fields.field_violations)
    {
        lines.push(described(&violation.field, violation.description));
    }
    let failed = status.get_details_precondition_failure();
    for violation in failed.into_iter().flat_map(|failed| failed.violations) {
        lines.push(described(&violation.subject, violation.description));
    }
    let info = status.get_details_error_info();
    for (name, value) in info.into_iter().flat_map(|info| info.metadata) {
        lines.push(format!("{name}: {value}"));
    }
    let retry = status.get_details_retry_info();
    if let Some(delay) = retry.and_then(|retry| retry.retry_delay) {
        lines.push(format!("retry after {} seconds", delay.as_secs_f64()));
    }
    if status.code() == Code::Unimplemented {
        lines.push(format!(
            "{address} does not have this method: is it the other service's?"
        ));
    }
    if status.code() == Code::Internal {
        let request_id = status.metadata().get(REQUEST_ID_METADATA);
        if let Some(id) = request_id.and_then(|id| id.to_str().ok()) {
            lines.push(format!("{REQUEST_ID_METADATA}: {id}"));
        }
    }
    lines.join("\n  ")
}

/// Returns the line of one violation; the one that counts the others has no name.
pub(crate) fn described(name: &str, description: String) -> String {
    if name.is_empty() {
        description
    } else {
        format!("{name}: {description}")
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::common::v1::ErrorReason;
    use homeroom_kit::{Error, status::FieldViolation};

    use super::*;

    #[test]
    fn a_refusal_says_its_code_reason_and_fields() {
        let all = vec![FieldViolation::new("parent", "must be set")];
        let error =
            Error::new(ErrorReason::InvalidRequest, "Correct the fields.").violations(all, 2);
        assert_eq!(
            told("127.0.0.1:1", &error.into()),
            "INVALID_ARGUMENT INVALID_REQUEST: Correct the fields.\n  parent: must be set\n  and 2 more"
        );
    }

    #[test]
    fn a_method_of_the_other_service_is_told_without_an_empty_reason() {
        let status = Status::from_header_map(&http::HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            http::HeaderValue::from_static("12"),
        )]))
        .unwrap();
        let said = told("127.0.0.1:50051", &status);
        assert!(
            said.starts_with("UNIMPLEMENTED: Operation is not implemented"),
            "{said}"
        );
        assert!(said.contains("127.0.0.1:50051"), "{said}");
    }

    #[test]
    fn a_defect_is_told_with_the_id_of_its_request() {
        let mut status = Status::from(Error::internal("a defect"));
        let id = "0190".parse().unwrap();
        status.metadata_mut().insert(REQUEST_ID_METADATA, id);
        let said = told("127.0.0.1:50051", &status);
        assert!(said.starts_with("INTERNAL: "), "{said}");
        assert!(said.ends_with("x-request-id: 0190"), "{said}");
    }
}
