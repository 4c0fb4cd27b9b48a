//! Counts what was done and reached, to detect a run that tests nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{faults, requests::METHODS};

/// The number of sequences after which every method must have been answered and every failpoint
/// reached.
pub const ENOUGH_SEQUENCES: u64 = 10_000;

/// Counts by name.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Counts one more of `name`.
    pub fn count(&mut self, name: &str) {
        self.add(name, 1);
    }

    /// Adds `count` to `name`.
    pub fn add(&mut self, name: &str, count: u64) {
        match self.0.get_mut(name) {
            Some(known) => *known += count,
            None => {
                self.0.insert(name.to_owned(), count);
            }
        }
    }

    /// Returns all counts as text, a line for each.
    pub fn written(&self) -> String {
        let lines = self
            .entries()
            .map(|(name, count)| format!("{count} {name}\n"));
        lines.collect()
    }

    /// Adds counts that were written.
    pub fn read(&mut self, text: &str) {
        for (count, name) in text.lines().filter_map(|line| line.split_once(' ')) {
            self.add(name, count.parse().unwrap());
        }
    }

    /// Returns the count of `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Returns all counts.
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Returns the sum of the counts whose names begin with `prefix`.
    #[must_use]
    pub fn sum(&self, prefix: &str) -> u64 {
        let those = self.entries().filter(|(name, _)| name.starts_with(prefix));
        those.map(|(_, count)| count).sum()
    }

    /// Returns the methods that were never answered with success, and the failpoints that were
    /// never reached.
    #[must_use]
    pub fn missing(&self) -> BTreeSet<String> {
        let methods = METHODS
            .iter()
            .map(|method| format!("ok {}", method.descriptor.full_name()));
        let points = faults::points().map(|point| format!("reached {point}"));
        methods
            .chain(points)
            .filter(|name| self.of(name) == 0)
            .collect()
    }
}
