//! The clock of both services.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};
use homeroom_kit::clock::{Clock, from_micros};

/// A clock that advances by a microsecond at each reading, so that no two readings are equal, and
/// that can be stepped forward and back.
#[derive(Debug)]
pub struct SteppedClock {
    micros: AtomicI64,
    latest: Mutex<i64>,
    forward_seconds: AtomicI64,
}

impl SteppedClock {
    /// Returns a clock that stands at `start`.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        let micros = start.timestamp_micros();
        Self {
            micros: AtomicI64::new(micros),
            latest: Mutex::new(micros),
            forward_seconds: AtomicI64::new(0),
        }
    }

    /// Steps the clock by `seconds`, which may be negative.
    pub fn step(&self, seconds: i64) {
        self.forward_seconds
            .fetch_add(seconds.max(0), Ordering::SeqCst);
        let before = self.micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (*latest).max(before).max(before + seconds * 1_000_000);
    }

    /// Sets the clock to `seconds` after the latest time that it ever showed.
    pub fn go_beyond(&self, seconds: i64) {
        self.step(0);
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.micros
            .store(latest + seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Returns the sum of all steps forward, in seconds: at least the difference of any two
    /// readings.
    #[must_use]
    pub fn forward_seconds(&self) -> i64 {
        self.forward_seconds.load(Ordering::SeqCst)
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.micros.fetch_add(1, Ordering::SeqCst))
    }
}
