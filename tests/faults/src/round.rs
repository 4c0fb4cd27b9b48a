//! One round: fresh databases, load, faults of one kind, and then everything is checked.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use homeroom_audit::{Invariant, Options, Severity, audit};
use homeroom_kit::clock::{Clock as _, SystemClock};

use crate::{
    dice::Dice,
    fault::Fault,
    history::{Answer, Entry, check::check, facts::Facts},
    inject::{Injection, Tally, ground_of, length_of},
    load::{Load, Scene},
    settling::{SETTLE_SECONDS, Settling},
    stage::Stage,
};

/// How much heavier an overload is.
const OVERLOAD_WEIGHT: usize = 10;
/// How far apart two clocks may be where they step, in seconds: a day each way, and a little.
const STEPPED_CLOCK_SECONDS: i64 = 2 * 86_400;

/// What to do in a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// From 0; a number for each round of the campaign.
    pub(crate) number: u64,
    /// How many rounds this fault had before.
    pub(crate) of_fault: u64,
    pub(crate) seed: u64,
    pub(crate) length: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What does not stand, in words that begin with the rule.
    pub(crate) violations: Vec<String>,
    /// How long each redemption was in doubt once everything worked again.
    pub(crate) settled: Vec<Duration>,
    /// Answers of every call, by name.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Acknowledged answers that were checked against the databases.
    pub(crate) checked: u64,
}

/// Runs one.
pub(crate) async fn run(stage: &mut Stage, plan: Plan, tally: &mut Tally) -> Outcome {
    let dice = Dice::new(
        plan.seed
            .wrapping_add(plan.number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    );
    let name = format!("round_{}", plan.number);
    stage
        .begin_round(ground_of(plan.fault, plan.of_fault), &name)
        .await;
    let scene = match Scene::prepare(stage.platform(), &dice).await {
        Ok(scene) => Arc::new(scene),
        Err(status) => panic!("the schools cannot be opened though nothing is broken: {status:?}"),
    };
    let weight = if plan.fault == Fault::Overload {
        OVERLOAD_WEIGHT
    } else {
        1
    };
    let mut load = Load::start(Arc::clone(&scene), weight, &dice);
    let settling = Settling::watch(&stage.urls);
    let injection = Injection {
        until: Instant::now() + length_of(plan.fault, plan.length),
        stage,
        settling: &settling,
        scene: Arc::clone(&scene),
        tally,
        dice: dice.split(),
    };
    let mut outcome = Outcome::default();
    outcome.violations.extend(injection.run(plan.fault).await);
    let unanswered = load.stop().await;
    if unanswered > 0 {
        outcome.violations.push(format!(
            "no answer: {unanswered} callers had no final answer though everything works again"
        ));
    }
    let (settled, in_doubt) = settling.settled().await;
    outcome.settled = settled;
    if !in_doubt.is_empty() {
        outcome.violations.push(format!(
            "I4, every reservation ends: still in doubt {SETTLE_SECONDS} s after health returned: {}",
            in_doubt.join(", ")
        ));
    }
    let entries = scene.history.entries();
    match Facts::read(&stage.urls[0], &stage.urls[1]).await {
        Ok(facts) => {
            let broken = check(&entries, &facts);
            outcome
                .violations
                .extend(broken.iter().map(|broken| format!("history, {broken}")));
        }
        Err(error) => outcome
            .violations
            .push(format!("the databases cannot be read: {error}")),
    }
    outcome.violations.extend(judge(stage, plan.fault).await);
    outcome.answers = scene.history.answers();
    outcome.checked = entries
        .iter()
        .filter(|entry| is_acknowledged(entry))
        .count() as u64;
    outcome
}

fn is_acknowledged(entry: &Entry) -> bool {
    match entry {
        Entry::Asked(asked) => matches!(asked.answer, Answer::Accepted { .. }),
        Entry::Closed { .. } | Entry::Decided { .. } => true,
        Entry::Reopening { .. } => false,
        Entry::Left { acknowledged, .. } => *acknowledged,
    }
}

/// What the auditor finds now that nothing is under way.
async fn judge(stage: &Stage, fault: Fault) -> Vec<String> {
    let options = Options {
        quiescent: true,
        clock_tolerance: (fault == Fault::ClockSteps)
            .then(|| TimeDelta::seconds(STEPPED_CLOCK_SECONDS)),
        ..Options::at(SystemClock.now())
    };
    let report = match audit(&stage.urls[0], &stage.urls[1], &options).await {
        Ok(report) => report,
        Err(error) => return vec![format!("the auditor cannot judge: {error}")],
    };
    let mut found = Vec::new();
    for invariant in Invariant::ALL {
        for finding in report.findings(invariant) {
            if finding.severity != Severity::Violation {
                continue;
            }
            let rows: Vec<String> = finding
                .rows
                .iter()
                .map(|row| format!("\n    {}: {}", row.subject, row.detail))
                .collect();
            found.push(format!(
                "{}, {}: {} × {}{}",
                invariant.id(),
                invariant.title(),
                finding.count,
                finding.what,
                rows.concat()
            ));
        }
    }
    found
}
