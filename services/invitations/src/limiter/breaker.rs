//! The circuit breaker, which stops asking a store that keeps failing, and probes it from time to time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The number of errors in a row after which the breaker opens.
pub const BREAKER_ERRORS_MAX: u32 = 5;
/// The pause between probes: with two of them, a Redis that is back is used again within 5 seconds.
const PAUSE: Duration = Duration::from_secs(1);

/// A circuit breaker: closed, open after [`BREAKER_ERRORS_MAX`] errors in a row, and half open for one probe at a time.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    errors: u32,
    probe_at: Option<Instant>,
}

impl Breaker {
    /// Returns true if the store may be asked now. While the breaker is open, one call each pause gets through: the
    /// probe. A probe that never reports, because its caller has gone, is followed by the next one.
    pub fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.lock();
        if state.is_open() {
            if state.probe_at.is_some_and(|probe_at| now < probe_at) {
                return false;
            }
            state.probe_at = Some(now + PAUSE);
        }
        true
    }

    /// Returns true if the breaker is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Records whether the store answered. Returns true if that opened or closed the breaker.
    pub fn record(&self, answered: bool, now: Instant) -> bool {
        let mut state = self.lock();
        let was_open = state.is_open();
        state.errors = if answered {
            0
        } else {
            state.errors.saturating_add(1)
        };
        if state.is_open() && !was_open {
            state.probe_at = Some(now + PAUSE);
        }
        state.is_open() != was_open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.errors >= BREAKER_ERRORS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_the_breaker_opens_at_the_fifth_error_in_a_row() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for answered in [false, false, false, false, true, false, false, false, false] {
            assert!(!breaker.record(answered, now));
        }
        assert!(!breaker.is_open() && breaker.lets_through(now));
        assert!(breaker.record(false, now));
        assert!(breaker.is_open() && !breaker.lets_through(now));
    }

    #[test]
    fn r10_an_open_breaker_lets_one_probe_through_each_pause() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..BREAKER_ERRORS_MAX {
            breaker.record(false, now);
        }
        for _ in 0..3 {
            let early = now + Duration::from_millis(999);
            assert!(!breaker.lets_through(now) && !breaker.lets_through(early));
            now += PAUSE;
            assert!(breaker.lets_through(now), "the probe");
            // when it fails, or never reports, the next one follows
            assert!(!breaker.record(false, now));
        }
        // when it succeeds, the breaker closes
        assert!(breaker.record(true, now));
        assert!(breaker.lets_through(now) && breaker.lets_through(now));
    }
}
