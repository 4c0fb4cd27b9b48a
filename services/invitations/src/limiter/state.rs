//! The limiter's transitions as pure functions; `gcra.lua` says the same for Redis.
//!
//! Three shapes of state, each of one key:
//! - [`UserLog`] keeps the times of a user's failures of the last 24 hours (at most the daily
//!   budget). The GCRA of the hour is folded from it, so that giving one back is exact whatever
//!   came between, and so is the daily cap in *any* 24 hours.
//! - [`Bucket`] is a GCRA with a reserve that first admissions fill.
//! - [`Guard`] refuses nothing. It is a GCRA of *settled* failures that closes for 24 hours when
//!   overspent, beside a count of attempts under way, so that a class that arrives at once is not
//!   taken for guesses, and parallel guesses gain no more than that count's limit, once.
//!
//! All times are microseconds since the epoch. A time in the future (the clock went back) is taken as now.

use super::budget::{
    ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, GUARD_MICROS, IN_FLIGHT_SLOT_MICROS, Rate,
    UserBudget,
};

/// What a transition answers. `mark` is what giving back needs: see each transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Whether it was charged; for a guard: whether it stands open.
    pub(crate) allowed: bool,
    /// User: failures of the last 24 hours before this one. Settling a guard: 1 when that closed it.
    pub(crate) count: i64,
    /// When not allowed: how long until it would be, more than 0.
    pub(crate) retry_micros: i64,
    /// Names the charge to the transition that gives it back.
    pub(crate) mark: i64,
}

impl Reply {
    pub(crate) const DONE: Self = Self {
        allowed: true,
        count: 0,
        retry_micros: 0,
        mark: 0,
    };
}

/// The times of a user's failures within 24 hours, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserLog(Vec<i64>);

impl UserLog {
    fn forget(&mut self, now: i64) {
        for time in &mut self.0 {
            *time = (*time).min(now);
        }
        self.0.retain(|time| *time > now - DAY_MICROS);
    }

    /// Charges one failure; the mark is its time.
    pub(crate) fn charge(&mut self, budget: UserBudget, now: i64) -> Reply {
        self.forget(now);
        let interval = budget.rate.interval_micros;
        let failures = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        let arrival = self
            .0
            .iter()
            .fold(0, |arrival: i64, time| arrival.max(*time) + interval);
        let mut retry = arrival.max(now) + interval - (now + budget.rate.depth_micros());
        if failures >= budget.daily {
            let oldest_that_counts = usize::try_from(failures - budget.daily)
                .ok()
                .and_then(|index| self.0.get(index));
            retry = retry.max(oldest_that_counts.map_or(0, |time| time + DAY_MICROS - now));
        }
        if retry > 0 {
            return Reply {
                allowed: false,
                count: failures,
                retry_micros: retry,
                mark: 0,
            };
        }
        self.0.push(now);
        Reply {
            allowed: true,
            count: failures,
            retry_micros: 0,
            mark: now,
        }
    }

    /// Takes the failure of `mark` out again.
    pub(crate) fn refund(&mut self, mark: i64, now: i64) -> Reply {
        self.forget(now);
        if let Some(index) = self.0.iter().rposition(|time| *time == mark) {
            self.0.remove(index);
        }
        Reply::DONE
    }

    /// When this log has nothing more to say.
    pub(crate) fn expires(&self) -> i64 {
        self.0.last().map_or(0, |time| time + DAY_MICROS)
    }
}

/// A GCRA and what first admissions added to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    arrival: i64,
    window_start: i64,
    added: i64,
    spent: i64,
}

impl Bucket {
    fn forget(&mut self, now: i64) {
        // No bucket is deeper than the window, so this is only ever a clock set back.
        self.arrival = self.arrival.min(now + ADDRESS_ADMISSIONS_WINDOW_MICROS);
        let end = self.window_start + ADDRESS_ADMISSIONS_WINDOW_MICROS;
        if now >= end || self.window_start > now {
            (self.window_start, self.added, self.spent) = (0, 0, 0);
        }
    }

    /// Charges one; the mark is the end of its slice of time, or 0 when the reserve paid.
    pub(crate) fn charge(&mut self, rate: Rate, now: i64) -> Reply {
        self.forget(now);
        self.arrival = self.arrival.min(now + rate.depth_micros());
        let next = self.arrival.max(now) + rate.interval_micros;
        let over = next - now - rate.depth_micros();
        if over <= 0 {
            self.arrival = next;
            Reply {
                mark: next,
                ..Reply::DONE
            }
        } else if self.spent < self.added {
            self.spent += 1;
            Reply::DONE
        } else {
            Reply {
                allowed: false,
                count: 0,
                retry_micros: over,
                mark: 0,
            }
        }
    }

    /// Gives back the charge of `mark`: as much of its slice of time as has not passed.
    pub(crate) fn refund(&mut self, mark: i64, rate: Rate, now: i64) -> Reply {
        self.forget(now);
        if mark == 0 {
            self.spent = (self.spent - 1).max(0);
        } else {
            let remaining = rate.interval_micros.min(mark - now).max(0);
            self.arrival = (self.arrival - remaining).max(0);
        }
        Reply::DONE
    }

    /// Adds one to the reserve, which holds at most `most` in its window.
    pub(crate) fn add(&mut self, most: i64, now: i64) -> Reply {
        self.forget(now);
        if self.added == 0 {
            self.window_start = now;
        }
        self.added = (self.added + 1).min(most);
        Reply {
            count: self.added,
            ..Reply::DONE
        }
    }

    /// When this bucket has nothing more to say.
    pub(crate) fn expires(&self) -> i64 {
        let window_end = if self.added > 0 {
            self.window_start + ADDRESS_ADMISSIONS_WINDOW_MICROS
        } else {
            0
        };
        self.arrival.max(window_end)
    }
}

/// Failures against an organization or the service, and the attempts under way.
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
        // Nothing reaches further, so these are only ever a clock set back.
        self.arrival = self.arrival.min(now + GUARD_MICROS);
        self.guarded_until = self.guarded_until.min(now + GUARD_MICROS);
        let slot = now.div_euclid(IN_FLIGHT_SLOT_MICROS);
        if slot == self.slot + 1 {
            (self.slot, self.previous, self.current) = (slot, self.current, 0);
        } else if slot != self.slot {
            (self.slot, self.previous, self.current) = (slot, 0, 0);
        }
    }

    /// Counts an attempt as under way; the mark is its slot. Open unless closed or too many are under way.
    pub(crate) fn enter(&mut self, in_flight_max: i64, now: i64) -> Reply {
        self.forget(now);
        let open = self.guarded_until <= now && self.current + self.previous < in_flight_max;
        self.current += 1;
        Reply {
            allowed: open,
            count: 0,
            retry_micros: 0,
            mark: self.slot,
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

    /// Ends the attempt of `mark`, which was a guess; the count is 1 when it closed an open guard.
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

    /// When this guard has nothing more to say, seen at `now`.
    pub(crate) fn expires(&self, now: i64) -> i64 {
        let under_way = if self.current + self.previous > 0 {
            now + 2 * IN_FLIGHT_SLOT_MICROS
        } else {
            0
        };
        self.arrival.max(self.guarded_until).max(under_way)
    }
}
