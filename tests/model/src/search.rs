//! Searches a configuration to its end, or to the first violation of one property.

use std::{collections::BTreeSet, fmt, time::Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{
    configuration::Configuration,
    state::State,
    steps::{Protocol, Step},
};

/// A violated property, and a path to the first state that violates it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The property's name.
    pub property: &'static str,
    /// The steps of the path.
    pub steps: Vec<Step>,
    /// The state that they lead to.
    pub state: State,
}

/// The result of a search.
#[derive(Debug, Clone)]
pub struct Found {
    /// The configuration's name.
    pub name: &'static str,
    /// The number of distinct states.
    pub states: usize,
    /// The number of steps made.
    pub steps: usize,
    /// The length of the longest shortest path to a state.
    pub depth: usize,
    /// The duration in seconds.
    pub seconds: f64,
    /// The violated properties.
    pub violations: Vec<Violation>,
    /// The indexes of the goals that were not reached; if any, the search proves too little.
    pub goals_missed: Vec<usize>,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} states, {} steps, depth {}, {:.1} s",
            self.name, self.states, self.steps, self.depth, self.seconds
        )?;
        for violation in &self.violations {
            write!(formatter, "\n  violated: {}", violation.property)?;
            for step in &violation.steps {
                write!(formatter, "\n    {step:?}")?;
            }
        }
        for goal in &self.goals_missed {
            write!(formatter, "\n  never reached: goal {goal}")?;
        }
        Ok(())
    }
}

/// Searches every state of `configuration`.
#[must_use]
pub fn exhaust(configuration: Configuration) -> Option<Found> {
    search(configuration, HasDiscoveries::All)
}

/// Searches the states of `configuration` until each of `properties` is violated.
#[must_use]
pub fn refute(configuration: Configuration, properties: &[&'static str]) -> Option<Found> {
    let violated: BTreeSet<&'static str> = properties.iter().copied().collect();
    search(configuration, HasDiscoveries::AllOf(violated))
}

/// Searches with one thread, so that the states come in the same order every time. Returns `None`
/// if an id of the values is malformed.
fn search(configuration: Configuration, until: HasDiscoveries) -> Option<Found> {
    let protocol = Protocol::new(configuration)?;
    let name = protocol.configuration.name;
    let start = Instant::now();
    let checker = protocol.checker().finish_when(until).spawn_bfs().join();
    let seconds = start.elapsed().as_secs_f64();
    let mut discoveries = checker.discoveries();
    let mut violations = Vec::new();
    let mut goals_missed = Vec::new();
    let properties = checker.model().properties();
    let goals = properties
        .iter()
        .filter(|property| property.expectation == Expectation::Sometimes);
    for (goal, property) in goals.enumerate() {
        if !discoveries.contains_key(property.name) {
            goals_missed.push(goal);
        }
    }
    for property in &properties {
        if property.expectation != Expectation::Always {
            continue;
        }
        if let Some(path) = discoveries.remove(property.name) {
            let mut steps = Vec::new();
            let mut last = None;
            for (state, step) in path.into_vec() {
                let violated = !(property.condition)(checker.model(), &state);
                last = Some(state);
                if violated {
                    break;
                }
                steps.extend(step);
            }
            violations.extend(last.map(|state| Violation {
                property: property.name,
                steps,
                state,
            }));
        }
    }
    Some(Found {
        name,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        seconds,
        violations,
        goals_missed,
    })
}
