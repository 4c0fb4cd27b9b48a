//! Choices that follow from a seed.

use std::{sync::Arc, time::Duration};

use homeroom_kit::random::{Randomness, SeededRandomness, below};
use uuid::Uuid;

/// A source of choices; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<SeededRandomness>);

impl Dice {
    /// Choices that follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(SeededRandomness::new(seed)))
    }

    /// Another source, which follows from this one's next choice.
    pub(crate) fn split(&self) -> Self {
        let mut seed = [0; 8];
        self.0.fill(&mut seed);
        Self::new(u64::from_le_bytes(seed))
    }

    /// From 0 to less than `n`.
    pub(crate) fn below(&self, n: usize) -> usize {
        below(&*self.0, u32::try_from(n).unwrap()) as usize
    }

    /// Whether something of so many per cent happens.
    pub(crate) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of them.
    pub(crate) fn pick<'item, T>(&self, items: &'item [T]) -> &'item T {
        &items[self.below(items.len())]
    }

    /// From `least` to less than `most`.
    pub(crate) fn millis(&self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least + self.below(most - least)) as u64)
    }

    /// An id for a request.
    pub(crate) fn request_id(&self) -> String {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// So many letters and digits that cannot be mistaken for one another.
    pub(crate) fn word(&self, characters: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";
        (0..characters)
            .map(|_| char::from(*self.pick(ALPHABET)))
            .collect()
    }
}

/// The id in a resource name that ends with one.
pub(crate) fn id_of(name: &str) -> Option<Uuid> {
    name.rsplit('/').next()?.parse().ok()
}
