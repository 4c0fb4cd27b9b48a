//! The record of a user in one key: failures, each with its guess, repeats, the number of attempts that changed
//! something and were given back, and the time at which the user last added to an address. `gcra.lua` does the same in
//! Redis.

use super::{
    attempt::{Effect, GuessHash},
    budget::{DAY_MICROS, UNDER_WAY_MICROS, UserBudget},
    counter::{Reply, Step},
};

/// One failure, or an attempt under way that may become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    time: i64,
    settled: bool,
    /// The guess by which a repeat is recognized.
    guess: GuessHash,
}

impl Entry {
    /// Returns true if the entry is settled, or has been under way so long that it counts as a failure. Limits count an
    /// entry from the start; the waits that are reported count it only from here on.
    fn is_settled(self, now: i64) -> bool {
        self.settled || (self.time - now).abs() >= UNDER_WAY_MICROS
    }
}

/// A user's failures and attempts under way within 24 hours, oldest first, and the attempts given back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserLog {
    /// The time from which `effects` counts.
    effects_since: i64,
    /// The number of attempts given back that had changed something.
    effects: i64,
    /// The time at which a first admission was last counted for an address.
    admitted: i64,
    /// The time at which repeats are paid off.
    repeats: i64,
    entries: Vec<Entry>,
}

impl UserLog {
    /// Takes a step of an attempt with this guess. The mark of a charge is its time.
    pub(crate) fn step(
        &mut self,
        step: Step,
        guess: GuessHash,
        budget: UserBudget,
        now: i64,
    ) -> Reply {
        self.forget(now);
        match step {
            Step::Charge => return self.charge(guess, budget, now),
            Step::Refund { mark, effect } => {
                return self.refund((mark, guess), effect, budget, now);
            }
            Step::Keep { mark } => self.settle((mark, guess)),
            Step::Clear => *self = Self::default(),
            Step::Spend | Step::Peek | Step::Add => {}
        }
        Reply::DONE
    }

    fn forget(&mut self, now: i64) {
        for entry in &mut self.entries {
            // Attempts under way keep their time, by which they are found, unless the clock was set far back.
            if entry.is_settled(now) {
                entry.time = entry.time.min(now);
            }
        }
        self.entries.retain(|entry| entry.time > now - DAY_MICROS);
        if now >= self.effects_since + DAY_MICROS || self.effects_since > now {
            (self.effects_since, self.effects) = (0, 0);
        }
        if now >= self.admitted + DAY_MICROS || self.admitted > now {
            self.admitted = 0;
        }
    }

    /// Charges one attempt. A guess that is among the failures is a repeat, and is not charged.
    fn charge(&mut self, guess: GuessHash, budget: UserBudget, now: i64) -> Reply {
        let times = |settled_only: bool| -> Vec<i64> {
            let entries = self.entries.iter();
            entries
                .filter(|entry| !settled_only || entry.is_settled(now))
                .map(|entry| entry.time.min(now))
                .collect()
        };
        let (all, settled) = (times(false), times(true));
        let is_known =
            guess != GuessHash::NONE && self.entries.iter().any(|entry| entry.guess == guess);
        // A user who presses a few times is not polling.
        let mut polls = 0;
        let answer = if is_known {
            let (before, answer) = self.repeat(budget, now);
            polls = (before - budget.rate.burst).max(0);
            answer
        } else if wait(&all, budget, now) > 0 {
            Reply::refused(wait(&settled, budget, now))
        } else {
            self.entries.push(Entry {
                time: now,
                settled: false,
                guess,
            });
            Reply {
                mark: now,
                ..Reply::DONE
            }
        };
        Reply {
            count: count(&all) + polls,
            settled: count(&settled) + polls,
            ..answer
        }
    }

    /// Counts a repeat. Returns the number of earlier repeats that are not paid off, and the reply.
    fn repeat(&mut self, budget: UserBudget, now: i64) -> (i64, Reply) {
        let rate = budget.repeats;
        // No value reaches further, so a larger one means that the clock was set back.
        self.repeats = self.repeats.min(now + rate.depth_micros());
        let before = (self.repeats - now).max(0) + rate.interval_micros - 1;
        let wait = rate.wait(self.repeats, now);
        let answer = if wait > 0 {
            Reply::refused(wait)
        } else {
            self.repeats = rate.after(self.repeats, now);
            Reply::DONE
        };
        (before / rate.interval_micros, answer)
    }

    /// Removes the attempt of `charge`, its mark and guess, unless it changed something and as many attempts of today
    /// did so before as the budget gives back. An attempt that changed something was no failure: its guess is no longer
    /// recognized as a repeat. The count is 1 if it is the user's first admission of 24 hours.
    fn refund(
        &mut self,
        charge: (i64, GuessHash),
        effect: Effect,
        budget: UserBudget,
        now: i64,
    ) -> Reply {
        let (mark, guess) = charge;
        let has_effect = effect != Effect::Nothing;
        let given_back = !has_effect || self.effects < budget.refunds;
        if has_effect && given_back {
            if self.effects == 0 {
                self.effects_since = now;
            }
            self.effects += 1;
        }
        if mark == 0 {
            self.repeats = (self.repeats - budget.repeats.interval_micros).max(0);
        } else if !given_back {
            self.settle(charge);
        } else if let Some(index) = self.under_way(charge) {
            self.entries.remove(index);
        }
        if has_effect {
            let known = self.entries.iter_mut().filter(|entry| entry.guess == guess);
            known.for_each(|entry| entry.guess = GuessHash::NONE);
        }
        let is_first = effect == Effect::Admitted && self.admitted == 0;
        if is_first {
            self.admitted = now;
        }
        Reply::counted(i64::from(is_first))
    }

    fn settle(&mut self, charge: (i64, GuessHash)) {
        let index = self.under_way(charge);
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.settled = true;
        }
    }

    fn under_way(&self, (mark, guess): (i64, GuessHash)) -> Option<usize> {
        self.entries
            .iter()
            .rposition(|entry| entry.time == mark && entry.guess == guess && !entry.settled)
    }
}

fn count(times: &[i64]) -> i64 {
    i64::try_from(times.len()).unwrap_or(i64::MAX)
}

/// Returns the time after `now` until one more failure fits onto those of `times`, oldest first; 0 or below means at
/// once. Failures are forgotten after 24 hours, and the hour's GCRA is computed from the remaining ones.
fn wait(times: &[i64], budget: UserBudget, now: i64) -> i64 {
    let rate = budget.rate;
    let mut forgotten_at = now;
    let mut left = times;
    loop {
        let oldest = left.first().map(|time| time + DAY_MICROS);
        if count(left) < budget.daily {
            let arrival = left
                .iter()
                .fold(0, |arrival, time| rate.after(arrival, *time));
            let passes_at = forgotten_at.max(arrival + rate.interval_micros - rate.depth_micros());
            if oldest.is_none_or(|oldest| passes_at <= oldest) {
                return passes_at - now;
            }
        }
        forgotten_at = forgotten_at.max(oldest.unwrap_or(now));
        left = left.split_first().map_or(&[], |(_, rest)| rest);
    }
}
