//! The clock, which is injected so that tests and the model control the time.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// The digits of a second that the databases keep: microseconds.
const SUBSECOND_DIGITS: u16 = 6;

/// A source of the time, truncated to microseconds so that both databases return it unchanged.
pub trait Clock: Send + Sync + Debug {
    /// Returns the current time.
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

/// A clock that moves only when it is set or advanced.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// Returns a clock that stands at `start`.
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

/// Returns the time in the databases' form: microseconds since the epoch.
#[must_use]
pub fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// Returns a time read from a database; one beyond the calendar becomes the last time of the
/// calendar.
#[must_use]
pub fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns the time as a protobuf timestamp.
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
