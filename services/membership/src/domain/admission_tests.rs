//! One test for each row of the rule.

use chrono::TimeDelta;

use super::*;

use Cause::{CodeLocked, JoinUrl, RemovedBefore};
use ErrorReason::{
    ClassArchived, ClassNotFound, DeniedRecently, NoLongerValid, NoSeats, OrganizationNotFound,
    UsedUp,
};

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

/// Returns the facts of a stranger to an active class of an organization with a free seat, changed so.
fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = Facts {
        stored: None,
        fence: 0,
        organization_exists: true,
        class: ClassStanding::Active,
        membership: Membership::Nothing,
        has_open_request: false,
        removals: Removals::default(),
        denied_at: None,
        seat_is_free: true,
    };
    change(&mut facts);
    facts
}

fn stranger() -> Facts {
    facts(|_| {})
}

fn member() -> Facts {
    facts(|facts| facts.membership = Membership::Place)
}

fn waiting() -> Facts {
    facts(|facts| facts.has_open_request = true)
}

fn removed(at: DateTime<Utc>) -> Facts {
    facts(|facts| facts.removals.from_class = Some(at))
}

fn full() -> Facts {
    facts(|facts| facts.seat_is_free = false)
}

fn fenced(fence: i64) -> Facts {
    facts(|facts| facts.fence = fence)
}

/// Returns a redemption that the invitation admits at once.
fn at_once() -> Attempt {
    Attempt {
        epoch: 1,
        route: Route::AtOnce,
        refuse_reason: None,
        invitation_issue_time: NOW,
        allow_rejoin: false,
    }
}

fn queue(cause: Cause) -> Attempt {
    Attempt {
        route: Route::Queue(cause),
        ..at_once()
    }
}

fn refusing(reason: ErrorReason) -> Attempt {
    Attempt {
        refuse_reason: Some(reason),
        ..at_once()
    }
}

fn refused(reason: ErrorReason) -> Decision {
    Decision::Answer(Outcome::Refused(reason))
}

/// Checks the decision for each person and redemption.
fn assert_decided<const CASES: usize>(cases: [(Facts, Attempt, Decision); CASES]) {
    for (number, (facts, attempt, expected)) in cases.into_iter().enumerate() {
        assert_eq!(decide(&facts, &attempt, NOW), expected, "case {number}");
    }
}

const PENDING: Decision = Decision::Answer(Outcome::AlreadyPending);
const MEMBER: Decision = Decision::Answer(Outcome::AlreadyMember);
const STALE: Decision = Decision::Answer(Outcome::StaleEpoch);

#[test]
fn p1_a_redemption_that_was_answered_is_answered_the_same_whatever_has_happened_since() {
    for outcome in [
        Outcome::Admitted,
        Outcome::Queued,
        Outcome::AlreadyPending,
        Outcome::AlreadyMember,
        Outcome::StaleEpoch,
        Outcome::Refused(NoSeats),
    ] {
        let facts = Facts {
            stored: Some(outcome),
            fence: 9,
            organization_exists: false,
            ..member()
        };
        assert_decided([(facts, at_once(), Decision::Stored(outcome))]);
    }
}

#[test]
fn p7_an_epoch_below_the_fence_is_stale_even_for_a_member() {
    let member = Facts {
        fence: 2,
        ..member()
    };
    assert_decided([
        (fenced(2), at_once(), STALE),
        (member, at_once(), STALE),
        (fenced(2), refusing(UsedUp), STALE),
        // The fence's own epoch is living.
        (fenced(1), at_once(), Decision::Admit),
    ]);
}

#[test]
fn i8_an_absent_organization_or_class_refuses_and_so_does_an_archived_class() {
    let no_class = || facts(|facts| facts.class = ClassStanding::Absent);
    let archived = || facts(|facts| facts.class = ClassStanding::Archived);
    let no_organization = Facts {
        organization_exists: false,
        ..no_class()
    };
    assert_decided([
        (no_organization, at_once(), refused(OrganizationNotFound)),
        (no_class(), at_once(), refused(ClassNotFound)),
        (archived(), at_once(), refused(ClassArchived)),
        (archived(), queue(JoinUrl), refused(ClassArchived)),
    ]);
}

#[test]
fn r2_a_member_is_told_so_by_every_route_and_by_a_credential_that_refuses() {
    for attempt in [
        at_once(),
        queue(JoinUrl),
        refusing(UsedUp),
        refusing(NoLongerValid),
    ] {
        let archived = Facts {
            class: ClassStanding::Archived,
            ..member()
        };
        assert_decided([(member(), attempt, MEMBER), (archived, attempt, MEMBER)]);
    }
}

#[test]
fn r2_p2_p8_who_waits_keeps_their_request_unless_they_are_admitted_at_once() {
    let waiting_since_a_removal = Facts {
        has_open_request: true,
        ..removed(NOW)
    };
    assert_decided([
        (waiting(), queue(JoinUrl), PENDING),
        (waiting(), queue(CodeLocked), PENDING),
        (waiting(), at_once(), Decision::Admit),
        (waiting_since_a_removal, at_once(), PENDING),
    ]);
}

#[test]
fn p3_without_a_use_only_member_pending_or_the_refusal_is_answered() {
    for reason in [UsedUp, NoLongerValid] {
        let queued = Attempt {
            refuse_reason: Some(reason),
            ..queue(JoinUrl)
        };
        assert_decided([
            (stranger(), refusing(reason), refused(reason)),
            (waiting(), refusing(reason), PENDING),
            (member(), refusing(reason), MEMBER),
            (removed(NOW), refusing(reason), refused(reason)),
            (full(), refusing(reason), refused(reason)),
            (stranger(), queued, refused(reason)),
        ]);
    }
}

#[test]
fn r8_an_invitation_not_younger_than_the_removal_leads_to_the_queue_unless_it_allows_rejoining() {
    let to_queue = Decision::Queue(RemovedBefore);
    let from_organization = facts(|facts| facts.removals.from_organization = Some(NOW));
    let rejoining = Attempt {
        allow_rejoin: true,
        ..at_once()
    };
    assert_decided([
        (removed(NOW + MICROSECOND), at_once(), to_queue),
        (removed(NOW), at_once(), to_queue),
        (removed(NOW - MICROSECOND), at_once(), Decision::Admit),
        (from_organization, at_once(), to_queue),
        // Staff see the removal also behind a join URL.
        (removed(NOW), queue(JoinUrl), to_queue),
        (removed(NOW), rejoining, Decision::Admit),
    ]);
}

#[test]
fn c5_c9_x9_a_locked_code_and_a_join_url_lead_to_the_queue_also_if_no_seat_is_free() {
    for cause in [CodeLocked, JoinUrl] {
        assert_decided([
            (stranger(), queue(cause), Decision::Queue(cause)),
            (full(), queue(cause), Decision::Queue(cause)),
        ]);
    }
}

#[test]
fn r9_a_denial_keeps_from_the_queue_for_24_hours() {
    let denied = |at| facts(|facts| facts.denied_at = Some(at));
    let last = NOW - TimeDelta::hours(24);
    assert_decided([
        (
            denied(last + MICROSECOND),
            queue(JoinUrl),
            refused(DeniedRecently),
        ),
        (denied(last), queue(JoinUrl), Decision::Queue(JoinUrl)),
        // Only the queue asks.
        (denied(NOW), at_once(), Decision::Admit),
    ]);
}

#[test]
fn b13_b14_a1_a_full_organization_admits_its_members_alone_and_a_class_need_not_be_asked_for() {
    let of_organization = Facts {
        membership: Membership::OrganizationOnly,
        ..full()
    };
    let organization_wide = facts(|facts| facts.class = ClassStanding::NotAskedFor);
    assert_decided([
        (full(), at_once(), refused(NoSeats)),
        (of_organization, at_once(), Decision::Admit),
        (organization_wide, at_once(), Decision::Admit),
    ]);
}

#[test]
fn outcomes_are_read_as_they_are_written() {
    for outcome in [
        Outcome::Admitted,
        Outcome::Queued,
        Outcome::AlreadyPending,
        Outcome::AlreadyMember,
        Outcome::StaleEpoch,
        Outcome::Refused(DeniedRecently),
    ] {
        let reason = outcome.refuse_reason().map_or("", |r| r.as_str_name());
        assert_eq!(Outcome::parse(outcome.as_str(), reason), Some(outcome));
    }
    assert_eq!(Outcome::parse("REFUSED", ""), None);
    assert_eq!(Outcome::parse("", ""), None);
}
