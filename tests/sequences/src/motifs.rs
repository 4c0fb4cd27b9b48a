//! Short runs of steps that rarely occur by chance alone.

use std::time::Duration;

use homeroom_kit::failpoints::{Action, Armed};
use homeroom_tests::dice::Dice;

use crate::{
    faults::{Fault, LATE_SETTLEMENT},
    plan::{Act, Fate, Step, Work},
    requests::place_of,
};

/// The longest delay of a settlement, in milliseconds, during which a request is decided.
const LATE_MILLIS_MAX: i64 = 30;

/// The number of people who come at the same time.
const CROWD: usize = 6;

/// Any motif.
pub fn roll(dice: &Dice) -> Vec<Step> {
    match dice.below(3) {
        0 => decided_before_it_is_settled(dice),
        1 => ended_before_it_is_asked_about(dice),
        _ => let_in_while_waiting(dice),
    }
}

/// Some wait by a locked code, which is unlocked, and come again.
fn let_in_while_waiting(dice: &Dice) -> Vec<Step> {
    let focus = Some(dice.roll());
    let crowd = |dice: &Dice| {
        let redeem = |_| Act::Call {
            method: place_of("Redeem"),
            dice: dice.roll(),
            focus,
            fate: Fate::Whole,
        };
        Step::Together((0..CROWD).map(redeem).collect())
    };
    vec![
        call(dice, "GetClassCode"),
        call(dice, "LockClassCode"),
        crowd(dice),
        call(dice, "UnlockClassCode"),
        crowd(dice),
        Step::Together(vec![Act::Work(Work::Follow)]),
    ]
}

/// Somebody queues, and the request ends and is followed while T3 is still to come.
fn decided_before_it_is_settled(dice: &Dice) -> Vec<Step> {
    let late = dice.between(5, LATE_MILLIS_MAX).unsigned_abs();
    let decision = *dice.pick(&[
        "ApproveJoinRequest",
        "ApproveJoinRequest",
        "DenyJoinRequest",
    ]);
    vec![
        call(dice, "GetJoinUrl"),
        arm(
            LATE_SETTLEMENT,
            Action::Delay(Duration::from_millis(late)),
            1,
        ),
        call(dice, "Redeem"),
        call(dice, decision),
        Step::Together(vec![Act::Work(Work::Follow)]),
    ]
}

/// Membership does not learn of a redemption until its invitation has ended.
fn ended_before_it_is_asked_about(dice: &Dice) -> Vec<Step> {
    let end = *dice.pick(&[
        "ResetClassCode",
        "RevokeToken",
        "UpdateEnrollmentCode",
        "ResetInviteToken",
        "UpdateJoinUrl",
    ]);
    let times = dice.between(1, 2).unsigned_abs();
    vec![
        arm("invitations.BatchAdmit.sending", Action::Fail, times),
        call(dice, "Redeem"),
        call(dice, end),
        Step::Together(vec![Act::Work(Work::Recover)]),
    ]
}

fn call(dice: &Dice, method: &str) -> Step {
    Step::Together(vec![Act::Call {
        method: place_of(method),
        dice: dice.roll(),
        focus: None,
        fate: Fate::Whole,
    }])
}

fn arm(point: &str, action: Action, times: u64) -> Step {
    Step::Arm(Fault {
        point: point.to_owned(),
        armed: Armed {
            action,
            at: 1,
            times,
        },
    })
}
