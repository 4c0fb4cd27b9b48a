//! Random choices that depend on a seed.

use std::{sync::Arc, time::Duration};

use homeroom_kit::random::{Randomness, SeededRandomness, below};
use uuid::Uuid;

/// A source of choices, which its clones share.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<SeededRandomness>);

impl Dice {
    /// Returns the choices of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(SeededRandomness::new(seed)))
    }

    /// Returns another source, seeded by the next choice of this one.
    pub(crate) fn split(&self) -> Self {
        let mut seed = [0; 8];
        self.0.fill(&mut seed);
        Self::new(u64::from_le_bytes(seed))
    }

    /// Returns a number from 0 to `n - 1`.
    pub(crate) fn below(&self, n: usize) -> usize {
        below(&*self.0, u32::try_from(n).unwrap()) as usize
    }

    /// Returns true in `chance` per cent of cases.
    pub(crate) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// Returns one of the elements.
    pub(crate) fn pick<'item, T>(&self, items: &'item [T]) -> &'item T {
        &items[self.below(items.len())]
    }

    /// Returns a duration from `least` to less than `most` milliseconds.
    pub(crate) fn millis(&self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least + self.below(most - least)) as u64)
    }

    pub(crate) fn request_id(&self) -> String {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// Returns a word of this many letters and digits, none of which looks like another.
    pub(crate) fn word(&self, characters: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";
        (0..characters)
            .map(|_| char::from(*self.pick(ALPHABET)))
            .collect()
    }
}

/// Returns the id at the end of a resource name, or `None` if there is none.
pub(crate) fn id_of(name: &str) -> Option<Uuid> {
    name.rsplit('/').next()?.parse().ok()
}
