//! One attempt to redeem, and its progress.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result, status::code_of};
use tonic::Code;

use super::{
    ledger::{MatchedInvitation, Redemption, Route},
    reply::{Redeemed, not_known_yet, refusal},
    request::Attempt,
};
use crate::{
    domain::{
        decide::{Decision, Facts, decide},
        redemption::MembershipAnswer,
        refused_attempt::LimiterDecision,
    },
    limiter::Receipt,
    membership::Admission,
};

/// The progress of an attempt.
pub(super) enum Stage {
    /// Nothing is reserved for it.
    Fresh,
    /// The redemption is the attempt's own, or the live one that it met (P2); membership must be asked about it.
    Reserved {
        redemption: Box<Redemption>,
        attached: bool,
    },
    /// A usable invitation refuses the attempt, unless membership knows the person (R2).
    Refusing(ErrorReason),
    /// The attempt was refused before there was a redemption.
    Refused(Error),
    /// The attempt has its answer.
    Answered(Box<Result<Redeemed>>),
}

/// One attempt under way.
pub(super) struct InFlight {
    pub(super) attempt: Attempt,
    pub(super) stage: Stage,
    /// The receipt of its charge, until that is settled.
    pub(super) receipt: Option<Receipt>,
    /// The decision of the limiter.
    pub(super) limiter_decision: LimiterDecision,
    /// The invitation that was matched last.
    pub(super) matched: Option<MatchedInvitation>,
    /// The time at which the attempt came. The answer for a redemption that began later is an answer to the attempt
    /// too.
    since: DateTime<Utc>,
}

impl InFlight {
    pub(super) fn of(attempt: Attempt, now: DateTime<Utc>) -> Self {
        Self {
            attempt,
            stage: Stage::Fresh,
            receipt: None,
            limiter_decision: LimiterDecision::Allowed,
            matched: None,
            since: now,
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

    /// Refuses the attempt. A usable invitation refuses only after membership was asked whether the person is a member
    /// or waits (R2).
    pub(super) fn refuse_unless_known(&mut self, reason: ErrorReason) {
        match reason {
            ErrorReason::CodeNotUsable => self.refuse(reason),
            _ => self.stage = Stage::Refusing(reason),
        }
    }

    pub(super) fn attach(&mut self, redemption: Redemption, attached: bool) {
        self.stage = Stage::Reserved {
            redemption: Box::new(redemption),
            attached,
        };
    }

    /// Has the attempt decided again, because the redemption that it met is over: any redemption that it meets now has
    /// begun since.
    pub(super) fn decide_again(&mut self) {
        self.since = DateTime::<Utc>::MIN_UTC;
        self.stage = Stage::Fresh;
    }

    /// Returns true if membership's answer for the live redemption `met` does not answer this attempt. Either `met` is
    /// over: it had its answer before and waits to be settled, or its request has ended and the feed is late. Or it led
    /// to the queue, and the person would be let in by now (P2).
    pub(super) fn is_over(
        &self,
        met: &Redemption,
        admission: &Admission,
        now: DateTime<Utc>,
    ) -> bool {
        let began_since = met.create_time >= self.since;
        match admission.answer {
            MembershipAnswer::Queued => {
                admission.request_end.is_some() || (!began_since && self.gets_in_at_once(met, now))
            }
            MembershipAnswer::Refused(_) => !began_since,
            _ => !began_since && admission.answered_before,
        }
    }

    /// Returns true if the person would be let in at once now, and was not let in at once when `met` began.
    fn gets_in_at_once(&self, met: &Redemption, now: DateTime<Utc>) -> bool {
        let Some(matched) = &self.matched else {
            return false;
        };
        let invitation = &matched.row.invitation;
        let facts = Facts {
            has_use: true,
            ..self.attempt.facts.clone()
        };
        let changed =
            met.route != Route::AdmitAtOnce || (invitation.allow_rejoin && !met.allow_rejoin);
        changed && decide(invitation, &facts, now) == Decision::Admit
    }

    /// Returns the reason of the refusal, if no redemption records it.
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
            Stage::Fresh | Stage::Reserved { .. } | Stage::Refusing(_) => Err(not_known_yet()),
        }
    }
}

/// Returns true if a reason is a decision, and not a sign that something is unreachable or under way.
pub(super) fn is_decision(reason: ErrorReason) -> bool {
    reason == ErrorReason::EmailMalformed
        || matches!(
            code_of(reason),
            Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
        )
}
