//! The lock of a class code: it locks by itself, and is judged at the moment of use, never by a timer (C4).

use chrono::{DateTime, TimeDelta, Utc};

/// The default lock period, in days: the time after which a code locks itself (C4).
pub const DEFAULT_LOCK_PERIOD_DAYS: i64 = 14;
/// The minimum lock period, in hours (C4).
pub const MIN_LOCK_PERIOD_HOURS: i64 = 1;
/// The maximum lock period, in days (C4).
pub const MAX_LOCK_PERIOD_DAYS: i64 = 365;

/// The time for which a class code stays unlocked: 1 hour to 365 days, or unlimited (C4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockPeriod(Option<TimeDelta>);

/// The error for a lock period outside 1 hour to 365 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be between 1 hour and 365 days, or 0 for no end")]
pub struct LockPeriodOutOfRange;

impl LockPeriod {
    /// 14 days (C4).
    pub const DEFAULT: Self = Self(Some(TimeDelta::days(DEFAULT_LOCK_PERIOD_DAYS)));
    /// The code never locks itself.
    pub const NEVER: Self = Self(None);

    /// Returns a period of `duration`: 1 hour to 365 days, both included.
    ///
    /// # Errors
    /// [`LockPeriodOutOfRange`] outside these bounds.
    pub fn after(duration: TimeDelta) -> Result<Self, LockPeriodOutOfRange> {
        let bounds =
            TimeDelta::hours(MIN_LOCK_PERIOD_HOURS)..=TimeDelta::days(MAX_LOCK_PERIOD_DAYS);
        if bounds.contains(&duration) {
            Ok(Self(Some(duration)))
        } else {
            Err(LockPeriodOutOfRange)
        }
    }

    /// Returns the period, or `None` for never.
    #[must_use]
    pub const fn duration(self) -> Option<TimeDelta> {
        self.0
    }
}

impl Default for LockPeriod {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The lock of a class code. Whatever changes with time is computed at use (C4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lock {
    /// The time at which the code was made, reset or last unlocked, from which the period runs (X3).
    pub unlock_time: DateTime<Utc>,
    /// The time for which it stays unlocked.
    pub period: LockPeriod,
    /// The time at which staff locked it by hand, until they unlock it (C7).
    pub manual_lock_time: Option<DateTime<Utc>>,
}

impl Lock {
    /// Returns a lock that is open from `now` for `period` (C4).
    #[must_use]
    pub const fn open(now: DateTime<Utc>, period: LockPeriod) -> Self {
        Self {
            unlock_time: now,
            period,
            manual_lock_time: None,
        }
    }

    /// Returns the time at which it locks or locked, by hand or by itself, whichever came first; `None`: never.
    #[must_use]
    pub fn lock_time(&self) -> Option<DateTime<Utc>> {
        // A time beyond the calendar's end means never.
        let by_itself = self
            .period
            .duration()
            .and_then(|period| self.unlock_time.checked_add_signed(period));
        match (self.manual_lock_time, by_itself) {
            (Some(by_hand), Some(by_itself)) => Some(by_hand.min(by_itself)),
            (by_hand, by_itself) => by_hand.or(by_itself),
        }
    }

    /// Returns true if it is locked at `now`. A lock by hand holds even if the clock has been set back since.
    #[must_use]
    pub fn is_locked(&self, now: DateTime<Utc>) -> bool {
        self.manual_lock_time.is_some() || self.lock_time().is_some_and(|at| now >= at)
    }

    /// Returns the lock unlocked at `now`: the period starts again (C7, X3).
    #[must_use]
    pub const fn unlocked(self, now: DateTime<Utc>) -> Self {
        Self::open(now, self.period)
    }

    /// Returns the lock locked by hand at `now` (C7); a code that is locked by hand already keeps its time.
    #[must_use]
    pub const fn locked(self, now: DateTime<Utc>) -> Self {
        match self.manual_lock_time {
            Some(_) => self,
            None => Self {
                manual_lock_time: Some(now),
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

    #[test]
    fn c4_a_code_locks_itself_14_days_after_it_was_made() {
        let lock = Lock::open(start(), LockPeriod::default());
        let end = start() + TimeDelta::days(14);
        assert_eq!(lock.lock_time(), Some(end));
        assert!(!lock.is_locked(start()));
        assert!(!lock.is_locked(end - MICROSECOND));
        assert!(lock.is_locked(end));
    }

    #[test]
    fn c4_the_period_is_1_hour_to_365_days_or_never() {
        let hour = TimeDelta::hours(MIN_LOCK_PERIOD_HOURS);
        let year = TimeDelta::days(MAX_LOCK_PERIOD_DAYS);
        assert_eq!(LockPeriod::after(hour).unwrap().duration(), Some(hour));
        assert_eq!(LockPeriod::after(year).unwrap().duration(), Some(year));
        for outside in [
            hour - MICROSECOND,
            year + MICROSECOND,
            -hour,
            TimeDelta::zero(),
        ] {
            assert_eq!(LockPeriod::after(outside), Err(LockPeriodOutOfRange));
        }
        let never = Lock::open(start(), LockPeriod::NEVER);
        assert_eq!(never.lock_time(), None);
        assert!(!never.is_locked(start() + TimeDelta::days(100_000)));
    }

    #[test]
    fn x3_unlocking_starts_the_clock_again() {
        let later = start() + TimeDelta::days(20);
        let lock = Lock::open(start(), LockPeriod::default());
        assert!(lock.is_locked(later));
        let lock = lock.unlocked(later);
        assert!(!lock.is_locked(later));
        assert_eq!(lock.lock_time(), Some(later + TimeDelta::days(14)));
    }

    #[test]
    fn c7_staff_lock_at_any_time_and_it_holds_until_they_unlock() {
        let now = start() + TimeDelta::days(1);
        let lock = Lock::open(start(), LockPeriod::NEVER).locked(now);
        assert_eq!(lock.lock_time(), Some(now));
        assert!(lock.is_locked(now));
        assert!(lock.is_locked(start()), "a clock set back does not unlock");
        assert_eq!(lock.locked(now + TimeDelta::days(1)), lock);
        assert!(!lock.unlocked(now).is_locked(now));
    }

    #[test]
    fn c4_a_changed_period_counts_from_the_same_start() {
        let week = LockPeriod::after(TimeDelta::days(7)).unwrap();
        let lock = Lock {
            period: week,
            ..Lock::open(start(), LockPeriod::default())
        };
        assert!(lock.is_locked(start() + TimeDelta::days(7)));
    }

    #[test]
    fn c4_a_period_past_the_calendars_end_never_locks() {
        let lock = Lock::open(DateTime::<Utc>::MAX_UTC, LockPeriod::default());
        assert!(!lock.is_locked(DateTime::<Utc>::MAX_UTC));
    }
}
