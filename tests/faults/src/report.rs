//! Writes the results as a page.

use std::fmt::Write as _;

use crate::{
    ending::Ending,
    fault::{Class, Fault},
    history::check::Rule,
    state::State,
};

/// Returns the page.
pub(crate) fn markdown(state: &State, ending: &Ending) -> String {
    let mut page = String::new();
    write(&mut page, state, ending).unwrap();
    page
}

fn write(page: &mut String, state: &State, ending: &Ending) -> std::fmt::Result {
    let processes = state.count(Class::Process);
    let network = state.count(Class::Network);
    let minutes = state.seconds.div_ceil(60);
    writeln!(
        page,
        "# Faults\n\n\
         Written by `tests/faults/run --report docs/faults.md`. Both services ran as processes on PostgreSQL and\n\
         Redis under load while they were broken: {} faults of processes and {} of the network in {} rounds,\n\
         {minutes} minutes. Every third round of `kill`, `sigkill-anywhere` and\n\
         `errors-at-commits` runs on SQLite without Redis.\n",
        grouped(processes),
        grouped(network),
        state.rounds
    )?;
    write_ending(page, ending)?;
    writeln!(page, "**Violations: {}.**\n", state.violations.len())?;
    for violation in &state.violations {
        writeln!(page, "- {}", violation.lines().next().unwrap_or_default())?;
    }
    if !state.violations.is_empty() {
        writeln!(page)?;
    }
    write_settled(page, state)?;
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
         everything worked again;\n\
         - no service ended but as it was told, and no call was answered INTERNAL by a service;\n\
         - in each round its fault took effect, somebody was let in and at least 50 answers were acknowledged.\n"
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
    let points = &state.tally;
    let opening = points.known_points.difference(&points.reachable_points);
    let lists = [
        (
            "Come by under load, and not killed at",
            points.points_not_killed_at(),
        ),
        (
            "Come by alone while a round's schools were opened, before anything was broken",
            opening.map(String::as_str).collect(),
        ),
    ];
    for (what, names) in lists {
        if !names.is_empty() {
            writeln!(page, "\n{what}:\n")?;
        }
        for name in names {
            writeln!(page, "- `{name}`")?;
        }
    }
    Ok(())
}

/// Writes whether this was a full campaign.
fn write_ending(page: &mut String, ending: &Ending) -> std::fmt::Result {
    if !ending.incomplete.is_empty() {
        let why = ending.incomplete.join("; ");
        writeln!(page, "**Incomplete: this was no full campaign: {why}.**\n")?;
    }
    if !ending.missed.is_empty() {
        writeln!(page, "**Too little for a full campaign:**\n")?;
        for missed in &ending.missed {
            writeln!(page, "- {missed}")?;
        }
        writeln!(page)?;
    }
    if !ending.not_run.is_empty() {
        let names = ending.not_run.iter().map(|fault| format!("`{fault}`"));
        let names: Vec<String> = names.collect();
        writeln!(page, "Not run: {}.\n", names.join(", "))?;
    }
    Ok(())
}

/// Writes how long redemptions were in doubt (P13).
fn write_settled(page: &mut String, state: &State) -> std::fmt::Result {
    writeln!(
        page,
        "| in doubt when everything worked again | once a round's faults were over | between two faults |\n\
         |---|--:|--:|"
    )?;
    writeln!(
        page,
        "| redemptions | {} | {} |",
        grouped(state.settled_millis.len() as u64),
        grouped(state.settled_between_millis.len() as u64)
    )?;
    for (name, percent) in [
        ("half of them settled within", 50),
        ("99% within", 99),
        ("all within", 100),
    ] {
        writeln!(
            page,
            "| {name} | {:.2} s | {:.2} s |",
            state.settled_within(percent).as_secs_f64(),
            state.settled_between_within(percent).as_secs_f64()
        )?;
    }
    writeln!(
        page,
        "\nIn doubt: reserved 2 s or longer when everything worked again, which is as long as one call between the\n\
         services may take. The first column is held to 10 s for 99% and 60 s for all (P13). The second has only those\n\
         that settled before the next fault."
    )
}

/// Formats a number with a comma after each third digit.
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
    fn every_fault_and_violation_is_in_the_report() {
        let mut state = State::default();
        state.violations.push("I7, a retry: of round 3".to_owned());
        state.checked = 1_234_567;
        let ending = Ending {
            incomplete: vec!["it was interrupted".to_owned()],
            not_run: vec![Fault::DiskFull],
            missed: vec!["network: 1".to_owned()],
        };
        let page = markdown(&state, &ending);
        for text in [
            "Violations: 1",
            "- I7, a retry: of round 3",
            "1,234,567",
            "this was no full campaign: it was interrupted.**",
            "Not run: `disk-full`.",
            "- network: 1",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(Fault::ALL.iter().all(|fault| page.contains(fault.name())));
    }
}
