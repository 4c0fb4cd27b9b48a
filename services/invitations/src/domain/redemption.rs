//! The life of one redemption, from the reservation to its end; only membership's word ends it.

use homeroom_api::common::v1::ErrorReason;

homeroom_kit::named! {
    /// The state of a redemption. It only ever goes forward.
    pub enum RedemptionState: as_str, from_name {
        /// T1 is done, and membership has not answered yet (P1).
        Reserved = "RESERVED",
        /// A request waits for a person's decision; its use stays held.
        Queued = "QUEUED",
        /// The person is in; the use is spent.
        Committed = "COMMITTED",
        /// The redemption ended without a refusal: the person was known already, or the request was withdrawn, denied or
        /// expired; the use is given back.
        Released = "RELEASED",
        /// Membership refused; the use is given back.
        Refused = "REFUSED",
    }
}

impl RedemptionState {
    /// Returns the maximum time until the next try of a live redemption, in seconds: 60 for a reservation (P13), 75
    /// minutes for a queued one (P5). A try that is farther ahead was scheduled by a clock that has been set back
    /// since, and is due.
    #[must_use]
    pub const fn try_ahead_seconds_max(self) -> i64 {
        match self {
            Self::Queued => 75 * 60,
            _ => 60,
        }
    }

    /// Returns true if the redemption has ended: its state never changes any more (I4). One that has not ended is live:
    /// there is one for each (invitation, epoch, user), which later attempts join (P2).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::Released | Self::Refused)
    }
}

/// Membership's answer to T2, stored there under the redemption's id (P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipAnswer {
    /// The person was admitted.
    Admitted,
    /// A request was filed.
    Queued,
    /// The person has an open request already, which this redemption joins (R2, P2).
    AlreadyPending,
    /// The person is a member (R2).
    AlreadyMember,
    /// The fence is above the redemption's epoch: decide again (P7).
    StaleEpoch,
    /// Refused, for this reason.
    Refused(ErrorReason),
}

homeroom_kit::named! {
    /// The end of a request that membership holds (P5).
    pub enum RequestEnd: as_str, from_name {
        /// Staff let the person in.
        Approved = "APPROVED",
        /// Staff turned the person away.
        Denied = "DENIED",
        /// The person withdrew the request.
        Withdrawn = "WITHDRAWN",
        /// The request expired after 90 days.
        Expired = "EXPIRED",
        /// The request was closed by an admission by another way, a removal, an erasure or the class's end.
        Closed = "CLOSED",
    }
}

/// T3: returns the state after membership's `answer`. Only RESERVED moves, so that a repeated or late answer overwrites
/// nothing.
#[must_use]
pub const fn settle(state: RedemptionState, answer: MembershipAnswer) -> RedemptionState {
    match (state, answer) {
        (RedemptionState::Reserved, MembershipAnswer::Admitted) => RedemptionState::Committed,
        (RedemptionState::Reserved, MembershipAnswer::Queued) => RedemptionState::Queued,
        // A stale redemption has ended; a new decision begins another one.
        (
            RedemptionState::Reserved,
            MembershipAnswer::AlreadyPending
            | MembershipAnswer::AlreadyMember
            | MembershipAnswer::StaleEpoch,
        ) => RedemptionState::Released,
        (RedemptionState::Reserved, MembershipAnswer::Refused(_)) => RedemptionState::Refused,
        (settled, _) => settled,
    }
}

/// P5: returns the state after the end of the redemption's request, from RESERVED and QUEUED alike: the feed may be
/// faster than the answer.
#[must_use]
pub const fn follow(state: RedemptionState, end: RequestEnd) -> RedemptionState {
    match (state, end) {
        (RedemptionState::Reserved | RedemptionState::Queued, RequestEnd::Approved) => {
            RedemptionState::Committed
        }
        (RedemptionState::Reserved | RedemptionState::Queued, _) => RedemptionState::Released,
        (settled, _) => settled,
    }
}

/// The answer to the caller, kept as the first outcome of the redemption (P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The person was admitted at once.
    Admitted,
    /// A request is filed and waits (C10).
    PendingApproval,
    /// The person was a member already; nothing was spent (R2).
    AlreadyMember,
    /// The person was refused, for this reason.
    Refused(ErrorReason),
}

impl Outcome {
    /// Returns the outcome for the caller of membership's `answer`; `None` if it means that the attempt must be decided
    /// again (P7).
    #[must_use]
    pub const fn of(answer: MembershipAnswer) -> Option<Self> {
        match answer {
            MembershipAnswer::Admitted => Some(Self::Admitted),
            MembershipAnswer::Queued | MembershipAnswer::AlreadyPending => {
                Some(Self::PendingApproval)
            }
            MembershipAnswer::AlreadyMember => Some(Self::AlreadyMember),
            MembershipAnswer::StaleEpoch => None,
            // R5: an invitation into a class or organization that is gone gets the same answer as an unknown one.
            MembershipAnswer::Refused(
                ErrorReason::ClassNotFound | ErrorReason::OrganizationNotFound,
            ) => Some(Self::Refused(ErrorReason::CodeNotUsable)),
            MembershipAnswer::Refused(reason) => Some(Self::Refused(reason)),
        }
    }

    /// Returns true if the limiter gives the attempt's charge back: the credential is usable and the person eligible.
    /// An attempt that is refused for another reason stays charged as a guess (R5).
    ///
    /// The charge is also given back for a use in progress, which asks an eligible person to try again, and for answers
    /// that reveal nothing to a guesser: a defect of this service, a database or service that did not answer, a
    /// deadline that is too short, a request id that was used before.
    #[must_use]
    pub const fn refunds(self) -> bool {
        match self {
            Self::Admitted | Self::PendingApproval | Self::AlreadyMember => true,
            Self::Refused(reason) => matches!(
                reason,
                ErrorReason::Unspecified
                    | ErrorReason::NoSeats
                    | ErrorReason::UseInProgress
                    | ErrorReason::DeadlineTooShort
                    | ErrorReason::RequestIdConflict
                    | ErrorReason::MembershipUnavailable
                    | ErrorReason::DatabaseUnavailable
                    | ErrorReason::Overloaded
            ),
        }
    }
}

#[cfg(test)]
#[path = "redemption_tests.rs"]
mod tests;
