//! One round: new databases, load, faults of one kind, and then all checks.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use homeroom_audit::{Invariant, Options, Severity, audit};
use homeroom_kit::clock::{Clock as _, SystemClock};
use homeroom_tests::dice::Dice;

use crate::{
    fault::Fault,
    history::{Entry, check::check, facts::Facts},
    inject::{Injection, Tally, ground_of, length_of},
    load::{INTERNAL_OF_A_SERVICE, Load, Scene},
    settling::{SETTLE_SECONDS, Settled, Settling},
    stage::Stage,
};

/// The factor by which an overload is heavier.
const OVERLOAD_WEIGHT: usize = 10;
/// The fewest answers that a round must acknowledge.
const ROUND_ANSWERS_MIN: u64 = 50;
/// The largest difference between two clocks that step, in seconds: a day each way, and a little.
const STEPPED_CLOCK_SECONDS: i64 = 2 * 86_400;

/// The task of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// The round's number in the campaign, from 0.
    pub(crate) number: u64,
    /// The number of earlier rounds of this fault.
    pub(crate) of_fault: u64,
    pub(crate) seed: u64,
    pub(crate) length: Duration,
}

/// The result of a round.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The violations; each begins with its rule.
    pub(crate) violations: Vec<String>,
    /// The times for which redemptions were in doubt once everything worked again.
    pub(crate) settled: Settled,
    /// The number of answers of all calls, by name.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The number of acknowledged answers that were compared with the databases.
    pub(crate) checked: u64,
}

/// Runs a round.
pub(crate) async fn run(stage: &mut Stage, plan: Plan, tally: &mut Tally) -> Outcome {
    let dice = Dice::new(
        plan.seed
            .wrapping_add(plan.number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    );
    let name = format!("round_{}", plan.number);
    stage
        .begin_round(ground_of(plan.fault, plan.of_fault), &name)
        .await;
    let scene = Arc::new(Scene::prepare(stage.platform(), &dice).await);
    let weight = if plan.fault == Fault::Overload {
        OVERLOAD_WEIGHT
    } else {
        1
    };
    let load = Load::start(Arc::clone(&scene), weight, &dice);
    let settling = Settling::watch(&stage.urls);
    let in_effect = tally.of(plan.fault);
    let injection = Injection {
        until: Instant::now() + length_of(plan.fault, plan.length),
        stage,
        settling: &settling,
        scene: Arc::clone(&scene),
        tally: &mut *tally,
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
    outcome.settled = settling.settled().await;
    if !outcome.settled.left.is_empty() {
        outcome.violations.push(format!(
            "I4, every reservation ends: still in doubt {SETTLE_SECONDS} s after health returned: {}",
            outcome.settled.left.join(", ")
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
    let injected = tally.of(plan.fault) - in_effect;
    let missed = missed_floors(plan.fault, injected, &entries, outcome.checked);
    outcome.violations.extend(missed);
    for service in &mut stage.services {
        // This call detects an end that nothing else has noticed.
        service.is_running();
        outcome.violations.extend(service.take_wrong_ends());
    }
    let internal = outcome.answers.get(INTERNAL_OF_A_SERVICE);
    if let Some(internal) = internal {
        let what = format!("an internal error: {internal} calls were answered INTERNAL");
        outcome.violations.push(what);
    }
    outcome
}

/// Returns the requirements that a round missed: its fault must take effect, and enough answers
/// must be acknowledged, or the round proves nothing.
fn missed_floors(fault: Fault, injected: u64, entries: &[Entry], checked: u64) -> Vec<String> {
    let mut missed = Vec::new();
    if injected == 0 {
        missed.push(format!("too little happened: {fault} never took effect"));
    }
    if checked < ROUND_ANSWERS_MIN {
        missed.push(format!(
            "too little happened: {checked} acknowledged answers, fewer than {ROUND_ANSWERS_MIN}"
        ));
    }
    if !entries.iter().any(lets_in) {
        missed.push("too little happened: nobody was let in".to_owned());
    }
    missed
}

fn lets_in(entry: &Entry) -> bool {
    matches!(entry, Entry::Asked(asked) if asked.answer.outcome() == "ADMITTED")
}

fn is_acknowledged(entry: &Entry) -> bool {
    match entry {
        Entry::Asked(asked) => asked.answer.is_accepted(),
        Entry::Closed { .. } | Entry::Decided { .. } => true,
        Entry::Reopening { .. } => false,
        Entry::Left { acknowledged, .. } => *acknowledged,
    }
}

/// Returns the auditor's findings, now that nothing is under way.
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
