//! Collects what a reader has to say about the files, apart from their rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

/// The most problems of each kind, and the most notes, that are kept to be shown. All are counted.
pub(crate) const PROBLEMS_SHOWN_MAX: usize = 100;

/// Something about a file or a row of it that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// The file's name.
    pub(crate) file: String,
    /// The line, from 1 with the header; 0 for the file as a whole.
    pub(crate) line: u64,
    /// Says what is the matter.
    pub(crate) what: String,
    /// Says what to do; empty if nothing must be done.
    pub(crate) fix: String,
}

impl Problem {
    pub(crate) fn of_file(file: &str, what: impl Into<String>, fix: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            what: what.into(),
            fix: fix.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        // Cells may hold anything.
        let what = self.what.replace(char::is_control, " ");
        write!(formatter, ": {what}")?;
        if !self.fix.is_empty() {
            write!(formatter, "; {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The files cannot be imported at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct Refused(pub(crate) Vec<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The reason why a row takes no part in the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// The row says the same as an earlier one.
    Duplicate,
    /// The role is no membership of a class, such as a parent's.
    OtherRole,
    /// The enrollment, the person or the class is not active.
    NotActive,
    /// The role is not known.
    UnknownRole,
    /// The row names a user or a class that its file lacks.
    Orphan,
    /// The row cannot be read.
    Unreadable,
    /// The organization has no such class.
    NoClass,
    /// The row asks for a removal, and no share was allowed.
    RemovalNotAllowed,
    /// No seat is free.
    NoSeats,
    /// The service leaves the row out for another reason.
    Refused,
}

impl Left {
    /// Returns true if the file was meant to have such rows, so that nothing must be mended.
    pub(crate) fn is_expected(self) -> bool {
        matches!(self, Self::Duplicate | Self::OtherRole | Self::NotActive)
    }
}

/// Why a row is left out, what is the matter, and what to do.
pub(super) type Wrong = (Left, String, &'static str);

/// What to do about a role that the format does not know.
pub(super) const UNKNOWN_ROLE: &str = "say what it means: --role NAME=ROLE";

/// The problems and notes of an import, and the number of rows that were left out.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) counts: BTreeMap<Left, u64>,
    pub(crate) problems: Vec<(Left, Problem)>,
    pub(crate) notes: Vec<Problem>,
    /// The kinds of notes of which the first is enough.
    pub(super) noted: BTreeSet<&'static str>,
    /// The rows of all files that were read, which are bounded together.
    pub(super) rows_read: u64,
    /// The bytes of all files that were read, unpacked.
    pub(super) bytes_read: u64,
}

impl Findings {
    /// Counts a row that is left out, without a word about it.
    pub(crate) fn count(&mut self, left: Left) {
        *self.counts.entry(left).or_default() += 1;
    }

    /// Counts a row that is left out, and keeps the problem if it is among the first of its kind.
    pub(crate) fn leave_out(&mut self, left: Left, problem: Problem) {
        self.count(left);
        if self.left(left) <= PROBLEMS_SHOWN_MAX as u64 {
            self.problems.push((left, problem));
        }
    }

    /// Keeps a note about a file or a row that is read all the same.
    pub(crate) fn note(&mut self, note: Problem) {
        if self.notes.len() < PROBLEMS_SHOWN_MAX {
            self.notes.push(note);
        }
    }

    /// Keeps a note about a row, if it is the first of its kind.
    pub(super) fn note_once(&mut self, kind: &'static str, note: impl FnOnce() -> Problem) {
        if self.noted.insert(kind) {
            self.note(note());
        }
    }

    /// Returns the number of rows that were left out for this reason.
    pub(crate) fn left(&self, left: Left) -> u64 {
        self.counts.get(&left).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_the_first_100_orphans_are_kept_and_all_are_counted() {
        let mut findings = Findings::default();
        for line in 2..=1_001 {
            let orphan = Problem {
                line,
                ..Problem::of_file("enrollments.csv", "no such user", "add it")
            };
            findings.leave_out(Left::Orphan, orphan);
        }
        assert_eq!(findings.left(Left::Orphan), 1_000);
        assert_eq!(findings.problems.len(), PROBLEMS_SHOWN_MAX);
        let last = &findings.problems[PROBLEMS_SHOWN_MAX - 1].1;
        assert_eq!(
            last.to_string(),
            "enrollments.csv:101: no such user; add it"
        );
    }
}
