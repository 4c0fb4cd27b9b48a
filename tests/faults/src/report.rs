//! What was found, as a page.

use std::fmt::Write as _;

use crate::{
    fault::{Class, Fault},
    history::check::Rule,
    state::State,
};

/// The page.
pub(crate) fn markdown(state: &State) -> String {
    let mut page = String::new();
    write(&mut page, state).unwrap();
    page
}

fn write(page: &mut String, state: &State) -> std::fmt::Result {
    let processes = state.count(Class::Process);
    let network = state.count(Class::Network);
    let minutes = state.seconds.div_ceil(60);
    writeln!(
        page,
        "# Faults\n\n\
         Written by `tests/faults/run --report docs/faults.md`. Both services ran as processes on PostgreSQL and\n\
         Redis (every third round of process faults on SQLite) under load while they were broken: {processes} faults of\n\
         processes and {network} of the network in {} rounds, {minutes} minutes.\n",
        state.rounds
    )?;
    writeln!(page, "**Violations: {}.**\n", state.violations.len())?;
    for violation in &state.violations {
        writeln!(page, "- {}", violation.lines().next().unwrap_or_default())?;
    }
    if !state.violations.is_empty() {
        writeln!(page)?;
    }
    writeln!(
        page,
        "| in doubt when everything worked again | |\n|---|--:|"
    )?;
    writeln!(
        page,
        "| redemptions | {} |",
        grouped(state.settled_millis.len() as u64)
    )?;
    for (name, percent) in [
        ("half of them settled within", 50),
        ("99% within", 99),
        ("all within", 100),
    ] {
        writeln!(
            page,
            "| {name} | {:.2} s |",
            state.settled_within(percent).as_secs_f64()
        )?;
    }
    writeln!(page, "\n## Faults that took effect\n")?;
    for class in Class::ALL {
        writeln!(
            page,
            "| {} | what happens | rounds | faults |\n|---|---|--:|--:|",
            class.title()
        )?;
        for fault in Fault::ALL.iter().filter(|fault| fault.class() == class) {
            writeln!(
                page,
                "| `{fault}` | {} | {} | {} |",
                fault.what(),
                state.rounds_of(*fault),
                grouped(state.tally.of(*fault))
            )?;
        }
        writeln!(page, "| all | | | {} |\n", grouped(state.count(class)))?;
    }
    writeln!(page, "## What was checked\n")?;
    writeln!(
        page,
        "After each round, once everything had settled, the auditor judged I1 to I8 strictly\n\
         (`homeroom audit --quiescent`), and {} acknowledged answers were held against both databases:\n",
        grouped(state.checked)
    )?;
    for rule in Rule::ALL {
        writeln!(page, "- {};", rule.title())?;
    }
    writeln!(
        page,
        "- every caller who went on asking had a final answer, and nothing was in doubt any more, 60 s after\n  \
         everything worked again.\n"
    )?;
    writeln!(page, "| answer | calls |\n|---|--:|")?;
    for (answer, count) in &state.answers {
        writeln!(page, "| `{answer}` | {} |", grouped(*count))?;
    }
    writeln!(
        page,
        "\n## Where processes were killed\n\n| failpoint | kills |\n|---|--:|"
    )?;
    for (point, kills) in state.tally.points.iter().filter(|(_, kills)| **kills > 0) {
        writeln!(page, "| `{point}` | {kills} |")?;
    }
    Ok(())
}

/// With a comma after each third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn every_fault_and_violation_is_in_the_report() {
        let mut state = State::default();
        state.violations.push("I7, a retry: of round 3".to_owned());
        let page = markdown(&state);
        assert!(page.contains("Violations: 1") && page.contains("- I7, a retry: of round 3"));
        assert!(Fault::ALL.iter().all(|fault| page.contains(fault.name())));
    }
}
