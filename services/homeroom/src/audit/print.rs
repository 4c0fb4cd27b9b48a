//! Prints a report for people, in color if the terminal supports it.

use anstream::println;
use anstyle::{AnsiColor, Style};

use super::report::{Finding, Invariant, Report, Severity};

const QUIET: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();

/// Prints the report to standard output.
pub fn print(report: &Report) {
    for invariant in Invariant::ALL {
        let (style, word) = if report.holds(invariant) {
            (GOOD, "holds ")
        } else {
            (BAD, "BROKEN")
        };
        println!(
            "{}  {style}{word}{style:#}  {}",
            invariant.id(),
            invariant.title()
        );
        let counted: Vec<String> = report
            .counted(invariant)
            .map(|(label, count)| format!("{count} {label}"))
            .collect();
        println!("            {QUIET}{}{QUIET:#}", counted.join(", "));
        for finding in report.findings(invariant) {
            print_finding(finding);
        }
    }
    let broken = report.broken();
    if broken.is_empty() {
        println!("{GOOD}Every invariant holds.{GOOD:#}");
    } else {
        let ids: Vec<&str> = broken.iter().map(|invariant| invariant.id()).collect();
        println!("{BAD}Broken: {}.{BAD:#}", ids.join(", "));
    }
}

fn print_finding(finding: &Finding) {
    let (style, word) = match finding.severity {
        Severity::Violation => (BAD, "violation"),
        Severity::Note => (NOTE, "note"),
    };
    println!(
        "    {style}{word}{style:#} {}: {}",
        finding.what, finding.count
    );
    for row in &finding.rows {
        println!("        {}  {QUIET}{}{QUIET:#}", row.subject, row.detail);
    }
    let shown = u64::try_from(finding.rows.len()).unwrap_or(u64::MAX);
    if finding.count > shown {
        println!("        {QUIET}and {} more{QUIET:#}", finding.count - shown);
    }
}
