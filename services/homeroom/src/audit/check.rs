//! Checks that one statement makes: it selects the rows that offend.

use futures::TryStreamExt as _;
use homeroom_kit::database::Engine;

use super::{
    CLOCK_TOLERANCE_POSTGRES_SECONDS, Options,
    database::{Error, Snapshot},
    report::{Finding, Invariant, Offender, Report, Severity},
};

/// Whether what is found breaks the invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It does.
    Violation,
    /// It is only told.
    Note,
    /// Only where nothing is under way.
    ViolationIfQuiescent,
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) invariant: Invariant,
    pub(crate) weight: Weight,
    /// What is wrong with each row.
    pub(crate) what: &'static str,
    /// Only this engine's data can be judged so.
    pub(crate) engine: Option<Engine>,
    /// Selects `subject` and `detail`; `{tolerance}` and `{after_fence}` stand for figures.
    pub(crate) sql: &'static str,
}

impl Check {
    /// One for both engines.
    pub(crate) const fn new(
        invariant: Invariant,
        weight: Weight,
        what: &'static str,
        sql: &'static str,
    ) -> Self {
        Self {
            invariant,
            weight,
            what,
            engine: None,
            sql,
        }
    }

    /// One for both engines that finds what breaks the invariant.
    pub(crate) const fn violation(
        invariant: Invariant,
        what: &'static str,
        sql: &'static str,
    ) -> Self {
        Self::new(invariant, Weight::Violation, what, sql)
    }
}

/// What was looked at: of which invariant, its label, and what follows `SELECT count(*) FROM`.
pub(crate) type Count = (Invariant, &'static str, &'static str);

/// What stands for the figures in statements.
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

    /// Whether the admission `a` is later than the fence `f`: by their commits where they are known. An
    /// erasure (R13) has written the admission again since, so that its commit tells nothing.
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

/// Runs checks and adds what they find.
pub(crate) async fn run_checks(
    snapshot: &mut Snapshot,
    checks: &[Check],
    figures: &Figures,
    report: &mut Report,
) -> Result<(), Error> {
    let of_engine = |check: &&Check| check.engine.is_none_or(|engine| engine == figures.engine);
    for check in checks.iter().filter(of_engine) {
        let sql = format!(
            "SELECT subject, detail, CAST(count(*) OVER () AS TEXT) FROM ({}) AS found \
             ORDER BY subject, detail LIMIT {}",
            figures.fill(check.sql),
            // The first row tells how many there are.
            report.rows_shown().max(1),
        );
        let rows: Vec<_> = snapshot.rows(&sql).try_collect().await?;
        let Some(first) = rows.first() else { continue };
        let violation = match check.weight {
            Weight::Violation => true,
            Weight::Note => false,
            Weight::ViolationIfQuiescent => figures.quiescent,
        };
        let severity = if violation {
            Severity::Violation
        } else {
            Severity::Note
        };
        let count = first.number(2).unwrap_or(1).unsigned_abs();
        let offender = |row: &super::database::Row| Offender {
            subject: row.text(0),
            detail: row.text(1),
        };
        report.find(Finding {
            invariant: check.invariant,
            severity,
            what: check.what,
            count,
            rows: rows
                .iter()
                .map(offender)
                .take(report.rows_shown())
                .collect(),
        });
    }
    Ok(())
}

/// Counts what is looked at.
pub(crate) async fn run_counts(
    snapshot: &mut Snapshot,
    counts: &[Count],
    report: &mut Report,
) -> Result<(), Error> {
    for (invariant, label, from) in counts {
        let sql = format!("SELECT CAST(count(*) AS TEXT) FROM {from}");
        let rows: Vec<_> = snapshot.rows(&sql).try_collect().await?;
        let number = rows.first().and_then(|row| row.number(0)).unwrap_or(0);
        report.count(*invariant, label, number.unsigned_abs());
    }
    Ok(())
}
