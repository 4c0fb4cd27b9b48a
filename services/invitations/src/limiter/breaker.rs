//! The circuit breaker, which stops asking a store that keeps failing, and probes it from time to time.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_kit::clock::SharedClock;

/// The number of errors in a row after which the breaker opens.
pub const BREAKER_ERRORS_MAX: u32 = 5;
/// The pause before the first probe, in milliseconds; each failed probe doubles it.
pub const BREAKER_PAUSE_MIN_MILLIS: i64 = 200;
/// The maximum pause between probes, in milliseconds: with two of them, a Redis that is back is used again within 5
/// seconds.
pub const BREAKER_PAUSE_MAX_MILLIS: i64 = 2_000;

/// A circuit breaker: closed, open after [`BREAKER_ERRORS_MAX`] errors in a row, and half open for one probe at a time.
#[derive(Debug)]
pub struct Breaker {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    errors: u32,
    pause: TimeDelta,
    probe_at: DateTime<Utc>,
}

impl Breaker {
    /// Returns a closed breaker.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        let probe_at = clock.now();
        Self {
            clock,
            state: Mutex::new(State {
                errors: 0,
                pause: pause_min(),
                probe_at,
            }),
        }
    }

    /// Returns true if the store may be asked now. While the breaker is open, one call each pause gets through: the
    /// probe.
    ///
    /// A probe that never reports, because its caller has gone, is followed by the next one.
    pub fn lets_through(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.errors < BREAKER_ERRORS_MAX {
            return true;
        }
        // A clock that was set back must not hold the breaker open.
        let due = now >= state.probe_at || state.probe_at - now > pause_max();
        if due {
            state.probe_at = now + state.pause;
        }
        due
    }

    /// Returns true if the breaker is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().errors >= BREAKER_ERRORS_MAX
    }

    /// Records that the store answered. Returns true if that closed an open breaker.
    pub fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let was_open = state.errors >= BREAKER_ERRORS_MAX;
        state.errors = 0;
        state.pause = pause_min();
        was_open
    }

    /// Records that the store failed. Returns true if that opened a closed breaker.
    pub fn failed(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let was_open = state.errors >= BREAKER_ERRORS_MAX;
        state.errors = state.errors.saturating_add(1);
        if state.errors < BREAKER_ERRORS_MAX {
            return false;
        }
        if was_open {
            state.pause = (state.pause * 2).min(pause_max());
        }
        state.probe_at = now + state.pause;
        !was_open
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause_min() -> TimeDelta {
    TimeDelta::milliseconds(BREAKER_PAUSE_MIN_MILLIS)
}

fn pause_max() -> TimeDelta {
    TimeDelta::milliseconds(BREAKER_PAUSE_MAX_MILLIS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use homeroom_kit::clock::{ManualClock, from_micros};

    use super::*;

    fn open_breaker() -> (Arc<ManualClock>, Breaker) {
        let clock = Arc::new(ManualClock::new(from_micros(1_750_000_000_000_000)));
        let breaker = Breaker::new(clock.clone());
        for _ in 0..BREAKER_ERRORS_MAX {
            assert!(breaker.lets_through());
            breaker.failed();
        }
        (clock, breaker)
    }

    #[test]
    fn r10_the_breaker_opens_at_the_fifth_error_in_a_row() {
        let clock = Arc::new(ManualClock::new(from_micros(0)));
        let breaker = Breaker::new(clock);
        for _ in 0..BREAKER_ERRORS_MAX - 1 {
            assert!(!breaker.failed());
        }
        breaker.succeeded();
        for _ in 0..BREAKER_ERRORS_MAX - 1 {
            assert!(!breaker.failed());
        }
        assert!(!breaker.is_open() && breaker.lets_through());
        assert!(breaker.failed());
        assert!(breaker.is_open() && !breaker.lets_through());
    }

    #[test]
    fn r10_an_open_breaker_lets_one_probe_through_after_its_pause() {
        let (clock, breaker) = open_breaker();
        clock.advance(TimeDelta::milliseconds(BREAKER_PAUSE_MIN_MILLIS - 1));
        assert!(!breaker.lets_through());
        clock.advance(TimeDelta::milliseconds(1));
        assert!(breaker.lets_through(), "the probe");
        assert!(!breaker.lets_through(), "only one");
        // when the probe fails, the pause doubles
        breaker.failed();
        clock.advance(TimeDelta::milliseconds(2 * BREAKER_PAUSE_MIN_MILLIS - 1));
        assert!(!breaker.lets_through());
        clock.advance(TimeDelta::milliseconds(1));
        assert!(breaker.lets_through());
        // when it succeeds, the breaker closes
        assert!(breaker.succeeded());
        assert!(breaker.lets_through() && breaker.lets_through());
    }

    #[test]
    fn r10_the_pause_is_at_most_two_seconds_and_a_clock_set_back_does_not_lengthen_it() {
        let (clock, breaker) = open_breaker();
        for _ in 0..20 {
            breaker.failed();
        }
        clock.advance(TimeDelta::milliseconds(BREAKER_PAUSE_MAX_MILLIS));
        assert!(breaker.lets_through());
        clock.advance(TimeDelta::days(-1));
        assert!(breaker.lets_through());
    }
}
