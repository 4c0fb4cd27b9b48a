//! Searches a configuration to its end, or to the first violation of one property.

use std::{fmt, time::Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{
    configuration::Configuration,
    steps::{Protocol, Step},
};

/// The result of a search.
#[derive(Debug, Clone)]
pub struct Found {
    /// The number of distinct states, the number of steps, the length of the longest shortest path,
    /// and the duration in seconds.
    counts: String,
    /// The violated properties, each with the steps to the first state that violates it.
    pub violations: Vec<(&'static str, Vec<Step>)>,
    /// The goals that were not reached; if any, the search proves too little.
    pub goals_missed: Vec<&'static str>,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.counts)?;
        for (property, steps) in &self.violations {
            write!(formatter, "\n  violated: {property}")?;
            for step in steps {
                write!(formatter, "\n    {step:?}")?;
            }
        }
        for goal in &self.goals_missed {
            write!(formatter, "\n  never {goal}")?;
        }
        Ok(())
    }
}

/// Searches every state of `configuration`.
#[must_use]
pub fn exhaust(configuration: Configuration) -> Found {
    search(configuration, HasDiscoveries::All)
}

/// Searches the states of `configuration` until each of `properties` is violated.
#[must_use]
pub fn refute(configuration: Configuration, properties: &[&'static str]) -> Found {
    let violated = properties.iter().copied().collect();
    search(configuration, HasDiscoveries::AllOf(violated))
}

/// Searches with one thread, so that the states come in the same order every time.
fn search(configuration: Configuration, until: HasDiscoveries) -> Found {
    let start = Instant::now();
    let protocol = Protocol::new(configuration);
    let checker = protocol.checker().finish_when(until).spawn_bfs().join();
    let mut found = Found {
        counts: format!(
            "{} states, {} steps, depth {}, {:.1?}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            start.elapsed()
        ),
        violations: Vec::new(),
        goals_missed: Vec::new(),
    };
    let mut discoveries = checker.discoveries();
    for property in checker.model().properties() {
        let discovered = discoveries.remove(property.name);
        match (property.expectation, discovered) {
            (Expectation::Always, Some(path)) => {
                let steps = path.into_actions();
                found.violations.push((property.name, steps));
            }
            (Expectation::Sometimes, None) => found.goals_missed.push(property.name),
            _ => {}
        }
    }
    found
}
