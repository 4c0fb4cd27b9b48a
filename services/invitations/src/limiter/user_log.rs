//! The record of a user in one key: failures, each with its guess, repeats, the number of attempts that changed
//! something and were given back, and the time at which the user last added to an address. `gcra.lua` does the same in
//! Redis.

use super::{
    GuessHash,
    budget::{DAY_MICROS, Rate, UNDER_WAY_MICROS, UserBudget},
    state::Reply,
};

/// The change made by an attempt whose charge is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changed nothing: the person was a member already, no seat was free, or a part of the service did not answer.
    Nothing,
    /// It filed a request, which waits for approval.
    Filed,
    /// It admitted the person.
    Admitted,
}

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

    /// Charges one attempt; the mark is its time. A guess that is among the failures is a repeat, and is not charged.
    pub(crate) fn charge(&mut self, guess: GuessHash, budget: UserBudget, now: i64) -> Reply {
        self.forget(now);
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
            let (before, answer) = self.repeat(budget.repeats, now);
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
    fn repeat(&mut self, rate: Rate, now: i64) -> (i64, Reply) {
        // No value reaches further, so a larger one means that the clock was set back.
        self.repeats = self.repeats.min(now + rate.depth_micros());
        let before = (self.repeats - now).max(0);
        let arrival = self.repeats.max(now) + rate.interval_micros;
        let wait = arrival - now - rate.depth_micros();
        let answer = if wait > 0 {
            Reply::refused(wait)
        } else {
            self.repeats = arrival;
            Reply::DONE
        };
        (
            (before + rate.interval_micros - 1) / rate.interval_micros,
            answer,
        )
    }

    /// Removes the attempt of `charge`, its mark and guess, unless it changed something and `effects_max` attempts of
    /// today did so before. An attempt that changed something was no failure: its guess is no longer recognized as a
    /// repeat. The count is 1 if it is the user's first admission of 24 hours.
    pub(crate) fn refund(
        &mut self,
        charge: (i64, GuessHash),
        repeats: Rate,
        effect: Effect,
        effects_max: i64,
        now: i64,
    ) -> Reply {
        self.forget(now);
        let (mark, guess) = charge;
        let given_back = effect == Effect::Nothing || self.effects < effects_max;
        if effect != Effect::Nothing && given_back {
            if self.effects == 0 {
                self.effects_since = now;
            }
            self.effects += 1;
        }
        if mark == 0 {
            self.repeats -= repeats.interval_micros.min(self.repeats);
        } else if given_back {
            if let Some(index) = self.under_way(charge) {
                self.entries.remove(index);
            }
        } else {
            self.settle(charge);
        }
        if effect != Effect::Nothing {
            let known = self.entries.iter_mut().filter(|entry| entry.guess == guess);
            known.for_each(|entry| entry.guess = GuessHash::NONE);
        }
        let is_first = effect == Effect::Admitted && self.admitted == 0;
        if is_first {
            self.admitted = now;
        }
        Reply {
            allowed: given_back,
            count: i64::from(is_first),
            ..Reply::DONE
        }
    }

    /// Records that the attempt of `charge`, its mark and guess, is a failure.
    pub(crate) fn keep(&mut self, charge: (i64, GuessHash), now: i64) -> Reply {
        self.forget(now);
        self.settle(charge);
        Reply::DONE
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

    /// Returns the time from which this log has no effect.
    pub(crate) fn expires(&self) -> i64 {
        let last = self.entries.last().map_or(0, |entry| entry.time);
        last.max(self.effects_since).max(self.admitted) + DAY_MICROS
    }
}

fn count(times: &[i64]) -> i64 {
    i64::try_from(times.len()).unwrap_or(i64::MAX)
}

/// Returns the time after `now` until one more failure fits onto those of `times`, oldest first; 0 or below means at
/// once. Failures are forgotten after 24 hours, and the hour's GCRA is computed from the remaining ones.
fn wait(times: &[i64], budget: UserBudget, now: i64) -> i64 {
    let interval = budget.rate.interval_micros;
    let mut forgotten_at = now;
    let mut left = times;
    loop {
        let oldest = left.first().map(|time| time + DAY_MICROS);
        if count(left) < budget.daily {
            let arrival = left
                .iter()
                .fold(0, |arrival: i64, time| arrival.max(*time) + interval);
            let passes_at = forgotten_at.max(arrival + interval - budget.rate.depth_micros());
            if oldest.is_none_or(|oldest| passes_at <= oldest) {
                return passes_at - now;
            }
        }
        forgotten_at = forgotten_at.max(oldest.unwrap_or(now));
        left = left.split_first().map_or(&[], |(_, rest)| rest);
    }
}
