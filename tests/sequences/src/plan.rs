//! The plan of a sequence, which is a function of its seed alone.

use homeroom_tests::dice::Dice;
pub use homeroom_tests::processes::Service as Which;
use serde_json::{Value, json};

use crate::{
    faults::Fault,
    motifs,
    requests::{Caller, METHODS, place_of},
    world::{ADMIN, TEACHER, World},
};

/// The default of the most operations in a sequence after its set-up.
pub const LENGTH_DEFAULT: usize = 16;
/// The fewest operations in a sequence after its set-up.
const LENGTH_MIN: usize = 6;
/// The most operations at the same time.
const TOGETHER_MAX: i64 = 6;

/// The end of a call for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The caller waits for the answer.
    Whole,
    /// The caller drops the call after its task has been polled this many times.
    Dropped(u32),
    /// The caller sets a deadline of this many milliseconds.
    Hurried(u32),
}

/// One action of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A call. Its request is made from its random numbers and from what is known by then.
    Call {
        /// The index of the method.
        method: usize,
        /// The seed of its request.
        dice: u64,
        /// The key that calls share to use one credential: all calls with one focus use the same.
        focus: Option<u64>,
        /// The end of the call.
        fate: Fate,
    },
    /// Repeats an earlier call with the same bytes; the number counts back.
    Again(usize),
    /// Background work of the services.
    Work(Work),
    /// A service is killed and restarts.
    Restart(Which),
}

/// Background work of the services, which runs here only when a sequence says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Recovery (P13).
    Recover,
    /// The follower of the event feed (P5).
    Follow,
    /// Pending fences (P7).
    RaiseFences,
    /// The sweep of old queued redemptions (P5).
    Sweep,
    /// The expiry of join requests (P5).
    Expire,
    /// The deletion of expired request ids (R3).
    Forget,
    /// Erasures that were begun (R13).
    Erase,
}

/// All background work.
pub const WORK: &[Work] = &[
    Work::Recover,
    Work::Follow,
    Work::RaiseFences,
    Work::Sweep,
    Work::Expire,
    Work::Forget,
    Work::Erase,
];

/// A step of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A call of the set-up: its method, its caller and its request.
    SetUp(&'static str, Caller, Value),
    /// Actions that run concurrently.
    Together(Vec<Act>),
    /// The clock steps by this many seconds.
    Clock(i64),
    /// A failpoint is armed.
    Arm(Fault),
    /// All failpoints are disarmed.
    Disarm,
}

/// Returns the steps of a seed.
#[must_use]
pub fn plan(seed: u64, length: usize) -> Vec<Step> {
    let dice = Dice::new(seed);
    let mut steps = set_up(&dice, &World::new(seed));
    let span = length.saturating_sub(LENGTH_MIN);
    let operations = LENGTH_MIN + dice.below(span + 1);
    let restarts = dice.chance(15);
    let steps_back = dice.chance(25);
    let mut done = 0;
    while done < operations {
        for step in next(&dice, restarts, steps_back) {
            if let Step::Together(acts) = &step {
                done += acts.len();
            }
            steps.push(step);
        }
    }
    steps
}

/// Returns the calls that make a school with few seats, a class, and two kinds of invitations to it.
fn set_up(dice: &Dice, world: &World) -> Vec<Step> {
    let admin = || Caller::For(world.people[ADMIN].clone());
    let mut steps = Vec::new();
    let mut organization = |which: usize, seat_limit: i64| {
        let name = &world.organizations[which];
        let body = json!({
            "organization_id": name.replace("organizations/", ""),
            "organization": {"display_name": "School", "seat_limit": seat_limit},
            "admin": world.people[ADMIN],
        });
        steps.push(Step::SetUp("CreateOrganization", Caller::Platform, body));
        let member = json!({"user": world.people[TEACHER], "role": "TEACHER"});
        let body = json!({"parent": name, "member": member});
        steps.push(Step::SetUp("AddOrganizationMember", admin(), body));
    };
    organization(0, *dice.pick(&[0, 1, 2, 2, 3, 5]));
    if dice.chance(25) {
        organization(1, dice.between(0, 3));
    }
    let (school, class) = (&world.organizations[0], &world.classes[0]);
    let body = json!({
        "parent": school, "class_id": "art", "class": {"display_name": "Art", "owner": world.people[TEACHER]},
    });
    steps.push(Step::SetUp("CreateClass", admin(), body));
    let first = dice.below(5);
    for way in [first, first + 1 + dice.below(4)] {
        // No uses mean no limit.
        let uses = *dice.pick(&[0, 1, 2]);
        let (method, body) = match way % 5 {
            0 => (
                "GetClassCode",
                json!({"name": format!("{class}/classCode")}),
            ),
            1 => (
                "CreateToken",
                json!({"parent": class, "token": {"max_uses": uses}}),
            ),
            2 => {
                let code = json!({"code": "ART-2026", "max_uses": uses});
                let body =
                    json!({"parent": class, "enrollment_code": code, "acknowledge_weak": true});
                ("CreateEnrollmentCode", body)
            }
            3 => (
                "GetInviteToken",
                json!({"name": format!("{school}/inviteToken")}),
            ),
            _ => ("GetJoinUrl", json!({"name": format!("{class}/joinUrl")})),
        };
        steps.push(Step::SetUp(method, admin(), body));
    }
    steps
}

fn next(dice: &Dice, restarts: bool, steps_back: bool) -> Vec<Step> {
    let step = match dice.weighted([52, 13, 6, 15, 5, 6, 3].into_iter()) {
        0 => Step::Together(vec![call(dice, None)]),
        1 => Step::Together(together(dice, restarts)),
        2 => Step::Clock(clock_step(dice, steps_back)),
        3 => Step::Arm(Fault::roll(dice)),
        4 => Step::Disarm,
        5 => Step::Together(vec![act(dice, restarts)]),
        _ => return motifs::roll(dice),
    };
    vec![step]
}

/// Returns any action but a new call.
fn act(dice: &Dice, restarts: bool) -> Act {
    match dice.weighted([45, 40, 15].into_iter()) {
        0 => Act::Again(dice.below(6)),
        2 if restarts => Act::Restart(*dice.pick(&Which::BOTH)),
        _ => Act::Work(*dice.pick(WORK)),
    }
}

fn together(dice: &Dice, restarts: bool) -> Vec<Act> {
    let count = dice.between(2, TOGETHER_MAX);
    // Half of the time these calls are a crowd: all use one credential, some of them more than
    // once.
    let focus = dice.chance(50).then(|| dice.roll());
    (0..count)
        .map(|_| match dice.weighted([80, 8, 12].into_iter()) {
            0 => call(dice, focus),
            1 => Act::Again(dice.below(3)),
            _ => act(dice, restarts),
        })
        .collect()
}

fn call(dice: &Dice, focus: Option<u64>) -> Act {
    let method = if focus.is_some() && dice.chance(75) {
        place_of("Redeem")
    } else {
        dice.weighted(METHODS.iter().map(|method| method.weight))
    };
    let fate = match dice.weighted([90, 6, 4].into_iter()) {
        0 => Fate::Whole,
        1 => Fate::Dropped(1 << dice.below(11)),
        _ => Fate::Hurried(1 << dice.below(7)),
    };
    Act::Call {
        method,
        dice: dice.roll(),
        focus,
        fate,
    }
}

fn clock_step(dice: &Dice, back: bool) -> i64 {
    const HOUR: i64 = 3_600;
    const DAY: i64 = 24 * HOUR;
    let step = *dice.pick(&[
        1,
        60,
        HOUR,
        HOUR,
        5 * HOUR,
        DAY + 1,
        14 * DAY,
        31 * DAY,
        91 * DAY,
    ]);
    if back && dice.chance(50) { -step } else { step }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_steps() {
        for seed in 0..200 {
            assert_eq!(plan(seed, LENGTH_DEFAULT), plan(seed, LENGTH_DEFAULT));
        }
        assert_ne!(plan(1, LENGTH_DEFAULT), plan(2, LENGTH_DEFAULT));
    }

    #[test]
    fn every_method_and_every_kind_of_step_comes_up() {
        let mut methods = BTreeSet::new();
        let mut points = BTreeSet::new();
        let (mut again, mut restarts, mut dropped, mut back) = (0, 0, 0, 0);
        for seed in 0..2_000 {
            for step in plan(seed, LENGTH_DEFAULT) {
                match step {
                    Step::Together(acts) => {
                        assert!((1..=usize::try_from(TOGETHER_MAX).unwrap()).contains(&acts.len()));
                        for act in acts {
                            match act {
                                Act::Call { method, fate, .. } => {
                                    methods.insert(method);
                                    dropped += u32::from(matches!(fate, Fate::Dropped(_)));
                                }
                                Act::Again(_) => again += 1,
                                Act::Restart(_) => restarts += 1,
                                Act::Work(_) => {}
                            }
                        }
                    }
                    Step::Clock(seconds) => back += u32::from(seconds < 0),
                    Step::Arm(fault) => {
                        points.insert(fault.point);
                    }
                    Step::SetUp(..) | Step::Disarm => {}
                }
            }
        }
        assert_eq!(methods.len(), METHODS.len());
        assert!(points.len() > 100, "{}", points.len());
        assert!(again > 0 && restarts > 0 && dropped > 0 && back > 0);
    }
}
