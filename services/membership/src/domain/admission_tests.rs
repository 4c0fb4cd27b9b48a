//! One test for each row of the rule.

use chrono::TimeDelta;

use super::*;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Returns the facts of a stranger to an active class of an organization with a free seat.
fn stranger() -> Facts {
    Facts {
        stored: None,
        fence: 0,
        organization_exists: true,
        class: ClassStanding::Active,
        membership: Membership::Nothing,
        has_open_request: false,
        removals: Removals::default(),
        denied_at: None,
        seat_is_free: true,
    }
}

fn member() -> Facts {
    Facts {
        membership: Membership::Place,
        ..stranger()
    }
}

fn waiting() -> Facts {
    Facts {
        has_open_request: true,
        ..stranger()
    }
}

fn removed(at: DateTime<Utc>) -> Facts {
    Facts {
        removals: Removals {
            from_class: Some(at),
            from_organization: None,
        },
        ..stranger()
    }
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

fn decided(facts: &Facts, attempt: &Attempt) -> Decision {
    decide(facts, attempt, NOW)
}

const PENDING: Decision = Decision::Answer(Outcome::AlreadyPending);
const MEMBER: Decision = Decision::Answer(Outcome::AlreadyMember);

#[test]
fn p1_a_redemption_that_was_answered_is_answered_the_same_whatever_has_happened_since() {
    for outcome in [
        Outcome::Admitted,
        Outcome::Queued,
        Outcome::AlreadyPending,
        Outcome::AlreadyMember,
        Outcome::StaleEpoch,
        Outcome::Refused(ErrorReason::NoSeats),
    ] {
        let facts = Facts {
            stored: Some(outcome),
            fence: 9,
            organization_exists: false,
            ..member()
        };
        assert_eq!(decided(&facts, &at_once()), Decision::Stored(outcome));
    }
}

#[test]
fn p7_an_epoch_below_the_fence_is_stale_even_for_a_member() {
    let fenced = |facts, fence| Facts { fence, ..facts };
    let stale = Decision::Answer(Outcome::StaleEpoch);
    assert_eq!(decided(&fenced(stranger(), 2), &at_once()), stale);
    assert_eq!(decided(&fenced(member(), 2), &at_once()), stale);
    assert_eq!(
        decided(&fenced(stranger(), 2), &refusing(ErrorReason::UsedUp)),
        stale
    );
    assert_eq!(
        decided(&fenced(stranger(), 1), &at_once()),
        Decision::Admit,
        "the fence's own epoch is living"
    );
}

#[test]
fn i8_an_absent_organization_or_class_refuses() {
    let no_organization = Facts {
        organization_exists: false,
        class: ClassStanding::Absent,
        ..stranger()
    };
    assert_eq!(
        decided(&no_organization, &at_once()),
        refused(ErrorReason::OrganizationNotFound)
    );
    let no_class = Facts {
        class: ClassStanding::Absent,
        ..stranger()
    };
    assert_eq!(
        decided(&no_class, &at_once()),
        refused(ErrorReason::ClassNotFound)
    );
}

#[test]
fn r2_a_member_is_told_so_by_every_route_and_by_a_credential_that_refuses() {
    for attempt in [
        at_once(),
        queue(Cause::JoinUrl),
        refusing(ErrorReason::UsedUp),
        refusing(ErrorReason::NoLongerValid),
    ] {
        assert_eq!(decided(&member(), &attempt), MEMBER);
        let archived = Facts {
            class: ClassStanding::Archived,
            ..member()
        };
        assert_eq!(decided(&archived, &attempt), MEMBER);
    }
}

#[test]
fn r2_p2_who_waits_and_is_led_to_the_queue_again_has_the_same_request() {
    assert_eq!(decided(&waiting(), &queue(Cause::JoinUrl)), PENDING);
    assert_eq!(decided(&waiting(), &queue(Cause::CodeLocked)), PENDING);
}

#[test]
fn r2_p8_who_waits_and_is_now_admitted_at_once_is_admitted() {
    assert_eq!(decided(&waiting(), &at_once()), Decision::Admit);
}

#[test]
fn r8_who_waits_after_a_removal_keeps_waiting() {
    let facts = Facts {
        has_open_request: true,
        ..removed(NOW)
    };
    assert_eq!(decided(&facts, &at_once()), PENDING);
}

#[test]
fn p3_without_a_use_only_member_pending_or_the_refusal_is_answered() {
    for reason in [ErrorReason::UsedUp, ErrorReason::NoLongerValid] {
        let attempt = refusing(reason);
        assert_eq!(decided(&stranger(), &attempt), refused(reason));
        assert_eq!(decided(&waiting(), &attempt), PENDING);
        assert_eq!(decided(&member(), &attempt), MEMBER);
        assert_eq!(decided(&removed(NOW), &attempt), refused(reason));
        let full = Facts {
            seat_is_free: false,
            ..stranger()
        };
        assert_eq!(decided(&full, &attempt), refused(reason));
        let queued = Attempt {
            refuse_reason: Some(reason),
            ..queue(Cause::JoinUrl)
        };
        assert_eq!(decided(&stranger(), &queued), refused(reason));
    }
}

#[test]
fn an_archived_class_takes_nobody_in_by_any_route() {
    let facts = Facts {
        class: ClassStanding::Archived,
        ..stranger()
    };
    for attempt in [at_once(), queue(Cause::JoinUrl)] {
        assert_eq!(
            decided(&facts, &attempt),
            refused(ErrorReason::ClassArchived)
        );
    }
}

#[test]
fn r8_an_invitation_not_younger_than_the_removal_leads_to_the_queue() {
    let tick = TimeDelta::microseconds(1);
    let to_queue = Decision::Queue(Cause::RemovedBefore);
    assert_eq!(decided(&removed(NOW + tick), &at_once()), to_queue);
    assert_eq!(decided(&removed(NOW), &at_once()), to_queue);
    assert_eq!(decided(&removed(NOW - tick), &at_once()), Decision::Admit);
    let from_organization = Facts {
        removals: Removals {
            from_class: None,
            from_organization: Some(NOW),
        },
        ..stranger()
    };
    assert_eq!(decided(&from_organization, &at_once()), to_queue);
}

#[test]
fn r8_staff_see_the_removal_also_behind_a_join_url() {
    assert_eq!(
        decided(&removed(NOW), &queue(Cause::JoinUrl)),
        Decision::Queue(Cause::RemovedBefore)
    );
}

#[test]
fn r8_an_invitation_that_allows_rejoining_admits_at_once() {
    let attempt = Attempt {
        allow_rejoin: true,
        ..at_once()
    };
    assert_eq!(decided(&removed(NOW), &attempt), Decision::Admit);
}

#[test]
fn c5_a_locked_code_leads_to_the_queue() {
    assert_eq!(
        decided(&stranger(), &queue(Cause::CodeLocked)),
        Decision::Queue(Cause::CodeLocked)
    );
}

#[test]
fn c9_a_join_url_leads_to_the_queue() {
    assert_eq!(
        decided(&stranger(), &queue(Cause::JoinUrl)),
        Decision::Queue(Cause::JoinUrl)
    );
}

#[test]
fn r9_a_denial_keeps_from_the_queue_for_24_hours() {
    let denied = Facts {
        denied_at: Some(NOW),
        ..stranger()
    };
    let attempt = queue(Cause::JoinUrl);
    let free = NOW + TimeDelta::hours(24);
    assert_eq!(
        decide(&denied, &attempt, free - TimeDelta::microseconds(1)),
        refused(ErrorReason::DeniedRecently)
    );
    assert_eq!(
        decide(&denied, &attempt, free),
        Decision::Queue(Cause::JoinUrl)
    );
    assert_eq!(
        decided(&denied, &at_once()),
        Decision::Admit,
        "only the queue asks"
    );
}

#[test]
fn x9_a_full_organization_queues_all_the_same() {
    let full = Facts {
        seat_is_free: false,
        ..stranger()
    };
    assert_eq!(
        decided(&full, &queue(Cause::CodeLocked)),
        Decision::Queue(Cause::CodeLocked)
    );
}

#[test]
fn b14_a_full_organization_admits_nobody_new_at_once() {
    let full = Facts {
        seat_is_free: false,
        ..stranger()
    };
    assert_eq!(decided(&full, &at_once()), refused(ErrorReason::NoSeats));
}

#[test]
fn b13_an_organization_member_needs_no_further_seat_for_a_class() {
    let full = Facts {
        seat_is_free: false,
        membership: Membership::OrganizationOnly,
        ..stranger()
    };
    assert_eq!(decided(&full, &at_once()), Decision::Admit);
}

#[test]
fn a1_an_organization_wide_redemption_admits_to_the_organization() {
    let facts = Facts {
        class: ClassStanding::NotAskedFor,
        ..stranger()
    };
    assert_eq!(decided(&facts, &at_once()), Decision::Admit);
}

#[test]
fn outcomes_are_read_as_they_are_written() {
    for outcome in [
        Outcome::Admitted,
        Outcome::Queued,
        Outcome::AlreadyPending,
        Outcome::AlreadyMember,
        Outcome::StaleEpoch,
        Outcome::Refused(ErrorReason::DeniedRecently),
    ] {
        let reason = outcome.refuse_reason().map_or("", |r| r.as_str_name());
        assert_eq!(Outcome::parse(outcome.as_str(), reason), Some(outcome));
    }
    assert_eq!(Outcome::parse("REFUSED", ""), None);
    assert_eq!(Outcome::parse("", ""), None);
}
