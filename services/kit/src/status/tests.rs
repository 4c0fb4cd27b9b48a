use super::*;
use Code::{
    Aborted, AlreadyExists, DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound,
    OutOfRange, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable,
};

/// The contract's table of codes and reasons, written a second time from a client's point of view.
const TABLE: &[(Code, &str)] = &[
    (
        InvalidArgument,
        "INVALID_REQUEST INVALID_FILTER INVALID_PAGE_TOKEN CODE_MALFORMED EMAIL_MALFORMED DOMAIN_TOO_BROAD WEAK_CODE",
    ),
    (
        NotFound,
        "ORGANIZATION_NOT_FOUND CLASS_NOT_FOUND MEMBER_NOT_FOUND JOIN_REQUEST_NOT_FOUND TOKEN_NOT_FOUND CODE_NOT_FOUND REDEMPTION_NOT_FOUND CODE_NOT_USABLE",
    ),
    (
        AlreadyExists,
        "ORGANIZATION_EXISTS CLASS_EXISTS MEMBER_EXISTS CODE_TAKEN REQUEST_ID_CONFLICT",
    ),
    (
        FailedPrecondition,
        "NO_SEATS CLASS_ARCHIVED ORGANIZATION_NOT_EMPTY LAST_OWNER ALREADY_DECIDED DENIED_RECENTLY NOT_YET_VALID NO_LONGER_VALID USED_UP EMAIL_UNVERIFIED EMAIL_DOMAIN_NOT_ALLOWED TOKEN_ASSIGNED_TO_ANOTHER SIGN_UP_NOT_GRANTED TOO_MANY_REMOVALS",
    ),
    (Aborted, "ETAG_MISMATCH USE_IN_PROGRESS STALE_PLAN"),
    (ResourceExhausted, "TOO_MANY_ATTEMPTS MESSAGE_TOO_LARGE"),
    (
        Unavailable,
        "OVERLOADED MEMBERSHIP_UNAVAILABLE DATABASE_UNAVAILABLE",
    ),
    (OutOfRange, "PAGE_TOKEN_EXPIRED"),
    (DeadlineExceeded, "DEADLINE_TOO_SHORT"),
    (Unauthenticated, "ACCESS_TOKEN_INVALID ACCESS_TOKEN_EXPIRED"),
    (PermissionDenied, "SCOPE_MISSING ROLE_REQUIRED"),
];

/// Returns every reason. Values run to 140; a larger range is tried.
fn every_reason() -> impl Iterator<Item = ErrorReason> {
    (1..1_000).filter_map(|number| ErrorReason::try_from(number).ok())
}

#[test]
fn every_reason_stands_in_the_table_once_with_its_code() {
    for reason in every_reason() {
        let rows: Vec<Code> = TABLE
            .iter()
            .filter(|(_, names)| names.split(' ').any(|name| name == reason.as_str_name()))
            .map(|(code, _)| *code)
            .collect();
        assert_eq!(rows, [code_of(reason)], "{}", reason.as_str_name());
    }
    let written: usize = TABLE
        .iter()
        .map(|(_, names)| names.split(' ').count())
        .sum();
    assert_eq!(written, every_reason().count());
}

#[test]
fn every_reason_survives_the_wire_and_back() {
    for reason in every_reason() {
        let error = Error::new(reason, "Do this next.")
            .metadata("key", "value")
            .violation("field", "is wrong")
            .precondition("TYPE", "subject", "was not so")
            .quota("user:1", "spent")
            .resource("type", "name");
        let status = tonic::Status::from(error);
        assert_eq!(status.code(), code_of(reason));
        let back = Error::from_status(&status).unwrap();
        assert_eq!(back.reason(), reason);
        assert_eq!(back.message(), "Do this next.");
        let again = tonic::Status::from(back);
        assert_eq!(again.details(), status.details(), "{reason:?}");
    }
}

#[test]
fn codes_that_promise_retry_info_always_carry_it() {
    for reason in every_reason() {
        let status = tonic::Status::from(Error::new(reason, "x"));
        let promised = matches!(code_of(reason), Aborted | Unavailable)
            || reason == ErrorReason::TooManyAttempts;
        let is_carried = status.get_details_retry_info().is_some();
        assert_eq!(is_carried, promised, "{reason:?}");
    }
    let error = Error::new(ErrorReason::TooManyAttempts, "x");
    let status = tonic::Status::from(error.retry_after(Duration::from_secs(7)));
    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(7)));
}

#[test]
fn an_internal_failure_tells_the_caller_nothing_of_its_cause() {
    let error = Error::internal("relation \"users\" does not exist");
    assert!(error.to_string().contains("relation"));
    let status = tonic::Status::from(error);
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("relation"));
    assert!(!String::from_utf8_lossy(status.details()).contains("relation"));
    assert!(Error::from_status(&status).is_none());
}

#[test]
fn a_status_of_another_domain_is_not_ours() {
    let details = ErrorDetails::with_error_info("NO_SEATS", "example.com", []);
    let foreign = tonic::Status::with_error_details(Code::FailedPrecondition, "x", details);
    assert!(Error::from_status(&foreign).is_none());
    let unknown = ErrorDetails::with_error_info("NO_CHAIRS", ERROR_DOMAIN, []);
    let unknown = tonic::Status::with_error_details(Code::FailedPrecondition, "x", unknown);
    assert!(Error::from_status(&unknown).is_none());
}

/// The bytes of the headers of a refusal that nginx takes by default: a page of memory for the frame. grpcio takes 8 KiB.
const HEADERS_BYTES_MAX: usize = 4 * 1024;
/// The bytes of the headers besides those of the status: the frame's head, `:status`, `date` and the longest
/// `x-request-id`.
const OTHER_HEADERS_BYTES: usize = 200;

/// Returns the bytes of the headers of a refusal, as they are before Huffman's code shortens them by a fifth.
fn header_bytes(status: Status) -> usize {
    let refusal = status.into_http::<()>();
    let headers = refusal.headers().iter();
    headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

#[test]
fn violations_are_described_up_to_the_bytes_that_every_client_and_proxy_takes() {
    const SHORT: usize = 15;
    let refusal = |last: usize| {
        let mut all = vec![FieldViolation::new("field", "x".repeat(100)); SHORT];
        all.push(FieldViolation::new("last", "x".repeat(last)));
        let message = "m".repeat(150);
        let error = Error::new(ErrorReason::InvalidRequest, message).violations(all, 7);
        let status = Status::from(error);
        let bad = status.get_details_bad_request().unwrap();
        let counted = bad.field_violations.last().unwrap().description.clone();
        (status, bad.field_violations.len(), counted)
    };
    let edge = (0..STATUS_BYTES_MAX).take_while(|last| refusal(*last).1 == SHORT + 2);
    let edge = edge.last().unwrap();
    let (status, _, counted) = refusal(edge);
    assert_eq!(status.details().len(), STATUS_BYTES_MAX);
    assert_eq!(counted, "and 7 more");
    assert!(header_bytes(status) + OTHER_HEADERS_BYTES <= HEADERS_BYTES_MAX);
    let (status, described, counted) = refusal(edge + 1);
    assert_eq!((described, counted.as_str()), (SHORT + 1, "and 8 more"));
    assert!(status.details().len() < STATUS_BYTES_MAX);
}

#[test]
fn u17_so_many_classes_are_named_as_every_client_takes() {
    let name = "organizations/hamilton/classes/biology-101".to_owned() + &"1".repeat(100);
    let error = Error::new(ErrorReason::LastOwner, "Transfer them.");
    let error = (0..100).fold(error, |error, _| {
        error.precondition("OWNER", &name, "is owned")
    });
    let status = Status::from(error);
    assert!(status.details().len() <= STATUS_BYTES_MAX);
    let named = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    let (counted, named) = named.split_last().unwrap();
    assert!(named.iter().all(|one| one.subject == name));
    let more = 100 - named.len();
    assert_eq!(counted.description, format!("and {more} more"));
}
