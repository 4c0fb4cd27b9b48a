//! What a sequence does: a function of its seed alone.

use crate::{
    dice::Dice,
    faults::Fault,
    motifs,
    requests::{METHODS, place_of},
    set_up::SetUp,
};

/// Operations of a sequence after its set-up, at most, unless told otherwise.
pub const LENGTH_DEFAULT: usize = 16;
/// Operations of a sequence after its set-up, at least.
const LENGTH_MIN: usize = 6;
/// Operations at the same time, at most.
const TOGETHER_MAX: i64 = 6;

/// How a call ends for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The caller waits for the answer.
    Whole,
    /// The caller goes away after its task has had so many turns.
    Dropped(u32),
    /// The caller gives the service so many milliseconds.
    Hurried(u32),
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A call. Its request is made of its dice and of what is known by then.
    Call {
        /// Its place among the methods.
        method: usize,
        /// What its request is made by.
        dice: u64,
        /// Whom and what it shares with others: all calls with one focus use one credential.
        focus: Option<u64>,
        /// How it ends.
        fate: Fate,
    },
    /// A call that was made before, once more with the same bytes: the number counts back.
    Again(usize),
    /// What the services do by themselves.
    Work(Work),
    /// A service is killed, and starts again.
    Restart(Which),
}

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The membership service.
    Membership,
    /// The invitations service.
    Invitations,
}

/// What the services do by themselves, which here they do when told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// P13.
    Recover,
    /// P5.
    Follow,
    /// P7.
    RaiseFences,
    /// P5: old queued redemptions.
    Sweep,
    /// P5: requests whose time is over.
    Expire,
    /// R3: request ids of long ago.
    Forget,
    /// R13: erasures that were begun.
    Erase,
}

/// All work.
pub const WORK: &[Work] = &[
    Work::Recover,
    Work::Follow,
    Work::RaiseFences,
    Work::Sweep,
    Work::Expire,
    Work::Forget,
    Work::Erase,
];

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A call of the set-up.
    SetUp(SetUp),
    /// All at once.
    Together(Vec<Act>),
    /// The clock is moved by so many seconds.
    Clock(i64),
    /// A failpoint is armed.
    Arm(Fault),
    /// All failpoints are disarmed.
    Disarm,
}

/// The steps of a seed.
#[must_use]
pub fn plan(seed: u64, length: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut steps: Vec<Step> = SetUp::roll(&mut dice)
        .into_iter()
        .map(Step::SetUp)
        .collect();
    let span = length.saturating_sub(LENGTH_MIN);
    let operations = LENGTH_MIN + dice.below(span + 1);
    let restarts = dice.chance(15);
    let steps_back = dice.chance(25);
    let mut done = 0;
    while done < operations {
        for step in next(&mut dice, restarts, steps_back) {
            if let Step::Together(acts) = &step {
                done += acts.len();
            }
            steps.push(step);
        }
    }
    steps
}

fn next(dice: &mut Dice, restarts: bool, steps_back: bool) -> Vec<Step> {
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

/// Anything but a fresh call.
fn act(dice: &mut Dice, restarts: bool) -> Act {
    match dice.weighted([45, 40, 15].into_iter()) {
        0 => Act::Again(dice.below(6)),
        2 if restarts => Act::Restart(*dice.pick(&[Which::Membership, Which::Invitations])),
        _ => Act::Work(*dice.pick(WORK)),
    }
}

fn together(dice: &mut Dice, restarts: bool) -> Vec<Act> {
    let count = dice.between(2, TOGETHER_MAX);
    // Half of the time a crowd: all by one credential, some of them more than once.
    let focus = dice.chance(50).then(|| dice.roll());
    (0..count)
        .map(|_| match dice.weighted([80, 8, 12].into_iter()) {
            0 => call(dice, focus),
            1 => Act::Again(dice.below(3)),
            _ => act(dice, restarts),
        })
        .collect()
}

fn call(dice: &mut Dice, focus: Option<u64>) -> Act {
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

fn clock_step(dice: &mut Dice, back: bool) -> i64 {
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
                    Step::SetUp(_) | Step::Disarm => {}
                }
            }
        }
        assert_eq!(methods.len(), METHODS.len());
        assert!(points.len() > 100, "{}", points.len());
        assert!(again > 0 && restarts > 0 && dropped > 0 && back > 0);
    }
}
