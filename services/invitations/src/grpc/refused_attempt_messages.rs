//! Refused attempts as messages of the contract.

use homeroom_api::invitations::v1::{self as api, refused_attempt};
use homeroom_kit::clock::to_timestamp;

use super::log_parent::{log_class, log_name};
use crate::store::{LimiterDecision, RefusedAttempt};

fn limiter_decision(decision: LimiterDecision) -> refused_attempt::LimiterDecision {
    use refused_attempt::LimiterDecision as D;
    match decision {
        LimiterDecision::Allowed => D::Allowed,
        LimiterDecision::Guarded => D::Guarded,
        LimiterDecision::RefusedUser => D::RefusedUser,
        LimiterDecision::RefusedAddress => D::RefusedAddress,
        LimiterDecision::RefusedCallingService => D::RefusedCallingService,
    }
}

impl From<RefusedAttempt> for api::RefusedAttempt {
    fn from(attempt: RefusedAttempt) -> Self {
        let place = attempt.place.as_ref();
        Self {
            name: log_name(place, "refusedAttempts", attempt.id),
            class: log_class(place),
            invitation: attempt.invitation,
            user: attempt.user.to_string(),
            calling_service: attempt.calling_service,
            preview: attempt.preview,
            reason: attempt.reason.into(),
            limiter_decision: limiter_decision(attempt.limiter_decision).into(),
            create_time: Some(to_timestamp(attempt.create_time)),
        }
    }
}
