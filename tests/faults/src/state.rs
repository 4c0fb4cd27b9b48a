//! The progress of a campaign, kept in a file so that an interrupted one can continue.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Class, Fault},
    inject::Tally,
    round::Outcome,
};

/// Everything that the report needs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) seed: u64,
    /// The number of completed rounds.
    pub(crate) rounds: u64,
    /// The number of rounds of each fault, by name.
    pub(crate) rounds_of: BTreeMap<String, u64>,
    pub(crate) tally: Tally,
    /// The times in milliseconds for which redemptions stayed in doubt after a round's faults were
    /// over.
    pub(crate) settled_millis: Vec<u64>,
    /// The times in milliseconds for which redemptions stayed in doubt between two faults.
    #[serde(default)]
    pub(crate) settled_between_millis: Vec<u64>,
    /// The number of answers of all calls, by name.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The number of acknowledged answers that were checked.
    pub(crate) checked: u64,
    pub(crate) violations: Vec<String>,
    /// The time that the rounds took.
    pub(crate) seconds: u64,
}

impl State {
    /// Returns the state of an interrupted campaign, or `None` if there is none.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// Writes the file beside the old one and renames it, so that it is never incomplete.
    pub(crate) fn save(&self, path: &Path) {
        let beside = path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(self).unwrap()).unwrap();
        fs::rename(beside, path).unwrap();
    }

    /// Adds a completed round.
    pub(crate) fn add(&mut self, fault: Fault, outcome: Outcome, took: Duration) {
        self.rounds += 1;
        *self.rounds_of.entry(fault.name().to_owned()).or_default() += 1;
        let millis = |took: &Duration| u64::try_from(took.as_millis()).unwrap();
        let settled = outcome.settled;
        self.settled_millis
            .extend(settled.at_the_end.iter().map(millis));
        self.settled_between_millis
            .extend(settled.between.iter().map(millis));
        for (answer, count) in outcome.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.checked += outcome.checked;
        self.violations.extend(outcome.violations);
        self.seconds += took.as_secs();
    }

    pub(crate) fn rounds_of(&self, fault: Fault) -> u64 {
        self.rounds_of.get(fault.name()).copied().unwrap_or(0)
    }

    /// Returns the number of faults of a class that took effect.
    pub(crate) fn count(&self, class: Class) -> u64 {
        let of_class = Fault::ALL.iter().filter(|fault| fault.class() == class);
        of_class.map(|fault| self.tally.of(*fault)).sum()
    }

    /// Returns the time within which `percent` per cent of the redemptions in doubt settled.
    pub(crate) fn settled_within(&self, percent: usize) -> Duration {
        within(&self.settled_millis, percent)
    }

    /// Returns the same for the redemptions in doubt between two faults.
    pub(crate) fn settled_between_within(&self, percent: usize) -> Duration {
        within(&self.settled_between_millis, percent)
    }
}

/// Returns the given percentile.
fn within(millis: &[u64], percent: usize) -> Duration {
    let mut millis = millis.to_vec();
    millis.sort_unstable();
    let rank = (millis.len() * percent).div_ceil(100).saturating_sub(1);
    Duration::from_millis(millis.get(rank).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_those_that_were_in_doubt() {
        let mut state = State {
            settled_millis: (1..=200).map(|hundredths| hundredths * 10).rev().collect(),
            ..State::default()
        };
        let expected = [1_000, 1_980, 2_000].map(Duration::from_millis);
        let within = [50, 99, 100].map(|percent| state.settled_within(percent));
        assert_eq!(within, expected);
        state.settled_millis.clear();
        assert_eq!(state.settled_within(99), Duration::ZERO);
    }
}
