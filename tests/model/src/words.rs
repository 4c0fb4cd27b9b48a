//! The messages between the services and to the caller, in the services' own types.

pub use homeroom_invitations::domain::{decide::Decision as Route, redemption::Outcome as Told};
pub use homeroom_membership::domain::admission::{Decision as Plan, Outcome as Word};

use homeroom_api::common::v1::ErrorReason;
use homeroom_invitations::domain::{
    decide::QueueCause,
    redemption::{MembershipAnswer, RequestEnd},
};
use homeroom_membership::domain::{
    admission,
    join_request::{Cause, State},
};

/// Returns membership's answer as invitations reads it.
#[must_use]
pub const fn heard(word: Word) -> MembershipAnswer {
    match word {
        Word::Admitted => MembershipAnswer::Admitted,
        Word::Queued => MembershipAnswer::Queued,
        Word::AlreadyPending => MembershipAnswer::AlreadyPending,
        Word::AlreadyMember => MembershipAnswer::AlreadyMember,
        Word::StaleEpoch => MembershipAnswer::StaleEpoch,
        Word::Refused(reason) => MembershipAnswer::Refused(reason),
    }
}

/// Returns the answer that the caller gets for `word`, or `None` if Redeem must decide again (P7).
#[must_use]
pub const fn told(word: Word) -> Option<Told> {
    Told::of(heard(word))
}

/// Returns a route in membership's terms, and the refusal for people who are not known (P3).
#[must_use]
pub const fn on_the_wire(route: Route) -> (admission::Route, Option<ErrorReason>) {
    let cause = match route {
        Route::Admit => return (admission::Route::AtOnce, None),
        Route::OnlyIfKnown(reason) | Route::Refuse(reason) => {
            return (admission::Route::AtOnce, Some(reason));
        }
        Route::Queue(QueueCause::JoinUrl) => Cause::JoinUrl,
        Route::Queue(QueueCause::CodeLocked) => Cause::CodeLocked,
        Route::Queue(QueueCause::GuessGuard) => Cause::GuessGuard,
    };
    (admission::Route::Queue(cause), None)
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
