//! Searches a configuration to its end, or to the first violation of one property.

use std::{collections::BTreeSet, fmt, time::Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{
    configuration::Configuration,
    state::State,
    steps::{Protocol, Step},
};

/// A property that does not hold, and a way to the first moment at which it does not.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Its name.
    pub property: &'static str,
    /// The steps.
    pub steps: Vec<Step>,
    /// Where they lead.
    pub state: State,
}

/// What a search came to.
#[derive(Debug, Clone)]
pub struct Found {
    /// The configuration's name.
    pub name: &'static str,
    /// Different states.
    pub states: usize,
    /// Steps made.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub seconds: f64,
    /// What does not hold.
    pub violations: Vec<Violation>,
    /// Indexes of goals that were not reached: what holds then holds of too little.
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

/// Every state of `configuration`.
#[must_use]
pub fn exhaust(configuration: Configuration) -> Option<Found> {
    search(configuration, HasDiscoveries::All)
}

/// The states of `configuration` until each of `properties` is violated.
#[must_use]
pub fn refute(configuration: Configuration, properties: &[&'static str]) -> Option<Found> {
    let violated: BTreeSet<&'static str> = properties.iter().copied().collect();
    search(configuration, HasDiscoveries::AllOf(violated))
}

/// One thread, so that the states come in the same order every time. None if an id of the values
/// were malformed.
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
