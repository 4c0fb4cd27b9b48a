//! Runs sequences one after the other in one process, since failpoints belong to a process.

use std::{fs, path::Path, process::ExitCode};

use homeroom_kit::failpoints::{self, WrongVariant};

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

/// The exit code of a process with a finding.
pub const FOUND: u8 = 1;

/// Runs every `stride`th sequence, until one has a finding, whose every step is printed. Writes the
/// counts to a file in `folder` that is named after the process's number.
pub fn work(arguments: &Arguments, stride: u64, folder: &Path) -> ExitCode {
    let variant = arguments.variant.as_deref();
    failpoints::set_wrong_variant(variant.and_then(WrongVariant::from_name));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut tally = Tally::default();
    let found = runtime.block_on(all(arguments, stride, folder, &mut tally));
    for (point, hits) in failpoints::hits() {
        tally.add(&format!("reached {point}"), hits);
    }
    fs::write(folder.join(arguments.job.to_string()), tally.written()).unwrap();
    if found {
        ExitCode::from(FOUND)
    } else {
        ExitCode::SUCCESS
    }
}

/// Returns true if a sequence had a finding.
async fn all(arguments: &Arguments, stride: u64, folder: &Path, tally: &mut Tally) -> bool {
    let templates = templates(folder).await;
    let mut stage: Option<Stage> = None;
    let mut of_stage = 0;
    for number in (0..arguments.count).step_by(usize::try_from(stride).unwrap()) {
        let seed = arguments.seed + number;
        let mut current = match stage.take() {
            Some(stage) => stage,
            None => Stage::open(templates.path()).await,
        };
        let steps = plan(seed, arguments.length);
        let mut run = Run::new(&mut current, tally, seed);
        run.carry_out(&steps).await;
        run.settle_and_judge().await;
        let Run {
            trace, findings, ..
        } = run;
        if !findings.is_empty() || arguments.verbose {
            // In one piece, since other processes print as well.
            let told = [&trace[..], &findings].concat().join("\n  ");
            let length = arguments.length;
            println!(
                "sequence {seed}:\n  {told}\n  replay: homeroom-sequences --seed {seed} --count 1 --length {length}"
            );
        }
        if !findings.is_empty() {
            current.close();
            return true;
        }
        tally.count("sequence");
        of_stage += 1;
        // After the clock went back the auditor allows a tolerance, which must not outlast the
        // sequence.
        if current.back_seconds == 0 && of_stage < arguments.stage {
            stage = Some(current);
        } else {
            current.close();
            of_stage = 0;
        }
    }
    if let Some(stage) = stage {
        stage.close();
    }
    false
}
