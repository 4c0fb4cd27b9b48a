//! Runs sequences one after the other in one process, since failpoints belong to a process.

use std::{
    io::{Write as _, stdout},
    path::Path,
    process::ExitCode,
};

use homeroom_kit::failpoints;

use crate::{
    Arguments,
    plan::plan,
    run::Run,
    stage::{Stage, templates},
    tally::Tally,
};

/// The number of sequences that share a pair of services and databases, each with its own people
/// and organizations: starting the services takes a fifth as long as a sequence.
pub const SEQUENCES_OF_A_STAGE: u64 = 8;

/// Runs every `stride`th sequence. Prints a line for each and, for those with findings, every step;
/// the driver reads this output.
pub fn work(arguments: &Arguments, stride: u64, folder: &Path) -> ExitCode {
    let variant = arguments
        .variant
        .as_ref()
        .and_then(|name| name.parse().ok());
    failpoints::set_wrong_variant(variant);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(all(arguments, stride, folder));
    ExitCode::SUCCESS
}

async fn all(arguments: &Arguments, stride: u64, folder: &Path) {
    let templates = templates(folder).await;
    let mut tally = Tally::default();
    let mut stage: Option<Stage> = None;
    let mut of_stage = 0;
    for number in (0..arguments.count).step_by(usize::try_from(stride).unwrap()) {
        let seed = arguments.seed + number;
        let mut current = match stage.take() {
            Some(stage) => stage,
            None => Stage::open(templates.path()).await,
        };
        let steps = plan(seed, arguments.length);
        let mut run = Run::new(&mut current, &mut tally, seed);
        run.carry_out(&steps).await;
        run.settle_and_judge().await;
        let Run {
            trace, findings, ..
        } = run;
        tell(seed, &findings, &trace, arguments.verbose);
        of_stage += 1;
        // After the clock went back the auditor allows a tolerance, which must not outlast the
        // sequence.
        let as_new = findings.is_empty() && current.back_seconds == 0;
        if as_new && of_stage < arguments.stage {
            stage = Some(current);
        } else {
            current.close();
            of_stage = 0;
        }
    }
    if let Some(stage) = stage {
        stage.close();
    }
    for (point, hits) in failpoints::hits() {
        tally.add(&format!("reached {point}"), hits);
    }
    let mut out = stdout().lock();
    for (name, count) in tally.entries() {
        writeln!(out, "count {count} {name}").unwrap();
    }
}

fn tell(seed: u64, findings: &[String], trace: &[String], verbose: bool) {
    let mut out = stdout().lock();
    let failed = !findings.is_empty();
    if failed || verbose {
        for line in trace.iter().flat_map(|line| line.lines()) {
            writeln!(out, "| {line}").unwrap();
        }
        for finding in findings {
            writeln!(out, "! {}", finding.replace('\n', " ")).unwrap();
        }
    }
    writeln!(out, "{} {seed}", if failed { "failed" } else { "passed" }).unwrap();
    out.flush().unwrap();
}
