//! Starts the processes and reports the result.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Arguments, stage,
    tally::{ENOUGH_SEQUENCES, Tally},
    worker::FOUND,
};

/// The interval between two looks at the processes.
const LOOK: Duration = Duration::from_millis(20);

/// Runs all sequences. Fails if one has a finding, or, with a wrong variant, if none has.
pub fn drive(arguments: &Arguments) -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Sequences sometimes wait, so two processes keep one core busy.
    let jobs = arguments.jobs.unwrap_or(2 * cores);
    let jobs = jobs.clamp(1, arguments.count.max(1));
    // The driver removes the folder, because a process that is ended early removes nothing.
    let folder = stage::folder();
    let began = Instant::now();
    let mut children: Vec<Child> = (0..jobs)
        .map(|job| start(arguments, jobs, job, folder.path()))
        .collect();
    let (mut found, mut crashed) = (false, false);
    while !children.is_empty() && !found {
        thread::sleep(LOOK);
        children.retain_mut(|child| {
            let Some(status) = child.try_wait().unwrap() else {
                return true;
            };
            found |= status.code() == Some(FOUND.into());
            crashed |= ![Some(0), Some(FOUND.into())].contains(&status.code());
            false
        });
    }
    for mut child in children {
        drop(child.kill());
        drop(child.wait());
    }
    let mut tally = Tally::default();
    for job in 0..jobs {
        tally.read(&fs::read_to_string(folder.path().join(job.to_string())).unwrap_or_default());
    }
    report(arguments, began.elapsed(), &tally);
    if crashed {
        println!("a process ended before its sequences did");
    }
    let missing = tally.missing();
    let lacks = tally.of("sequence") >= ENOUGH_SEQUENCES && !missing.is_empty();
    if lacks {
        println!("never answered or never reached: {missing:?}");
    }
    let good = match arguments.variant {
        Some(_) => found,
        None => !found && !crashed && !lacks,
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn start(arguments: &Arguments, jobs: u64, job: u64, folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--seed", &(arguments.seed + job).to_string()])
        .args(["--count", &arguments.count.saturating_sub(job).to_string()])
        .args(["--length", &arguments.length.to_string()])
        .args(["--stage", &arguments.stage.to_string()])
        .args(["--stride", &jobs.to_string()])
        .args(["--job", &job.to_string()])
        .arg("--folder")
        .arg(folder);
    if let Some(variant) = &arguments.variant {
        command.args(["--variant", variant]);
    }
    if arguments.verbose {
        command.arg("--verbose");
    }
    command.spawn().unwrap()
}

fn report(arguments: &Arguments, took: Duration, tally: &Tally) {
    println!(
        "{} sequences without a finding in {took:.1?}: {} calls answered, {} refused or failed, \
         {} that nobody waited for, {} restarts, {} admitted",
        tally.of("sequence"),
        tally.sum("ok "),
        tally.sum("error "),
        tally.of("gone"),
        tally.of("restart"),
        tally.of("admitted"),
    );
    if arguments.verbose {
        for (name, count) in tally.entries() {
            println!("{count:>9} {name}");
        }
    }
}
