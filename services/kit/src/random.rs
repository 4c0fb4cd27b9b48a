//! Randomness, which is injected so that tests are repeatable.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::clock::Clock;

/// A source of random bytes.
pub trait Randomness: Send + Sync + Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// A source shared by everything in a process.
pub type SharedRandomness = Arc<dyn Randomness>;

/// The operating system's cryptographic randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        // The loop waits for entropy, because guessable secrets would be worse.
        while aws_lc_rs::rand::fill(bytes).is_err() {
            std::thread::yield_now();
        }
    }
}

/// Repeatable randomness for tests, never for secrets.
#[derive(Debug)]
pub struct SeededRandomness(Mutex<StdRng>);

impl SeededRandomness {
    /// Returns the sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Randomness for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(bytes);
    }
}

/// Returns a number below `n`, each equally likely; 0 if `n` is 0.
pub fn below(random: &dyn Randomness, n: u32) -> u32 {
    if n < 2 {
        return 0;
    }
    // Numbers at or above the last whole multiple of n would favor small results.
    let limit = u32::MAX - (u32::MAX % n);
    loop {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        let drawn = u32::from_le_bytes(bytes);
        if drawn < limit {
            return drawn % n;
        }
    }
}

/// Returns a new UUID of version 7, with the clock's time.
pub fn new_id(clock: &dyn Clock, random: &dyn Randomness) -> Uuid {
    new_id_at(clock.now(), random)
}

/// Returns a new UUID of version 7, with the given time.
pub fn new_id_at(time: DateTime<Utc>, random: &dyn Randomness) -> Uuid {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        let draw = |seed| {
            let mut bytes = [0; 16];
            SeededRandomness::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let random = SeededRandomness::new(1);
        assert_eq!(below(&random, 0), 0);
        assert_eq!(below(&random, 1), 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[below(&random, 6) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (850..1_150).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn ids_are_version_7_and_carry_the_time() {
        let clock = ManualClock::new(DateTime::from_timestamp_nanos(1_700_000_000_123_000_000));
        let id = new_id(&clock, &SystemRandomness);
        assert_eq!(id.get_version_num(), 7);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 123_000_000));
        assert_ne!(id, new_id(&clock, &SystemRandomness));
    }
}
