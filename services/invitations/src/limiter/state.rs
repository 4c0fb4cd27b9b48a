//! The steps of counters as pure functions; `gcra.lua` does the same in Redis.
//!
//! There are three shapes of state, each of one key:
//! - [`UserLog`](super::user_log::UserLog) keeps the times of a user's failures of the last 24 hours (at most the daily
//!   budget), each with the hash of its guess. The GCRA of the hour is computed from it, so that giving one back is
//!   exact whatever came between, and so is the daily cap in *any* 24 hours.
//! - [`Bucket`] is a GCRA with a reserve that first admissions fill, and the charges under way.
//! - [`Guard`] refuses nothing. It is a GCRA of *settled* failures that closes for 24 hours when overspent, beside a
//!   count of attempts under way, so that a class that arrives at once is not mistaken for guesses, and parallel
//!   guesses gain no more than that count's limit, once.
//!
//! All times are microseconds since the epoch. A time in the future (the clock went back) is treated as now. Nothing in
//! a state counts for longer than 24 hours after its last step.

use super::{
    budget::{
        ADDRESS_ADMISSIONS_WINDOW_MICROS, DAY_MICROS, IN_FLIGHT_SLOT_MICROS, Rate, UNDER_WAY_MICROS,
    },
    counter::{Reply, Step},
};

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

impl Bucket {
    /// Takes a step. The mark of a charge is its time, negative if the reserve pays.
    pub(crate) fn step(&mut self, step: Step, rate: Rate, additions_max: i64, now: i64) -> Reply {
        self.forget(rate, now);
        match step {
            Step::Charge | Step::Spend | Step::Peek => return self.charge(step, rate, now),
            Step::Refund { mark, .. } => {
                if self.release(mark) && mark < 0 {
                    self.spent = (self.spent - 1).max(0);
                }
            }
            Step::Keep { mark } => {
                if self.release(mark) && mark > 0 {
                    self.arrival = rate.after(self.arrival, mark.min(now));
                }
            }
            Step::Add => {
                if self.added == 0 {
                    self.window_start = now;
                }
                self.added = (self.added + 1).min(additions_max);
            }
            Step::Clear => *self = Self::default(),
        }
        Reply::DONE
    }

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
                arrival = rate.after(arrival, (*hold).min(now));
            }
            under_way
        });
        self.arrival = arrival.min(now + rate.depth_micros());
    }

    fn charge(&mut self, step: Step, rate: Rate, now: i64) -> Reply {
        // The arrival if all charges under way were failures.
        let holds = self.holds.iter().filter(|hold| **hold > 0);
        let arrival = holds.fold(self.arrival, |arrival, hold| {
            rate.after(arrival, (*hold).min(now))
        });
        let is_spent = rate.wait(arrival, now) > 0;
        if is_spent && self.spent >= self.added {
            let gives_back = self.holds.iter().any(|hold| *hold < 0);
            let wait = rate.wait(self.arrival, now);
            return Reply::refused(if gives_back { 0 } else { wait });
        }
        let mark = if is_spent { -now } else { now };
        match step {
            Step::Charge => {
                self.spent += i64::from(is_spent);
                self.holds.push(mark);
            }
            Step::Spend => self.arrival = rate.after(self.arrival, now),
            _ => {}
        }
        Reply {
            mark,
            ..Reply::DONE
        }
    }

    fn release(&mut self, mark: i64) -> bool {
        let found = self.holds.iter().rposition(|hold| *hold == mark);
        found.map(|index| self.holds.remove(index)).is_some()
    }
}

/// The failures against an organization or the service, and the attempts under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    arrival: i64,
    guarded_until: i64,
    slot: i64,
    /// The attempts under way that began in the slot.
    current: i64,
    /// The attempts under way that began in the slot before.
    previous: i64,
}

impl Guard {
    /// Takes a step. The mark of a charge is its slot. The guard is open unless it is closed or too many attempts are
    /// under way.
    pub(crate) fn step(&mut self, step: Step, rate: Rate, in_flight_max: i64, now: i64) -> Reply {
        self.forget(now);
        let is_closed = self.guarded_until > now;
        match step {
            Step::Charge => {
                let are_many = self.current + self.previous >= in_flight_max;
                self.current += 1;
                let mark = self.slot;
                Reply {
                    mark,
                    ..Reply::counted(i64::from(is_closed || are_many))
                }
            }
            Step::Peek => Reply::counted(i64::from(is_closed)),
            Step::Refund { mark, .. } => {
                self.leave(mark);
                Reply::DONE
            }
            Step::Keep { mark } => {
                self.leave(mark);
                self.arrival = self.arrival.min(now + rate.depth_micros());
                if rate.wait(self.arrival, now) <= 0 {
                    self.arrival = rate.after(self.arrival, now);
                    return Reply::DONE;
                }
                self.guarded_until = now + DAY_MICROS;
                Reply::counted(i64::from(!is_closed))
            }
            Step::Spend | Step::Add | Step::Clear => Reply::DONE,
        }
    }

    fn forget(&mut self, now: i64) {
        // No value reaches further, so a larger one means that the clock was set back.
        self.arrival = self.arrival.min(now + DAY_MICROS);
        self.guarded_until = self.guarded_until.min(now + DAY_MICROS);
        let slot = now.div_euclid(IN_FLIGHT_SLOT_MICROS);
        if slot == self.slot + 1 {
            (self.slot, self.previous, self.current) = (slot, self.current, 0);
        } else if slot != self.slot {
            (self.slot, self.previous, self.current) = (slot, 0, 0);
        }
    }

    fn leave(&mut self, mark: i64) {
        if mark == self.slot {
            self.current = (self.current - 1).max(0);
        } else if mark + 1 == self.slot {
            self.previous = (self.previous - 1).max(0);
        }
    }
}
