//! The clock, injected so that tests and the model own the time.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// Digits of a second that the databases keep: microseconds.
const SUBSECOND_DIGITS: u16 = 6;

/// Tells the time, truncated to microseconds so that both databases give back what was stored.
pub trait Clock: Send + Sync + Debug {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock shared by everything in a process.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(SUBSECOND_DIGITS)
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        Self(Mutex::new(start.trunc_subsecs(SUBSECOND_DIGITS)))
    }

    /// Sets the time, forward or back.
    pub fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            time.trunc_subsecs(SUBSECOND_DIGITS);
    }

    /// Moves the time by `step`, which may be negative.
    pub fn advance(&self, step: TimeDelta) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *time = (*time + step).trunc_subsecs(SUBSECOND_DIGITS);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time as the databases store it: microseconds since the epoch.
#[must_use]
pub fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// A time read from a database; one that no calendar holds becomes the last one that it does.
#[must_use]
pub fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A time as the wire carries it.
#[must_use]
pub fn to_timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_micros()).unwrap_or(0) * 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_truncated_to_microseconds_and_survives_storage() {
        let clock = ManualClock::new(DateTime::from_timestamp_nanos(1_700_000_000_123_456_789));
        let now = clock.now();
        assert_eq!(now.timestamp_subsec_nanos(), 123_456_000);
        assert_eq!(from_micros(micros(now)), now);
        clock.advance(TimeDelta::nanoseconds(1_999));
        assert_eq!(micros(clock.now()) - micros(now), 1);
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn the_wire_form_keeps_times_before_the_epoch() {
        let time = from_micros(-1);
        assert_eq!(
            to_timestamp(time),
            prost_types::Timestamp {
                seconds: -1,
                nanos: 999_999_000
            }
        );
    }
}
