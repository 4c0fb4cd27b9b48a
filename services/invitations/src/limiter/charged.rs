//! What a charge leaves: the verdicts, and what the store is told once they stand.

use std::time::Duration;

#[cfg(doc)]
use super::budgeted::BudgetedLimiter;
use super::{Verdict, store::Command};

/// The verdicts on attempts, None where the store has none, and what is to follow them.
#[derive(Debug)]
pub(crate) struct Charged {
    pub(crate) verdicts: Vec<Option<Verdict>>,
    pub(crate) afterwards: Afterwards,
}

impl Charged {
    /// Makes refusals wait as long as [`BudgetedLimiter::follow_up`] says.
    pub(crate) fn wait_at_least(&mut self, waits: Vec<(usize, Duration)>) {
        for (index, wait) in waits {
            if let Some(Some(Verdict::Refused { retry_after, .. })) = self.verdicts.get_mut(index) {
                *retry_after = wait.max(*retry_after);
            }
        }
    }
}

/// What is told the store once the verdicts stand, in one round trip.
#[derive(Debug, Default)]
pub(crate) struct Afterwards {
    pub(super) commands: Vec<Command>,
    /// The positions of a refusal and of the command that asks how long its address has no room.
    pub(super) peeks: Vec<(usize, usize)>,
}

impl Afterwards {
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn peek(&mut self, verdict: usize, command: Option<Command>) {
        if let Some(command) = command {
            self.peeks.push((verdict, self.commands.len()));
            self.commands.push(command);
        }
    }
}
