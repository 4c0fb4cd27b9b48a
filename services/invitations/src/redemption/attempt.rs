//! One attempt to redeem, and how far it has come.

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
    },
    limiter::Receipt,
    membership::Admission,
    store::LimiterDecision,
};

/// An attempt that was charged and may go on.
#[derive(Debug)]
pub(super) struct Charged {
    pub(super) receipt: Receipt,
    /// Short credentials lead to the queue for now.
    pub(super) guess_guarded: bool,
}

impl Charged {
    /// Returns true if the user has made this guess before, and so pays nothing for it.
    pub(super) const fn is_repeat(&self) -> bool {
        self.receipt.is_repeat()
    }

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
    /// A living invitation refuses it, unless membership knows the person (R2).
    Refusing(ErrorReason),
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
    /// When it came. What is answered to a redemption that began since is an answer to it too.
    since: DateTime<Utc>,
}

impl InFlight {
    pub(super) fn of(attempt: Attempt, now: DateTime<Utc>) -> Self {
        Self {
            attempt,
            stage: Stage::Fresh,
            charged: None,
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

    /// Refuses it. Who is in, or waits, is told so before a living invitation refuses (R2).
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

    /// Has it decided again, since what it met is over: whatever it meets now has begun since.
    pub(super) fn decide_again(&mut self) {
        self.since = DateTime::<Utc>::MIN_UTC;
        self.stage = Stage::Fresh;
    }

    /// Returns true if membership's answer to a living redemption that it met is none to it. The redemption is over: it
    /// has its answer from before and waits to be settled, or its request ended and the feed is late. Or it has led to
    /// the queue, and the person would be let in by now (P2).
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

    /// Returns true if the person would be let in at once now, and was not to be when `met` began.
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
            Stage::Fresh | Stage::Reserved { .. } | Stage::Refusing(_) => Err(not_known_yet()),
        }
    }
}

/// Returns true if a reason is a decision, and not that something is away or under way.
pub(super) fn is_decision(reason: ErrorReason) -> bool {
    reason == ErrorReason::EmailMalformed
        || matches!(
            code_of(reason),
            Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
        )
}
