//! One attempt to redeem, and how far it has come.

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result, status::code_of};
use tonic::Code;

use super::{
    ledger::{MatchedInvitation, Redemption},
    reply::{Redeemed, not_known_yet, refusal},
    request::Attempt,
};
use crate::{limiter::Receipt, store::LimiterDecision};

/// An attempt that was charged and may go on.
#[derive(Debug)]
pub(super) struct Charged {
    pub(super) receipt: Receipt,
    /// Short credentials lead to the queue for now.
    pub(super) guess_guarded: bool,
}

impl Charged {
    /// Returns the limiter's decision, for the log.
    pub(super) const fn decision(&self) -> LimiterDecision {
        if self.guess_guarded {
            LimiterDecision::Guarded
        } else {
            LimiterDecision::Allowed
        }
    }
}

/// How far an attempt has come.
pub(super) enum Stage {
    /// Nothing is reserved for it.
    Fresh,
    /// This redemption is its own, or the living one that it met (P2): membership is to be asked about it.
    Reserved {
        redemption: Box<Redemption>,
        attached: bool,
    },
    /// It was refused before there was a redemption.
    Refused(Error),
    /// It has its answer.
    Answered(Box<Result<Redeemed>>),
}

/// One attempt on its way.
pub(super) struct InFlight {
    pub(super) attempt: Attempt,
    pub(super) stage: Stage,
    pub(super) charged: Option<Charged>,
    /// What the limiter said.
    pub(super) limiter_decision: LimiterDecision,
    /// The invitation that was found last.
    pub(super) matched: Option<MatchedInvitation>,
}

impl InFlight {
    pub(super) fn of(attempt: Attempt) -> Self {
        Self {
            attempt,
            stage: Stage::Fresh,
            charged: None,
            limiter_decision: LimiterDecision::Allowed,
            matched: None,
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Fresh)
    }

    pub(super) fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Refused(_) | Stage::Answered(_))
    }

    pub(super) fn answer(&mut self, result: Result<Redeemed>) {
        self.stage = Stage::Answered(Box::new(result));
    }

    pub(super) fn refuse(&mut self, reason: ErrorReason) {
        self.stage = Stage::Refused(refusal(reason));
    }

    pub(super) fn attach(&mut self, redemption: Redemption, attached: bool) {
        self.stage = Stage::Reserved {
            redemption: Box::new(redemption),
            attached,
        };
    }

    /// Returns why it was refused, if no redemption tells of it.
    pub(super) fn refusal_to_log(&self) -> Option<ErrorReason> {
        match &self.stage {
            Stage::Refused(error) => Some(error.reason()).filter(|reason| is_decision(*reason)),
            _ => None,
        }
    }

    pub(super) fn into_answer(self) -> Result<Redeemed> {
        match self.stage {
            Stage::Answered(result) => *result,
            Stage::Refused(error) => Err(error),
            Stage::Fresh | Stage::Reserved { .. } => Err(not_known_yet()),
        }
    }
}

/// Returns true if a reason is a decision, and not that something is away or under way.
pub(super) fn is_decision(reason: ErrorReason) -> bool {
    matches!(
        code_of(reason),
        Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
    )
}
