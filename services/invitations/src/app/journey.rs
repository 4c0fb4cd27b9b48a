//! One attempt on its way through Redeem.

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result};

use super::{
    attempt::Attempt,
    attempt_log::{Meant, is_decision},
    charge::Charged,
    redeemed::Redeemed,
    refusal::refusal,
};
use crate::store::{LimiterDecision, Redemption};

/// One attempt on its way.
pub(super) struct Journey {
    pub(super) attempt: Attempt,
    pub(super) charged: Option<Charged>,
    /// The redemption that the request id names already (P9).
    pub(super) replay: Option<Redemption>,
    pub(super) answer: Option<Result<Redeemed>>,
    /// What the limiter said.
    pub(super) limiter_decision: LimiterDecision,
    /// The invitation that was found last.
    pub(super) meant: Option<Meant>,
    /// Why it was refused before there was a redemption.
    pub(super) refused: Option<ErrorReason>,
}

impl Journey {
    pub(super) fn of(attempt: Attempt) -> Self {
        Self {
            attempt,
            charged: None,
            replay: None,
            answer: None,
            limiter_decision: LimiterDecision::Allowed,
            meant: None,
            refused: None,
        }
    }

    /// Answers that it is refused; no redemption tells of it.
    pub(super) fn refuse(&mut self, reason: ErrorReason) {
        self.refused = Some(reason).filter(|reason| is_decision(*reason));
        self.answer = Some(Err(refusal(reason)));
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.answer.is_none() && self.replay.is_none()
    }
}

pub(super) fn answer(journeys: &mut [Journey], index: usize, result: Result<Redeemed>) {
    if let Some(journey) = journeys.get_mut(index) {
        journey.answer = Some(result);
    }
}

/// What could not go on answers why not.
pub(super) fn fail_fresh(journeys: &mut [Journey], error: &Error) {
    for journey in journeys.iter_mut().filter(|journey| journey.is_fresh()) {
        journey.answer = Some(Err(error.clone()));
    }
}
