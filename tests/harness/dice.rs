//! Random numbers that depend on the seed alone, so they are the same on every machine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The random numbers of a seed (`SplitMix64`), which its clones share.
#[derive(Debug, Clone)]
pub struct Dice(Arc<AtomicU64>);

impl Dice {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Returns the stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// Returns another stream, seeded by the next number of this one.
    #[must_use]
    pub fn split(&self) -> Self {
        Self::new(self.roll())
    }

    /// Returns the next number.
    #[must_use]
    pub fn roll(&self) -> u64 {
        let before = self.0.fetch_add(Self::STEP, Ordering::Relaxed);
        let mut mixed = before.wrapping_add(Self::STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.roll() % bound).unwrap()
    }

    /// Returns a number from `first` to `last`, both included.
    #[must_use]
    pub fn between(&self, first: i64, last: i64) -> i64 {
        let span = usize::try_from(last - first + 1).unwrap();
        first + i64::try_from(self.below(span)).unwrap()
    }

    /// Returns true in `percent` of 100 cases.
    #[must_use]
    pub fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns one of the elements.
    #[must_use]
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns one of the elements, or `None` if there is none.
    #[must_use]
    pub fn pick_from<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// Returns the index of one of them, chosen in proportion to its weight.
    #[must_use]
    pub fn weighted(&self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let sum: u64 = weights.clone().map(u64::from).sum();
        let mut left = self.roll() % sum.max(1);
        for (place, weight) in weights.enumerate() {
            match left.checked_sub(u64::from(weight)) {
                Some(rest) => left = rest,
                None => return place,
            }
        }
        0
    }

    /// Returns a duration from `least` to less than `most` milliseconds.
    #[must_use]
    pub fn millis(&self, least: usize, most: usize) -> Duration {
        Duration::from_millis((least + self.below(most - least)) as u64)
    }

    /// Returns a request id.
    #[must_use]
    pub fn request_id(&self) -> String {
        let bytes = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        let id = uuid::Builder::from_random_bytes(bytes.to_be_bytes());
        id.into_uuid().to_string()
    }

    /// Returns a word of this many letters and digits, none of which looks like another.
    #[must_use]
    pub fn word(&self, characters: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";
        (0..characters)
            .map(|_| char::from(*self.pick(ALPHABET)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_and_weights_decide_how_often() {
        let rolls = |seed| {
            let dice = Dice::new(seed);
            [dice.roll(), dice.roll(), dice.roll()]
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
        let (dice, mut seen) = (Dice::new(1), [0; 3]);
        for _ in 0..3_000 {
            seen[dice.weighted([1, 0, 2].into_iter())] += 1;
        }
        assert!(seen[1] == 0 && seen[2] > 3 * seen[0] / 2, "{seen:?}");
    }
}
