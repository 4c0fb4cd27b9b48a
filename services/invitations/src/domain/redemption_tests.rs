use super::*;
use ErrorReason::{CodeNotUsable, NoSeats};
use RedemptionState::{Committed, Queued, Refused, Released, Reserved};

const ANSWERS: [MembershipAnswer; 6] = [
    MembershipAnswer::Admitted,
    MembershipAnswer::Queued,
    MembershipAnswer::AlreadyPending,
    MembershipAnswer::AlreadyMember,
    MembershipAnswer::StaleEpoch,
    MembershipAnswer::Refused(NoSeats),
];

const ENDS: [RequestEnd; 5] = [
    RequestEnd::Approved,
    RequestEnd::Denied,
    RequestEnd::Withdrawn,
    RequestEnd::Expired,
    RequestEnd::Closed,
];

#[test]
fn p1_a_reservation_is_settled_by_memberships_word() {
    let settled = ANSWERS.map(|answer| settle(Reserved, answer));
    assert_eq!(
        settled,
        [Committed, Queued, Released, Released, Released, Refused]
    );
}

#[test]
fn p1_a_late_or_repeated_answer_overwrites_nothing() {
    for state in [Queued, Committed, Released, Refused] {
        for answer in ANSWERS {
            assert_eq!(settle(state, answer), state);
        }
    }
}

#[test]
fn p5_the_end_of_a_request_is_followed_from_reserved_and_queued_alike() {
    for state in [Reserved, Queued] {
        let followed = ENDS.map(|end| follow(state, end));
        assert_eq!(
            followed,
            [Committed, Released, Released, Released, Released]
        );
    }
    for state in [Committed, Released, Refused] {
        for end in ENDS {
            assert_eq!(follow(state, end), state);
        }
    }
}

#[test]
fn p5_feed_and_answer_come_to_the_same_end_in_either_order() {
    for end in ENDS {
        let feed_first = settle(follow(Reserved, end), MembershipAnswer::Queued);
        let answer_first = follow(settle(Reserved, MembershipAnswer::Queued), end);
        assert_eq!(feed_first, answer_first);
    }
}

#[test]
fn p2_what_is_reserved_or_queued_is_living() {
    for state in RedemptionState::ALL {
        assert_eq!(RedemptionState::from_name(state.as_str()), Some(state));
    }
    assert!(!Reserved.is_final() && !Queued.is_final());
    assert!(
        [Committed, Released, Refused]
            .iter()
            .all(|state| state.is_final())
    );
    assert_eq!(RedemptionState::from_name("reserved"), None);
}

#[test]
fn r2_the_caller_is_told_what_membership_said() {
    assert_eq!(
        ANSWERS.map(Outcome::of),
        [
            Some(Outcome::Admitted),
            Some(Outcome::PendingApproval),
            Some(Outcome::PendingApproval),
            Some(Outcome::AlreadyMember),
            None,
            Some(Outcome::Refused(NoSeats)),
        ]
    );
}

#[test]
fn r5_r10_the_eligible_get_their_attempt_back_and_guesses_stay_charged() {
    for outcome in [
        Outcome::Admitted,
        Outcome::PendingApproval,
        Outcome::AlreadyMember,
    ] {
        assert!(outcome.refunds());
    }
    for (reason, refunds) in [
        (NoSeats, true),
        (ErrorReason::UseInProgress, true),
        (ErrorReason::MembershipUnavailable, true),
        (ErrorReason::DatabaseUnavailable, true),
        (ErrorReason::Overloaded, true),
        (ErrorReason::Unspecified, true),
        (ErrorReason::DeadlineTooShort, true),
        (ErrorReason::RequestIdConflict, true),
        (CodeNotUsable, false),
        (ErrorReason::CodeMalformed, false),
        (ErrorReason::NotYetValid, false),
        (ErrorReason::NoLongerValid, false),
        (ErrorReason::UsedUp, false),
        (ErrorReason::EmailUnverified, false),
        (ErrorReason::EmailDomainNotAllowed, false),
        (ErrorReason::TokenAssignedToAnother, false),
        (ErrorReason::SignUpNotGranted, false),
        (ErrorReason::ClassArchived, false),
        (ErrorReason::DeniedRecently, false),
    ] {
        assert_eq!(Outcome::Refused(reason).refunds(), refunds, "{reason:?}");
    }
}
