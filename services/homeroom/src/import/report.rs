//! Prints the report of `homeroom import`.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::println;
use serde_json::{Value, json};

use super::batches::Done;
use crate::{
    list::table,
    roster::{Left, Roster},
};

/// The most problems that are printed as text, and the most people who are removed, and who are changed; all that are
/// kept are in the JSON.
const LINES_MAX: usize = 100;

/// The end of an import or of its plan.
pub(super) struct Report<'a> {
    pub(super) roster: &'a Roster,
    pub(super) done: Done,
    pub(super) committed: bool,
    /// The classes that were created, or would be.
    pub(super) classes_created: u64,
    /// The rows in classes that would be created; they are planned once those exist.
    pub(super) in_new_classes: u64,
}

impl Report<'_> {
    /// Returns true if no row was left out that the file meant to be in.
    pub(super) fn is_clean(&self) -> bool {
        self.roster
            .findings
            .counts
            .keys()
            .all(|left| left.is_expected())
    }

    /// Returns each count with its name in the table and in the JSON.
    fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        let left = |left| self.roster.findings.left(left);
        let Done {
            added,
            unchanged,
            updated,
            removed,
            ..
        } = self.done;
        vec![
            ("new", "added", added),
            ("already in", "unchanged", unchanged),
            ("changed", "updated", updated),
            ("removed", "removed", removed),
            (
                "in classes to be created",
                "inNewClasses",
                self.in_new_classes,
            ),
            ("duplicate", "duplicate", left(Left::Duplicate)),
            ("not active", "notActive", left(Left::NotActive)),
            (
                "role without a membership",
                "otherRole",
                left(Left::OtherRole),
            ),
            ("unknown role", "unknownRole", left(Left::UnknownRole)),
            ("unreadable", "unreadable", left(Left::Unreadable)),
            (
                "unknown user or class in the files",
                "orphan",
                left(Left::Orphan),
            ),
            (
                "class not in the organization",
                "noClass",
                left(Left::NoClass),
            ),
            (
                "removal not allowed",
                "removalNotAllowed",
                left(Left::RemovalNotAllowed),
            ),
            ("over the seat limit", "noSeats", left(Left::NoSeats)),
            ("refused", "refused", left(Left::Refused)),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        let counts = self.counts().into_iter();
        let counts: serde_json::Map<_, _> = counts
            .map(|(_, name, count)| (name.to_owned(), count.into()))
            .collect();
        let findings = &self.roster.findings;
        let problems: Vec<Value> = findings
            .problems
            .iter()
            .map(|(left, problem)| json!({"kind": left, "file": problem.file, "line": problem.line, "what": problem.what, "fix": problem.fix}))
            .collect();
        json!({
            "format": self.roster.format,
            "committed": self.committed,
            "classesCreated": self.classes_created,
            "counts": counts,
            "removed": self.done.removed_members,
            "updated": self.done.updated_members,
            "problems": problems,
            "notes": findings.notes,
        })
    }

    pub(super) fn print(&self) {
        for line in self.lines() {
            println!("{line}");
        }
    }

    fn lines(&self) -> Vec<String> {
        let what = if self.committed {
            "imported"
        } else {
            "planned; nothing was changed"
        };
        let mut lines = vec![format!("{}: {what}", self.roster.format)];
        let counts = self.counts().into_iter().enumerate();
        let shown: Vec<Value> = counts
            .filter(|(place, (_, _, count))| *place < 3 || *count > 0)
            .map(|(_, (name, _, count))| json!({"rows": name, "count": count}))
            .collect();
        lines.extend(table(&["rows", "count"], &shown));
        if self.classes_created > 0 {
            let done = if self.committed {
                "created"
            } else {
                "to be created"
            };
            lines.push(format!("classes {done}: {}", self.classes_created));
        }
        let [removed, changed] = if self.committed {
            ["removed", "changed"]
        } else {
            ["to be removed", "to be changed"]
        };
        let done = &self.done;
        for (what, members, count) in [
            (removed, &done.removed_members, done.removed),
            (changed, &done.updated_members, done.updated),
        ] {
            let shown = members.iter().take(LINES_MAX);
            lines.extend(shown.map(|member| format!("{what}: {member}")));
            let more = count.saturating_sub(LINES_MAX as u64);
            if more > 0 {
                // Once they are removed, running it again does not show them.
                let hint = if self.committed {
                    ""
                } else {
                    ": --json names them"
                };
                lines.push(format!("and {more} more {what}{hint}"));
            }
        }
        let findings = &self.roster.findings;
        lines.extend(findings.notes.iter().map(|note| format!("note: {note}")));
        let mut problems: Vec<_> = findings
            .problems
            .iter()
            .map(|(_, problem)| problem)
            .collect();
        problems.sort_by_key(|problem| (&problem.file, problem.line));
        lines.extend(problems.iter().take(LINES_MAX).map(ToString::to_string));
        if problems.len() > LINES_MAX {
            lines.push("more problems: --json has up to 100 of each kind".to_owned());
        }
        lines
    }
}

/// Shows on a terminal how far the import is.
pub(super) struct Progress {
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    pub(super) fn of(total: usize) -> Self {
        let shown = io::stderr().is_terminal();
        Self {
            total,
            done: 0,
            shown,
        }
    }

    pub(super) fn add(&mut self, rows: usize) {
        self.done += rows;
        if self.shown {
            // The last one is followed by the report.
            let end = if self.done == self.total { "\n" } else { "" };
            let line = format!("\r{} of {} rows{end}", self.done, self.total);
            drop(io::stderr().write_all(line.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        import::named::{AffectedMember, FieldChange},
        roster::Problem,
    };

    fn report(roster: &Roster) -> Report<'_> {
        let done = Done {
            added: 5,
            ..Done::default()
        };
        Report {
            roster,
            done,
            committed: false,
            classes_created: 0,
            in_new_classes: 0,
        }
    }

    #[test]
    fn a_report_counts_rows_and_names_file_and_line_of_problems() {
        let mut roster = Roster::new("CSV", true);
        let problem = Problem {
            line: 7,
            ..Problem::of_file("a.csv", "no\tseat", "buy some")
        };
        roster.findings.leave_out(Left::NoSeats, problem);
        roster
            .findings
            .note(Problem::of_file("a.csv", "another order", ""));
        let lines = report(&roster).lines().join("\n");
        let plain = anstream::adapter::strip_str(&lines).to_string();
        assert_eq!(
            plain,
            "CSV: planned; nothing was changed\nrows                 count\nnew                  5\n\
            already in           0\nchanged              0\nover the seat limit  1\n\
            note: a.csv: another order\na.csv:7: no seat; buy some"
        );
        let json = report(&roster).to_json();
        assert_eq!(json["counts"]["noSeats"], 1);
        assert_eq!(json["problems"][0]["kind"], "no_seats");
        assert_eq!(json["problems"][0]["line"], 7);
    }

    #[test]
    fn a_report_names_the_first_100_who_are_removed_and_who_are_changed() {
        let roster = Roster::new("CSV", true);
        let change = |field: &str, from: &str, to: &str| FieldChange {
            parent: "organizations/hamilton/classes/biology".to_owned(),
            field: field.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let report = |count: usize| {
            let mut report = report(&roster);
            let removed = (0..count).map(|number| AffectedMember {
                user: number.to_string(),
                display_name: String::new(),
                changes: vec![change("role", "STUDENT", "")],
            });
            report.done.removed = count as u64;
            report.done.removed_members = removed.collect();
            report.done.updated = 1;
            report.done.updated_members = vec![AffectedMember {
                user: "ada".to_owned(),
                display_name: "Ada\t".to_owned(),
                changes: vec![change("display_name", "Ada\t", "Ada Lovelace")],
            }];
            report
        };
        let people = |report: &Report<'_>| {
            let lines = report.lines().into_iter();
            lines
                .filter(|line| line.contains("removed") || line.contains("changed:"))
                .skip(1)
                .collect::<Vec<_>>()
        };
        let planned = people(&report(LINES_MAX));
        assert_eq!(planned.len(), LINES_MAX + 1);
        let first = "to be removed: 0, hamilton/biology role \"STUDENT\" to \"\"";
        assert_eq!(planned[0], first);
        let more = report(LINES_MAX + 1);
        let planned = people(&more);
        assert_eq!(
            planned[LINES_MAX],
            "and 1 more to be removed: --json names them"
        );
        let changed = "to be changed: ada (Ada ), hamilton/biology display_name \"Ada\\t\" to \"Ada Lovelace\"";
        assert_eq!(planned[LINES_MAX + 1], changed);
        let json = more.to_json();
        assert_eq!(
            json["removed"].as_array().map(Vec::len),
            Some(LINES_MAX + 1)
        );
        assert_eq!(json["updated"][0]["changes"][0]["to"], "Ada Lovelace");
        let done = Report {
            committed: true,
            ..more
        };
        assert_eq!(people(&done)[LINES_MAX], "and 1 more removed");
    }

    #[test]
    fn only_rows_that_were_meant_to_be_in_make_a_report_unclean() {
        let mut roster = Roster::default();
        for left in [Left::Duplicate, Left::OtherRole, Left::NotActive] {
            roster.findings.count(left);
        }
        assert!(report(&roster).is_clean());
        roster.findings.count(Left::UnknownRole);
        assert!(!report(&roster).is_clean());
    }
}
