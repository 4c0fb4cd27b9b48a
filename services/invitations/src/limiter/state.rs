//! The limiter's transitions as pure functions; `gcra.lua` does the same in Redis.
//!
//! There are three shapes of state, each of one key:
//! - [`UserLog`] (`user_log.rs`) keeps the times of a user's failures of the last 24 hours (at most the daily budget),
//!   each with the hash of its guess. The GCRA of the hour is computed from it, so that giving one back is exact
//!   whatever came between, and so is the daily cap in *any* 24 hours.
//! - [`Bucket`] is a GCRA with a reserve that first admissions fill, and the charges under way.
//! - [`Guard`] refuses nothing. It is a GCRA of *settled* failures that closes for 24 hours when overspent, beside a
//!   count of attempts under way, so that a class that arrives at once is not mistaken for guesses, and parallel
//!   guesses gain no more than that count's limit, once.
//!
//! All times are microseconds since the epoch. A time in the future (the clock went back) is treated as now.

use super::budget::{
    ADDRESS_ADMISSIONS_WINDOW_MICROS, GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, Rate, UNDER_WAY_MICROS,
};
pub(crate) use super::user_log::UserLog;

/// The reply of a transition. Settling needs `mark`: see each transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// True if it was charged; for a guard, if it is open; for giving back, if it was given back.
    pub(crate) allowed: bool,
    /// For a user, the number of failures of the last 24 hours before this one, those under way included; for a repeat,
    /// also the repeats before it that are not paid off, beyond a burst. For giving back to a user, 1 if this adds to
    /// an address. For settling a guard, 1 if that closed it.
    pub(crate) count: i64,
    /// If it is not allowed, the time until it would be if all attempts under way were given back, more than 0.
    pub(crate) retry_micros: i64,
    /// The mark, which names the charge to the transition that settles it; 0 for a repeat, which charges the user
    /// nothing.
    pub(crate) mark: i64,
    /// For a user, the same as `count`, without attempts under way.
    pub(crate) settled: i64,
}

impl Reply {
    pub(crate) const DONE: Self = Self {
        allowed: true,
        count: 0,
        retry_micros: 0,
        mark: 0,
        settled: 0,
    };

    pub(crate) fn refused(retry_micros: i64) -> Self {
        Self {
            allowed: false,
            retry_micros: retry_micros.max(1),
            ..Self::DONE
        }
    }
}

/// A GCRA, the additions by first admissions, and the charges under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The arrival, of settled charges only.
    arrival: i64,
    window_start: i64,
    added: i64,
    spent: i64,
    /// The times of the charges under way, oldest first; negative if the reserve pays.
    holds: Vec<i64>,
}

/// Returns the arrival after one more charge at `time`.
fn after(arrival: i64, time: i64, rate: Rate) -> i64 {
    arrival.max(time) + rate.interval_micros
}

impl Bucket {
    fn forget(&mut self, rate: Rate, now: i64) {
        let end = self.window_start + ADDRESS_ADMISSIONS_WINDOW_MICROS;
        if now >= end || self.window_start > now {
            (self.window_start, self.added, self.spent) = (0, 0, 0);
            self.holds.retain(|hold| *hold > 0);
        }
        // A charge that is never settled stays.
        let mut arrival = self.arrival;
        self.holds.retain(|hold| {
            let under_way = (hold.abs() - now).abs() < UNDER_WAY_MICROS;
            if !under_way && *hold > 0 {
                arrival = after(arrival, (*hold).min(now), rate);
            }
            under_way
        });
        self.arrival = arrival.min(now + rate.depth_micros());
    }

    /// Returns the arrival if all charges under way were failures.
    fn arrival_with_holds(&self, rate: Rate, now: i64) -> i64 {
        self.holds
            .iter()
            .filter(|hold| **hold > 0)
            .fold(self.arrival, |arrival, hold| {
                after(arrival, (*hold).min(now), rate)
            })
    }

    /// Returns the time until one more charge fits onto `arrival`; 0 or below means at once.
    fn wait(arrival: i64, rate: Rate, now: i64) -> i64 {
        after(arrival, now, rate) - now - rate.depth_micros()
    }

    /// Returns the time until a charge passes if all charges under way are given back.
    fn wait_once_settled(&self, rate: Rate, now: i64) -> i64 {
        if self.holds.iter().any(|hold| *hold < 0) {
            return 0;
        }
        Self::wait(self.arrival, rate, now)
    }

    /// Charges one. If `held`, it counts as under way until it is settled. The mark is its time, negative if the
    /// reserve pays.
    pub(crate) fn charge(&mut self, rate: Rate, held: bool, now: i64) -> Reply {
        self.forget(rate, now);
        let arrival = self.arrival_with_holds(rate, now);
        let mark = if Self::wait(arrival, rate, now) <= 0 {
            now
        } else if self.spent < self.added {
            self.spent += 1;
            -now
        } else {
            return Reply::refused(self.wait_once_settled(rate, now));
        };
        if held {
            self.holds.push(mark);
        } else if mark > 0 {
            self.arrival = after(self.arrival, now, rate);
        }
        Reply {
            mark,
            ..Reply::DONE
        }
    }

    /// Returns the reply that a charge would get, and charges nothing.
    pub(crate) fn peek(&mut self, rate: Rate, now: i64) -> Reply {
        self.forget(rate, now);
        let arrival = self.arrival_with_holds(rate, now);
        if Self::wait(arrival, rate, now) <= 0 || self.spent < self.added {
            return Reply::DONE;
        }
        Reply::refused(self.wait_once_settled(rate, now))
    }

    /// Removes the charge of `mark`, while it is under way.
    pub(crate) fn refund(&mut self, mark: i64, rate: Rate, now: i64) -> Reply {
        self.forget(rate, now);
        if self.release(mark) && mark < 0 {
            self.spent = (self.spent - 1).max(0);
        }
        Reply::DONE
    }

    /// Records that the charge of `mark` is a failure.
    pub(crate) fn keep(&mut self, mark: i64, rate: Rate, now: i64) -> Reply {
        self.forget(rate, now);
        if self.release(mark) && mark > 0 {
            self.arrival = after(self.arrival, mark.min(now), rate);
        }
        Reply::DONE
    }

    fn release(&mut self, mark: i64) -> bool {
        let found = self.holds.iter().rposition(|hold| *hold == mark);
        found.is_some_and(|index| {
            self.holds.remove(index);
            true
        })
    }

    /// Adds one to the reserve, which holds at most `most` in its window.
    pub(crate) fn add(&mut self, most: i64, rate: Rate, now: i64) -> Reply {
        self.forget(rate, now);
        if self.added == 0 {
            self.window_start = now;
        }
        self.added = (self.added + 1).min(most);
        Reply {
            count: self.added,
            ..Reply::DONE
        }
    }

    /// Returns the time from which this bucket has no effect, seen at `now`.
    pub(crate) fn expires(&self, rate: Rate, now: i64) -> i64 {
        let window_end = if self.added > 0 {
            self.window_start + ADDRESS_ADMISSIONS_WINDOW_MICROS
        } else {
            0
        };
        let under_way = if self.holds.is_empty() {
            0
        } else {
            now + UNDER_WAY_MICROS
        };
        self.arrival_with_holds(rate, now)
            .max(window_end)
            .max(under_way)
    }
}

/// The failures against an organization or the service, and the attempts under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    arrival: i64,
    guarded_until: i64,
    slot: i64,
    current: i64,
    previous: i64,
}

impl Guard {
    fn forget(&mut self, now: i64) {
        // No value reaches further, so a larger one means that the clock was set back.
        self.arrival = self.arrival.min(now + GUARD_MICROS);
        self.guarded_until = self.guarded_until.min(now + GUARD_MICROS);
        let slot = now.div_euclid(IN_FLIGHT_SLOT_MICROS);
        if slot == self.slot + 1 {
            (self.slot, self.previous, self.current) = (slot, self.current, 0);
        } else if slot != self.slot {
            (self.slot, self.previous, self.current) = (slot, 0, 0);
        }
    }

    /// Counts an attempt as under way; the mark is its slot. The guard is open unless it is closed or too many attempts
    /// are under way.
    pub(crate) fn enter(&mut self, in_flight_max: i64, now: i64) -> Reply {
        self.forget(now);
        let open = self.guarded_until <= now && self.current + self.previous < in_flight_max;
        self.current += 1;
        Reply {
            allowed: open,
            mark: self.slot,
            ..Reply::DONE
        }
    }

    /// Returns whether the guard is open, whatever is under way.
    pub(crate) fn peek(&mut self, now: i64) -> Reply {
        self.forget(now);
        Reply {
            allowed: self.guarded_until <= now,
            ..Reply::DONE
        }
    }

    /// Ends the attempt of `mark`, which was no guess.
    pub(crate) fn leave(&mut self, mark: i64, now: i64) -> Reply {
        self.forget(now);
        if mark == self.slot {
            self.current = (self.current - 1).max(0);
        } else if mark + 1 == self.slot {
            self.previous = (self.previous - 1).max(0);
        }
        Reply::DONE
    }

    /// Ends the attempt of `mark`, which was a guess; the count is 1 if it closed an open guard.
    pub(crate) fn keep(&mut self, mark: i64, rate: Rate, now: i64) -> Reply {
        self.leave(mark, now);
        self.arrival = self.arrival.min(now + rate.depth_micros());
        let next = self.arrival.max(now) + rate.interval_micros;
        if next - now - rate.depth_micros() <= 0 {
            self.arrival = next;
            return Reply::DONE;
        }
        let raised = self.guarded_until <= now;
        self.guarded_until = now + GUARD_MICROS;
        Reply {
            count: i64::from(raised),
            ..Reply::DONE
        }
    }

    /// Returns the time from which this guard has no effect, seen at `now`.
    pub(crate) fn expires(&self, now: i64) -> i64 {
        let under_way = if self.current + self.previous > 0 {
            now + 2 * IN_FLIGHT_SLOT_MICROS
        } else {
            0
        };
        self.arrival.max(self.guarded_until).max(under_way)
    }
}
