//! What the person is told when an invitation does not let them in (02, Errors).

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, status::is_precondition};

/// The sentence for a reason: what to do next.
#[must_use]
pub fn sentence(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::CodeNotUsable => {
            "This opens nothing; check what was typed, or ask for a new one."
        }
        ErrorReason::NotYetValid => {
            "This is not valid yet; try again once it is, or ask who gave it out."
        }
        ErrorReason::NoLongerValid => "This is no longer valid; ask for a new one.",
        ErrorReason::UsedUp => "This has been used as often as it may be; ask for a new one.",
        ErrorReason::UseInProgress => {
            "The last uses are being taken right now; try again in a moment."
        }
        ErrorReason::EmailUnverified => {
            "This needs a verified email address; verify yours and try again."
        }
        ErrorReason::EmailDomainNotAllowed => {
            "This is for other email domains; use an address of the school."
        }
        ErrorReason::TokenAssignedToAnother => {
            "This was made for somebody else; ask for one of your own."
        }
        ErrorReason::SignUpNotGranted => {
            "Nobody registers with a join URL; register another way, then use it."
        }
        ErrorReason::NoSeats => {
            "Every licensed seat of the organization is taken; ask its administrator."
        }
        ErrorReason::ClassArchived => "The class is archived; ask its teacher.",
        ErrorReason::DeniedRecently => {
            "A request was denied less than 24 hours ago; ask again later."
        }
        ErrorReason::MembershipUnavailable => {
            "The membership service does not answer; the outcome is settled soon: retry with the same request_id."
        }
        // Membership keeps everything else of a person, or cleans it.
        ErrorReason::InvalidRequest => {
            "The person's external_id cannot be kept; correct it, without control characters, and try again."
        }
        _ => "This does not let the person in; ask who gave it out.",
    }
}

/// The error of a refusal. The same for every caller and credential, so that it tells nothing more
/// than its reason (R5).
#[must_use]
pub fn refusal(reason: ErrorReason) -> Error {
    let error = match reason {
        ErrorReason::UseInProgress | ErrorReason::MembershipUnavailable => {
            Error::unavailable(reason, sentence(reason))
        }
        ErrorReason::InvalidRequest => {
            Error::new(reason, sentence(reason)).violation("user.external_id", "cannot be kept")
        }
        _ => Error::new(reason, sentence(reason)),
    };
    if is_precondition(reason) {
        error.precondition(reason.as_str_name(), "credential", sentence(reason))
    } else {
        error
    }
}

/// Membership did not answer: the redemption stays reserved, and recovery drives it on (P1, P13).
#[must_use]
pub fn not_known_yet() -> Error {
    refusal(ErrorReason::MembershipUnavailable)
}
