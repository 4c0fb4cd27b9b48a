//! Writes the results as a page.

use crate::{
    ending::Ending,
    fault::{Class, Fault},
    history::check::Rule,
    state::State,
};

/// The page, with a name in braces for each value.
const PAGE: &str = include_str!("report.md");

/// Returns the page.
pub(crate) fn markdown(state: &State, ending: &Ending) -> String {
    let tally = &state.tally;
    let violated = state.violations.iter();
    let violated = violated.map(|violation| violation.lines().next().unwrap_or_default().into());
    let answers = state.answers.iter();
    let answers = answers.map(|(answer, count)| format!("| `{answer}` | {} |", grouped(*count)));
    let kills = tally.points.iter().filter(|(_, kills)| **kills > 0);
    let opening = tally.known_points.difference(&tally.reachable_points);
    let not_killed_at = [
        list(
            "\nCome by under load, and not killed at:\n\n",
            tally.points_not_killed_at().into_iter().map(code),
            "",
        ),
        list(
            "\nCome by alone while a round's schools were opened, before anything was broken:\n\n",
            opening.map(|point| code(point)),
            "",
        ),
    ];
    let values = [
        ("processes", grouped(state.count(Class::Process))),
        ("network", grouped(state.count(Class::Network))),
        ("rounds", state.rounds.to_string()),
        ("minutes", state.seconds.div_ceil(60).to_string()),
        ("ending", told(ending)),
        ("violations", state.violations.len().to_string()),
        ("violated", list("", violated, "\n")),
        ("settled", settled(state)),
        (
            "faults",
            Class::ALL.map(|class| faults(state, class)).concat(),
        ),
        ("checked", grouped(state.checked)),
        (
            "rules",
            lines(Rule::ALL.map(|rule| format!("- {};", rule.title()))),
        ),
        ("answers", lines(answers)),
        (
            "kills",
            lines(kills.map(|(point, kills)| format!("| `{point}` | {kills} |"))),
        ),
        ("not_killed_at", not_killed_at.concat()),
    ];
    let values = values.into_iter();
    values.fold(PAGE.to_owned(), |page, (name, value)| {
        page.replace(&format!("{{{name}}}"), &value)
    })
}

/// Returns these lines, each with its end.
fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Returns a name as code.
fn code(name: &str) -> String {
    format!("`{name}`")
}

/// Returns a list between these two texts, or nothing if it is empty.
fn list(before: &str, items: impl Iterator<Item = String>, after: &str) -> String {
    let items = lines(items.map(|item| format!("- {item}")));
    if items.is_empty() {
        return items;
    }
    [before, &items, after].concat()
}

/// Returns whether this was a full campaign.
fn told(ending: &Ending) -> String {
    let why = ending
        .incomplete
        .map(|why| format!("**Incomplete: this was no full campaign: {why}.**\n\n"));
    let missed = ending.missed.iter().cloned();
    let missed = list("**Too little for a full campaign:**\n\n", missed, "\n");
    let names = ending.not_run.iter().map(|fault| code(fault.name()));
    let names: Vec<_> = names.collect();
    let not_run = (!names.is_empty()).then(|| format!("Not run: {}.\n\n", names.join(", ")));
    [why.unwrap_or_default(), missed, not_run.unwrap_or_default()].concat()
}

/// Returns how long redemptions were in doubt (P13).
fn settled(state: &State) -> String {
    let at_the_end = grouped(state.settled_millis.len() as u64);
    let between = grouped(state.settled_between_millis.len() as u64);
    let counts = format!("| redemptions | {at_the_end} | {between} |");
    let percentiles = [
        ("half of them settled within", 50),
        ("99% within", 99),
        ("all within", 100),
    ];
    let percentiles = percentiles.map(|(name, percent)| {
        let at_the_end = state.settled_within(percent).as_secs_f64();
        let between = state.settled_between_within(percent).as_secs_f64();
        format!("| {name} | {at_the_end:.2} s | {between:.2} s |")
    });
    lines([counts].into_iter().chain(percentiles))
}

/// Returns the table of the faults of a class.
fn faults(state: &State, class: Class) -> String {
    let head = format!(
        "| {} | what happens | rounds | faults |\n|---|---|--:|--:|",
        class.title()
    );
    let of_class = Fault::ALL.iter().filter(|fault| fault.class() == class);
    let rows = of_class.map(|fault| {
        let (what, rounds) = (fault.what(), state.rounds_of(*fault));
        let count = grouped(state.tally.of(*fault));
        format!("| `{fault}` | {what} | {rounds} | {count} |")
    });
    let all = format!("| all | | | {} |\n", grouped(state.count(class)));
    lines([head].into_iter().chain(rows).chain([all]))
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
            incomplete: Some("it was interrupted"),
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
