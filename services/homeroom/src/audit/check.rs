//! Checks that consist of one statement, which selects the offending rows.

use futures::TryStreamExt as _;
use homeroom_kit::database::Engine;

use super::{
    CLOCK_TOLERANCE_POSTGRES_SECONDS, Options,
    database::{Error, Snapshot},
    report::{Finding, Invariant, Offender, Report, Severity},
};

/// The consequence of a row for the invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The row violates the invariant.
    Violation,
    /// The row is only reported.
    Note,
    /// The row violates the invariant only if nothing is under way.
    ViolationIfQuiescent,
    /// The row violates the invariant; only the data of SQLite can show it.
    ViolationOnSqlite,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) invariant: Invariant,
    pub(crate) weight: Weight,
    /// The error in each row.
    pub(crate) what: &'static str,
    /// A query for `subject` and `detail`; `{tolerance}` and `{after_fence}` stand for figures.
    pub(crate) sql: &'static str,
}

/// Declares the counts and checks of a database: the invariant, the error in each row, and the rows. A row violates the
/// invariant unless another [`Weight`] is named.
macro_rules! checks {
    (
        counts { $($of:ident $label:literal: $from:literal;)* }
        $($invariant:ident $($weight:ident)? $what:literal: $sql:literal;)*
    ) => {
        pub(crate) const COUNTS: &[Count] = &[$((Invariant::$of, $label, $from)),*];

        pub(crate) const CHECKS: &[Check] = &[$(Check {
            invariant: Invariant::$invariant,
            weight: checks!(@weight $($weight)?),
            what: $what,
            sql: $sql,
        }),*];
    };
    (@weight) => { Weight::Violation };
    (@weight $weight:ident) => { Weight::$weight };
}
pub(crate) use checks;

/// A count of checked rows: the invariant, the label, and the text after `SELECT count(*) FROM`.
pub(crate) type Count = (Invariant, &'static str, &'static str);

/// The values of the figures in statements.
#[derive(Debug)]
pub(crate) struct Figures {
    engine: Engine,
    quiescent: bool,
    tolerance: i64,
}

impl Figures {
    pub(crate) fn new(options: &Options, engine: Engine) -> Self {
        let default_seconds = match engine {
            Engine::Postgres => CLOCK_TOLERANCE_POSTGRES_SECONDS,
            Engine::Sqlite => 0,
        };
        let tolerance = options
            .clock_tolerance
            .and_then(|tolerance| tolerance.num_microseconds())
            .unwrap_or(default_seconds * 1_000_000);
        Self {
            engine,
            quiescent: options.quiescent,
            tolerance,
        }
    }

    fn fill(&self, sql: &str) -> String {
        sql.replace("{after_fence}", self.after_fence())
            .replace("{tolerance}", &self.tolerance.to_string())
    }

    /// Returns the condition that the admission `a` is later than the fence `f`: by their commits
    /// if these are known. An erasure (R13) has written its admissions again, so their commits
    /// prove nothing.
    const fn after_fence(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => {
                "CASE WHEN current_setting('track_commit_timestamp') = 'on' \
                 AND a.user_id NOT LIKE 'erased-%' \
                 THEN coalesce(pg_xact_commit_timestamp(a.xmin) > pg_xact_commit_timestamp(f.xmin), \
                 a.create_time > f.update_time + {tolerance}) \
                 ELSE a.create_time > f.update_time + {tolerance} END"
            }
            Engine::Sqlite => "a.create_time > f.update_time + {tolerance}",
        }
    }
}

/// Runs checks and adds their findings.
pub(crate) async fn run_checks(
    snapshot: &mut Snapshot,
    checks: &[Check],
    figures: &Figures,
    report: &mut Report,
) -> Result<(), Error> {
    for check in checks {
        if check.weight == Weight::ViolationOnSqlite && figures.engine != Engine::Sqlite {
            continue;
        }
        let sql = format!(
            "SELECT subject, detail, count(*) OVER () FROM ({}) AS found \
             ORDER BY subject, detail LIMIT {}",
            figures.fill(check.sql),
            // The first row also carries the number of rows.
            report.rows_shown().max(1),
        );
        let rows: Vec<_> = snapshot
            .rows::<(Option<String>, Option<String>, i64)>(&sql)
            .try_collect()
            .await?;
        let Some(&(_, _, count)) = rows.first() else {
            continue;
        };
        let severity = match check.weight {
            Weight::Note => Severity::Note,
            Weight::ViolationIfQuiescent if !figures.quiescent => Severity::Note,
            _ => Severity::Violation,
        };
        let offenders = rows.into_iter().map(|(subject, detail, _)| Offender {
            subject: subject.unwrap_or_default(),
            detail: detail.unwrap_or_default(),
        });
        report.find(Finding {
            invariant: check.invariant,
            severity,
            what: check.what,
            count: count.unsigned_abs(),
            rows: offenders.take(report.rows_shown()).collect(),
        });
    }
    Ok(())
}

/// Counts the checked rows.
pub(crate) async fn run_counts(
    snapshot: &mut Snapshot,
    counts: &[Count],
    report: &mut Report,
) -> Result<(), Error> {
    for (invariant, label, from) in counts {
        let sql = format!("SELECT count(*) FROM {from}");
        let rows: Vec<_> = snapshot.rows::<(i64,)>(&sql).try_collect().await?;
        let number = rows.first().map_or(0, |(number,)| number.unsigned_abs());
        report.count(*invariant, label, number);
    }
    Ok(())
}
