//! What an audit found.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// What must hold (03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Seats.
    I1,
    /// Memberships.
    I2,
    /// Uses.
    I3,
    /// Ends of reservations.
    I4,
    /// Fences.
    I5,
    /// Join requests.
    I6,
    /// Answers.
    I7,
    /// Organizations.
    I8,
}

homeroom_kit::named! {
    Invariant, id, of_id:
    I1 = "I1",
    I2 = "I2",
    I3 = "I3",
    I4 = "I4",
    I5 = "I5",
    I6 = "I6",
    I7 = "I7",
    I8 = "I8",
}

impl Invariant {
    /// In words.
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

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// The invariant is broken.
    Violation,
    /// Legal, or not to be told from the data, and worth a look.
    Note,
}

/// A row that offends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offender {
    /// Its resource name or id.
    pub subject: String,
    /// What is wrong with it.
    pub detail: String,
}

/// All rows that offend in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which invariant.
    #[serde(skip)]
    pub invariant: Invariant,
    /// How bad.
    pub severity: Severity,
    /// What is wrong, of each row.
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<Offender>,
}

/// Whether an invariant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Holds,
    /// It does not.
    Broken,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether it was judged strictly.
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

    /// One more row that breaks the invariant so.
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

    /// What was counted for an invariant.
    pub fn counted(&self, invariant: Invariant) -> impl Iterator<Item = (&'static str, u64)> {
        self.counted
            .iter()
            .filter(move |(of, _, _)| *of == invariant)
            .map(|(_, label, count)| (*label, *count))
    }

    /// What was found against an invariant, and beside it.
    pub fn findings(&self, invariant: Invariant) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.invariant == invariant)
    }

    /// Whether an invariant holds.
    #[must_use]
    pub fn outcome(&self, invariant: Invariant) -> Outcome {
        let broken = self
            .findings(invariant)
            .any(|finding| finding.severity == Severity::Violation);
        if broken {
            Outcome::Broken
        } else {
            Outcome::Holds
        }
    }

    /// The invariants that do not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<Invariant> {
        Invariant::ALL
            .into_iter()
            .filter(|invariant| self.outcome(*invariant) == Outcome::Broken)
            .collect()
    }

    /// The same as JSON.
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
                    "holds": self.outcome(invariant) == Outcome::Holds,
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
