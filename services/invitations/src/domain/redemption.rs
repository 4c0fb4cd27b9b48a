//! The life of one redemption: from the reservation to its end, on the word of
//! membership alone (03, the redemption protocol).

use homeroom_api::common::v1::ErrorReason;

/// Where a redemption stands. It only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RedemptionState {
    /// T1 is done, membership has not been heard (P1).
    Reserved,
    /// A request waits for a person's decision; its use stays held.
    Queued,
    /// The person is in; the use is spent.
    Committed,
    /// Over without a refusal: known already, withdrawn, denied, expired; the use is given back.
    Released,
    /// Membership refused; the use is given back.
    Refused,
}

homeroom_kit::named! {
    RedemptionState, as_str, from_name:
    Reserved = "RESERVED",
    Queued = "QUEUED",
    Committed = "COMMITTED",
    Released = "RELEASED",
    Refused = "REFUSED",
}

impl RedemptionState {
    /// How far ahead the next try of a living redemption is set at most, in seconds: 60 of a
    /// reservation (P13), 75 minutes of a queued one (P5). What lies farther ahead was set by a
    /// clock that has been stepped back since, and is due.
    #[must_use]
    pub const fn try_ahead_seconds_max(self) -> i64 {
        match self {
            Self::Queued => 75 * 60,
            _ => 60,
        }
    }

    /// Whether it has ended: nothing moves it any more (I4). One that has not is living: one for each
    /// (invitation, epoch, user), to which a second attaches (P2).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::Released | Self::Refused)
    }
}

/// Membership's answer to T2, stored there under the redemption's id (P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipAnswer {
    /// The person was taken in.
    Admitted,
    /// A request was filed.
    Queued,
    /// An open request of the person exists; this one led to it (R2, P2).
    AlreadyPending,
    /// The person is a member (R2).
    AlreadyMember,
    /// The fence is above the redemption's epoch: decide again (P7).
    StaleEpoch,
    /// Refused, for this reason.
    Refused(ErrorReason),
}

/// How a request that membership holds came to its end (P5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestEnd {
    /// Staff let the person in.
    Approved,
    /// Staff did not.
    Denied,
    /// The person took it back.
    Withdrawn,
    /// 90 days passed.
    Expired,
    /// An admission by another way, a removal, an erasure or the class's end closed it.
    Closed,
}

/// T3: the state after membership's `answer`. Only RESERVED moves, so that a
/// repeated or late answer overwrites nothing.
#[must_use]
pub const fn settle(state: RedemptionState, answer: MembershipAnswer) -> RedemptionState {
    match (state, answer) {
        (RedemptionState::Reserved, MembershipAnswer::Admitted) => RedemptionState::Committed,
        (RedemptionState::Reserved, MembershipAnswer::Queued) => RedemptionState::Queued,
        // A stale one has ended; deciding again begins another.
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

/// P5: the state after the end of the redemption's request, from RESERVED and
/// QUEUED alike: the feed may be faster than the answer.
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

/// What the caller is told; kept as the first outcome of the redemption (P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// In at once.
    Admitted,
    /// A request is filed and waits (C10).
    PendingApproval,
    /// In already; nothing spent (R2).
    AlreadyMember,
    /// Not in, for this reason.
    Refused(ErrorReason),
}

impl Outcome {
    /// The outcome that membership's `answer` means to the caller; `None`
    /// where it means to decide again (P7).
    #[must_use]
    pub const fn of(answer: MembershipAnswer) -> Option<Self> {
        match answer {
            MembershipAnswer::Admitted => Some(Self::Admitted),
            MembershipAnswer::Queued | MembershipAnswer::AlreadyPending => {
                Some(Self::PendingApproval)
            }
            MembershipAnswer::AlreadyMember => Some(Self::AlreadyMember),
            MembershipAnswer::StaleEpoch => None,
            // What leads to a class or organization that is gone opens nothing, like any other (R5).
            MembershipAnswer::Refused(
                ErrorReason::ClassNotFound | ErrorReason::OrganizationNotFound,
            ) => Some(Self::Refused(ErrorReason::CodeNotUsable)),
            MembershipAnswer::Refused(reason) => Some(Self::Refused(reason)),
        }
    }

    /// Whether the limiter gives the attempt back: the credential is living and
    /// the person eligible (03, the limiter). What refuses for another reason
    /// stays charged as a guess (R5).
    ///
    /// Besides the four of 03: a use in progress, which asks an eligible person
    /// to try again, and whatever told a guesser nothing about what they typed:
    /// a defect of ours, a database or service that did not answer, a deadline
    /// too short, a request id used before.
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
