//! Starts the processes, collects their output, and reports the result.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Sender, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Arguments, stage,
    tally::{ENOUGH_SEQUENCES, Tally},
};

/// The most failing sequences that are printed in full.
const SHOWN_MAX: usize = 3;
/// The number of failing sequences after which the run ends.
const FAILED_MAX: usize = 10;

/// Runs all sequences. Fails if one has a finding, or, with a wrong variant, if none has.
pub fn drive(arguments: &Arguments) -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Sequences sometimes wait, so two processes keep one core busy.
    let jobs = arguments.jobs.unwrap_or(2 * cores);
    let jobs = jobs.clamp(1, arguments.count.max(1));
    // The driver removes the folder, because a process that is ended early removes nothing.
    let folder = stage::folder();
    let (sender, told) = channel();
    let mut children: Vec<Child> = (0..jobs)
        .map(|job| start(arguments, jobs, job, folder.path(), sender.clone()))
        .collect();
    drop(sender);

    let began = Instant::now();
    let mut tally = Tally::default();
    let mut failed: Vec<u64> = Vec::new();
    let mut passed = 0_u64;
    let mut texts = vec![Vec::new(); usize::try_from(jobs).unwrap()];
    let mut cut_short = false;
    for (job, line) in told {
        let lines: &mut Vec<String> = &mut texts[job];
        if let Some(seed) = line.strip_prefix("passed ") {
            passed += 1;
            if arguments.verbose {
                print(seed, lines, arguments.length);
            }
            lines.clear();
        } else if let Some(seed) = line.strip_prefix("failed ") {
            if failed.len() < SHOWN_MAX {
                print(seed, lines, arguments.length);
            }
            lines.clear();
            failed.push(seed.parse().unwrap());
            cut_short = failed.len() >= FAILED_MAX || arguments.variant.is_some();
            if cut_short {
                break;
            }
        } else if let Some((count, name)) = line
            .strip_prefix("count ")
            .and_then(|counted| counted.split_once(' '))
        {
            tally.add(name, count.parse().unwrap());
        } else {
            lines.push(line);
        }
    }
    let mut crashed = false;
    for child in &mut children {
        if cut_short {
            let _ = child.kill();
        }
        let ended = child.wait();
        crashed |= !cut_short && !ended.is_ok_and(|status| status.success());
    }
    report(arguments, passed, &failed, began.elapsed(), &tally);
    if crashed {
        println!("a process ended before its sequences did");
    }
    let missing = tally.missing();
    let lacks = passed >= ENOUGH_SEQUENCES && !missing.is_empty() && !cut_short;
    if lacks {
        println!("never answered or never reached: {missing:?}");
    }
    let found = !failed.is_empty();
    let good = match &arguments.variant {
        Some(_) => found,
        None => !found && !crashed && !lacks,
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn start(
    arguments: &Arguments,
    jobs: u64,
    job: u64,
    folder: &Path,
    sender: Sender<(usize, String)>,
) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--seed", &(arguments.seed + job).to_string()])
        .args(["--count", &arguments.count.saturating_sub(job).to_string()])
        .args(["--length", &arguments.length.to_string()])
        .args(["--stage", &arguments.stage.to_string()])
        .args(["--stride", &jobs.to_string()])
        .arg("--folder")
        .arg(folder);
    if let Some(variant) = &arguments.variant {
        command.args(["--variant", variant]);
    }
    if arguments.verbose {
        command.arg("--verbose");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let job = usize::try_from(job).unwrap();
    thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        // Nobody listens any more after enough failures.
        lines
            .map(|line| sender.send((job, line)))
            .all(|sent| sent.is_ok())
    });
    child
}

fn print(seed: &str, lines: &[String], length: usize) {
    println!("sequence {seed}:");
    for line in lines {
        println!("  {line}");
    }
    println!("  replay: homeroom-sequences --seed {seed} --count 1 --length {length}");
}

fn report(arguments: &Arguments, passed: u64, failed: &[u64], took: Duration, tally: &Tally) {
    let all = passed + failed.len() as u64;
    let (seconds, rate) = (
        took.as_secs_f64(),
        u128::from(all) * 1_000 / took.as_millis().max(1),
    );
    println!(
        "{all} sequences in {seconds:.1} s ({rate} a second): {passed} without a finding, {} with",
        failed.len()
    );
    // Processes that were ended early have reported nothing.
    if tally.sum("ok ") > 0 {
        println!(
            "{} calls answered, {} refused or failed, {} that nobody waited for, {} restarts, {} admitted",
            tally.sum("ok "),
            tally.sum("error "),
            tally.of("gone"),
            tally.of("restart"),
            tally.of("admitted"),
        );
    }
    if arguments.verbose {
        for (name, count) in tally.entries() {
            println!("{count:>9} {name}");
        }
    }
    if let (Some(variant), false) = (&arguments.variant, failed.is_empty()) {
        println!("{variant}: found after {all} sequences, {seconds:.1} s");
    }
    if !failed.is_empty() {
        println!("failed seeds: {failed:?}");
    }
}
