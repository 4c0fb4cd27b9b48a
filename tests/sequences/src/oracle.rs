//! Checks the answers that callers get.

use homeroom_api::{common::v1::ErrorReason, invitations::v1::RedeemResponse};
use homeroom_kit::status::{ERROR_DOMAIN, code_of};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Returns what is wrong with a failure, if anything: every failure has a reason of the contract
/// and its code.
#[must_use]
pub fn wrong_failure(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return Some(format!("a failure without a reason: {status:?}"));
    };
    let Some(reason) = ErrorReason::from_str_name(&info.reason) else {
        return Some(format!(
            "a reason that is not in the contract: {}",
            info.reason
        ));
    };
    if info.domain != ERROR_DOMAIN || code_of(reason) != status.code() {
        return Some(format!("{} traveled as {:?}", info.reason, status.code()));
    }
    let retried = matches!(
        status.code(),
        Code::Aborted | Code::Unavailable | Code::ResourceExhausted
    );
    let tells_when = details.retry_info().is_some() || reason == ErrorReason::MessageTooLarge;
    (retried && !tells_when).then(|| format!("{} does not tell when to retry", info.reason))
}

/// Returns what is wrong with a failure in a batch, if anything.
#[must_use]
pub fn wrong_part(part: &tonic_types::Status) -> Option<String> {
    use prost::Message as _;

    let details = part.encode_to_vec().into();
    wrong_failure(&Status::with_details(
        Code::from(part.code),
        part.message.clone(),
        details,
    ))
}

/// Returns true if two answers to the same attempt differ in nothing but time (I7).
#[must_use]
pub fn is_same_redemption(one: &RedeemResponse, other: &RedeemResponse) -> bool {
    one.redemption == other.redemption && one.outcome == other.outcome
}

#[cfg(test)]
mod tests {
    use homeroom_kit::Error;

    use super::*;

    #[test]
    fn a_failure_has_a_reason_and_its_code() {
        let right = Status::from(Error::new(ErrorReason::NoSeats, "Buy more seats."));
        assert_eq!(wrong_failure(&right), None);
        let away = Status::from(Error::unavailable(ErrorReason::Overloaded, "Retry."));
        assert_eq!(wrong_failure(&away), None);
    }

    #[test]
    fn internal_and_bare_failures_are_wrong() {
        for wrong in [
            Status::from(Error::internal("a defect")),
            Status::unknown("something"),
            Status::with_details(
                Code::Internal,
                "",
                Status::from(Error::new(ErrorReason::NoSeats, ""))
                    .details()
                    .to_vec()
                    .into(),
            ),
        ] {
            assert!(wrong_failure(&wrong).is_some(), "{wrong:?}");
        }
    }
}
