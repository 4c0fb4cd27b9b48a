//! The findings of an audit.

use serde::Serialize;
use serde_json::{Map, Value, json};

homeroom_kit::named! {
    /// An invariant of redemption.
    pub enum Invariant: id, of_id {
        /// Seats.
        I1 = "I1",
        /// Memberships.
        I2 = "I2",
        /// Uses.
        I3 = "I3",
        /// Ends of reservations.
        I4 = "I4",
        /// Fences.
        I5 = "I5",
        /// Join requests.
        I6 = "I6",
        /// Answers.
        I7 = "I7",
        /// Organizations.
        I8 = "I8",
    }
}

impl Invariant {
    /// Returns its description.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::I1 => "seats used are the organization's Students, never sold twice",
            Self::I2 => "one membership each; who is in a class is in its organization",
            Self::I3 => "uses are those of the redemptions, never more than allowed",
            Self::I4 => "every reservation ends",
            Self::I5 => "nothing below an answered fence is admitted",
            Self::I6 => "no join request vanishes or is decided twice",
            Self::I7 => "each redemption has one answer, and ends as it says",
            Self::I8 => "nothing crosses organizations",
        }
    }
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// The invariant is violated.
    Violation,
    /// The row is allowed, or the data cannot tell, but it deserves attention.
    Note,
}

/// An offending row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offender {
    /// Its resource name or id.
    pub subject: String,
    /// The error in it.
    pub detail: String,
}

/// All rows with the same error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The invariant.
    #[serde(skip)]
    pub invariant: Invariant,
    /// The severity.
    pub severity: Severity,
    /// The error in each row.
    pub what: &'static str,
    /// The number of rows.
    pub count: u64,
    /// The first rows.
    pub rows: Vec<Offender>,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// True if the check was strict.
    pub quiescent: bool,
    rows_shown: usize,
    counted: Vec<(Invariant, &'static str, u64)>,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(quiescent: bool, rows_shown: u32) -> Self {
        Self {
            quiescent,
            rows_shown: usize::try_from(rows_shown).unwrap_or(usize::MAX),
            counted: Vec::new(),
            findings: Vec::new(),
        }
    }

    pub(crate) fn rows_shown(&self) -> usize {
        self.rows_shown
    }

    pub(crate) fn count(&mut self, invariant: Invariant, label: &'static str, count: u64) {
        self.counted.push((invariant, label, count));
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds a row with this finding.
    pub(crate) fn find_row(
        &mut self,
        invariant: Invariant,
        what: &'static str,
        subject: &str,
        detail: String,
    ) {
        let severity = Severity::Violation;
        let known = self.findings.iter().position(|finding| {
            finding.invariant == invariant && finding.severity == severity && finding.what == what
        });
        let row = Offender {
            subject: subject.to_owned(),
            detail,
        };
        match known.and_then(|index| self.findings.get_mut(index)) {
            Some(finding) => {
                finding.count += 1;
                if finding.rows.len() < self.rows_shown {
                    finding.rows.push(row);
                }
            }
            None => self.findings.push(Finding {
                invariant,
                severity,
                what,
                count: 1,
                rows: vec![row].into_iter().take(self.rows_shown).collect(),
            }),
        }
    }

    /// Returns the counts for an invariant.
    pub fn counted(&self, invariant: Invariant) -> impl Iterator<Item = (&'static str, u64)> {
        self.counted
            .iter()
            .filter(move |(of, _, _)| *of == invariant)
            .map(|(_, label, count)| (*label, *count))
    }

    /// Returns the violations of an invariant, and its notes.
    pub fn findings(&self, invariant: Invariant) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.invariant == invariant)
    }

    /// Returns true if the invariant holds.
    #[must_use]
    pub fn holds(&self, invariant: Invariant) -> bool {
        self.findings(invariant)
            .all(|finding| finding.severity != Severity::Violation)
    }

    /// Returns the violated invariants.
    #[must_use]
    pub fn broken(&self) -> Vec<Invariant> {
        Invariant::ALL
            .into_iter()
            .filter(|invariant| !self.holds(*invariant))
            .collect()
    }

    /// Returns the report as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let invariants: Vec<Value> = Invariant::ALL
            .into_iter()
            .map(|invariant| {
                let counted: Map<String, Value> = self
                    .counted(invariant)
                    .map(|(label, count)| (label.to_owned(), json!(count)))
                    .collect();
                let findings: Vec<&Finding> = self.findings(invariant).collect();
                json!({
                    "invariant": invariant.id(),
                    "title": invariant.title(),
                    "holds": self.holds(invariant),
                    "counted": counted,
                    "findings": findings,
                })
            })
            .collect();
        json!({
            "quiescent": self.quiescent,
            "holds": self.broken().is_empty(),
            "invariants": invariants,
        })
    }
}
