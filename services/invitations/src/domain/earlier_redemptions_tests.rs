use chrono::TimeDelta;

use super::*;
use crate::domain::decide::{
    QueueCause,
    tests::{attempt, invitation, now},
};
use crate::domain::invitation::{InvitationKind, Uses};

use NextStep::{Begin, Join, Refuse};
use RedemptionState::{Committed, Queued, Reserved};

/// Returns a class code with one use, which is spent or held, in its third epoch.
fn code(locked: bool) -> Invitation {
    let code = invitation(InvitationKind::ClassCode);
    let lock = code.lock.filter(|_| locked).map(|lock| lock.locked(now()));
    Invitation {
        epoch: Epoch::new(3),
        max_uses: Some(1),
        uses: Uses {
            used: 1,
            ..Uses::default()
        },
        lock: lock.or(code.lock),
        ..code
    }
}

/// Returns the next step after earlier redemptions, each identified by its number.
fn after(invitation: &Invitation, earlier: &[(RedemptionState, i64, bool)]) -> NextStep<usize> {
    let earlier = numbered(earlier);
    next_step(invitation, Epoch::new(2), &attempt(), &earlier, now())
}

fn numbered(earlier: &[(RedemptionState, i64, bool)]) -> Vec<EarlierRedemption<usize>> {
    let numbered = earlier.iter().copied().enumerate();
    let redemptions = numbered.map(
        |(redemption, (state, epoch, holds_use))| EarlierRedemption {
            redemption,
            state,
            epoch: Epoch::new(epoch),
            holds_use,
        },
    );
    redemptions.collect()
}

fn begins(decision: Decision, holds_use: bool, takes_over: Option<usize>) -> NextStep<usize> {
    Begin {
        decision,
        holds_use,
        takes_over,
    }
}

#[test]
fn p2_u2_what_is_under_way_is_joined_and_what_waits_while_it_leads_to_the_queue() {
    let used_up = begins(Decision::OnlyIfKnown(ErrorReason::UsedUp), false, None);
    let queues = begins(Decision::Queue(QueueCause::CodeLocked), false, None);
    let admits = begins(Decision::Admit, false, None);
    let takes_over = |redemption| begins(Decision::Admit, true, Some(redemption));
    for (earlier, locked, unlocked) in [
        // No use is left for anybody.
        (vec![], used_up, used_up),
        (vec![(Reserved, 3, true)], Join(0), Join(0)),
        (vec![(Queued, 3, true)], Join(0), takes_over(0)),
        // One that waits, and the one that took its use over.
        (
            vec![(Queued, 3, false), (Reserved, 3, true)],
            Join(1),
            Join(1),
        ),
        // Both wait.
        (
            vec![(Queued, 3, false), (Queued, 3, true)],
            Join(1),
            takes_over(1),
        ),
        // A redemption of an older epoch is not joined.
        (
            vec![(Queued, 2, true), (Reserved, 2, true)],
            used_up,
            used_up,
        ),
        // A person who was admitted before waits without another use, and is let in without one.
        (vec![(Committed, 3, true)], queues, admits),
        (
            vec![(Committed, 3, true), (Queued, 3, false)],
            Join(1),
            admits,
        ),
    ] {
        for (is_locked, expected) in [(true, locked), (false, unlocked)] {
            let next = after(&code(is_locked), &earlier);
            assert_eq!(next, expected, "{is_locked} {earlier:?}");
        }
    }
}

#[test]
fn p4_u8_a_use_that_is_counted_is_the_persons_for_good() {
    // Uses are counted from the second epoch on.
    for (epoch, is_counted) in [(1, false), (2, true), (3, true)] {
        let expected = if is_counted {
            begins(Decision::Admit, false, None)
        } else {
            begins(Decision::OnlyIfKnown(ErrorReason::UsedUp), false, None)
        };
        assert_eq!(after(&code(false), &[(Committed, epoch, true)]), expected);
    }
    // A person without a use of their own takes one, while there is any.
    let two = Invitation {
        max_uses: Some(2),
        ..code(false)
    };
    let takes_one = begins(Decision::Admit, true, None);
    assert_eq!(after(&two, &[(Committed, 3, false)]), takes_one);
    assert_eq!(after(&two, &[(Committed, 1, true)]), takes_one);
}

#[test]
fn p3_a_refusal_joins_nothing_but_where_the_short_use_may_be_the_persons_own() {
    let early = Invitation {
        valid_from: Some(now() + TimeDelta::days(1)),
        ..code(false)
    };
    let not_yet = Refuse(ErrorReason::NotYetValid);
    assert_eq!(after(&early, &[(Reserved, 3, true)]), not_yet);
    let being_taken = Invitation {
        uses: Uses {
            reserved: 1,
            ..Uses::default()
        },
        ..code(false)
    };
    assert_eq!(after(&being_taken, &[(Reserved, 3, true)]), Join(0));
    let in_progress = Refuse(ErrorReason::UseInProgress);
    assert_eq!(after(&being_taken, &[]), in_progress);
}

#[test]
fn p4_u2_a_use_comes_back_to_whom_it_let_in_or_who_waits() {
    for (earlier, expected) in [
        (vec![], None),
        (vec![(Queued, 3, false)], Some(0)),
        (vec![(Queued, 3, false), (Queued, 3, false)], Some(1)),
        (vec![(Committed, 3, false), (Queued, 3, false)], Some(0)),
        (vec![(Queued, 2, false)], None),
        (vec![(Queued, 3, true), (Committed, 3, true)], None),
        (vec![(Reserved, 3, false)], None),
    ] {
        let found = use_goes_to(&numbered(&earlier), Epoch::new(3));
        assert_eq!(found, expected, "{earlier:?}");
    }
}
