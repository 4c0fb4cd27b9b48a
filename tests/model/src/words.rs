//! The messages between the services and to the caller.

use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::{
    decide::{self, QueueCause},
    redemption::{self, MembershipAnswer, RequestEnd},
};
use homeroom_membership::domain::{
    admission::{self, Decision},
    join_request::{Cause, State},
};

/// Membership's answer to T2 in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// The person is a member now.
    Admitted,
    /// A request was filed.
    Queued,
    /// A request was waiting already.
    AlreadyPending,
    /// The person was a member already.
    AlreadyMember,
    /// The epoch is below the fence.
    StaleEpoch,
    /// The person is not admitted.
    Refused(ErrorReason),
}

impl From<admission::Outcome> for Word {
    fn from(outcome: admission::Outcome) -> Self {
        match outcome {
            admission::Outcome::Admitted => Self::Admitted,
            admission::Outcome::Queued => Self::Queued,
            admission::Outcome::AlreadyPending => Self::AlreadyPending,
            admission::Outcome::AlreadyMember => Self::AlreadyMember,
            admission::Outcome::StaleEpoch => Self::StaleEpoch,
            admission::Outcome::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl From<Word> for admission::Outcome {
    fn from(word: Word) -> Self {
        match word {
            Word::Admitted => Self::Admitted,
            Word::Queued => Self::Queued,
            Word::AlreadyPending => Self::AlreadyPending,
            Word::AlreadyMember => Self::AlreadyMember,
            Word::StaleEpoch => Self::StaleEpoch,
            Word::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl From<Word> for MembershipAnswer {
    fn from(word: Word) -> Self {
        match word {
            Word::Admitted => Self::Admitted,
            Word::Queued => Self::Queued,
            Word::AlreadyPending => Self::AlreadyPending,
            Word::AlreadyMember => Self::AlreadyMember,
            Word::StaleEpoch => Self::StaleEpoch,
            Word::Refused(reason) => Self::Refused(reason),
        }
    }
}

/// Membership's decision on a redemption, kept between two steps by the variants that check first
/// and act later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Repeat the stored answer.
    Stored(Word),
    /// Make the person a member.
    Admit,
    /// File a request.
    Queue,
    /// Store this answer.
    Answer(Word),
}

impl From<Decision> for Plan {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Stored(outcome) => Self::Stored(outcome.into()),
            Decision::Admit => Self::Admit,
            Decision::Queue(_) => Self::Queue,
            Decision::Answer(outcome) => Self::Answer(outcome.into()),
        }
    }
}

/// The answer that the caller of Redeem gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Told {
    /// The person is admitted at once.
    Admitted,
    /// A request waits.
    PendingApproval,
    /// The person was a member already.
    AlreadyMember,
    /// The person is not admitted.
    Refused(ErrorReason),
}

impl From<redemption::Outcome> for Told {
    fn from(outcome: redemption::Outcome) -> Self {
        match outcome {
            redemption::Outcome::Admitted => Self::Admitted,
            redemption::Outcome::PendingApproval => Self::PendingApproval,
            redemption::Outcome::AlreadyMember => Self::AlreadyMember,
            redemption::Outcome::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl Told {
    /// Returns the answer that the caller gets for `word`, or `None` if Redeem must decide again
    /// (P7).
    #[must_use]
    pub fn of(word: Word) -> Option<Self> {
        redemption::Outcome::of(word.into()).map(Self::from)
    }
}

/// The route of a redemption, as its row stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Admits at once.
    AtOnce,
    /// Files a request.
    Queue(QueueCause),
    /// Asks only whether the person is in or waits already, and otherwise refuses (P3).
    OnlyIfKnown(ErrorReason),
}

impl Route {
    /// Returns the route of a decision; None if nothing is to be reserved.
    #[must_use]
    pub const fn of(decision: decide::Decision) -> Option<Self> {
        match decision {
            decide::Decision::Admit => Some(Self::AtOnce),
            decide::Decision::Queue(cause) => Some(Self::Queue(cause)),
            decide::Decision::OnlyIfKnown(reason) => Some(Self::OnlyIfKnown(reason)),
            decide::Decision::Refuse(_) => None,
        }
    }

    /// Returns the route in membership's terms, and the refusal for people who are not known.
    #[must_use]
    pub const fn on_the_wire(self) -> (admission::Route, Option<ErrorReason>) {
        match self {
            Self::AtOnce => (admission::Route::AtOnce, None),
            Self::Queue(cause) => (admission::Route::Queue(cause_of(cause)), None),
            Self::OnlyIfKnown(reason) => (admission::Route::AtOnce, Some(reason)),
        }
    }
}

const fn cause_of(cause: QueueCause) -> Cause {
    match cause {
        QueueCause::JoinUrl => Cause::JoinUrl,
        QueueCause::CodeLocked => Cause::CodeLocked,
        QueueCause::GuessGuard => Cause::GuessGuard,
    }
}

/// Returns the end that an event reports for a request's state; `None` while it waits.
#[must_use]
pub const fn end_of(state: State) -> Option<RequestEnd> {
    match state {
        State::Pending => None,
        State::Approved => Some(RequestEnd::Approved),
        State::Denied => Some(RequestEnd::Denied),
        State::Withdrawn => Some(RequestEnd::Withdrawn),
        State::Expired => Some(RequestEnd::Expired),
        State::Closed => Some(RequestEnd::Closed),
    }
}
