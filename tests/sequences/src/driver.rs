//! Starts the processes, collects their output, and reports the result.

use std::{
    env,
    io::{BufRead as _, BufReader, IsTerminal as _, stderr},
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
/// The interval between progress reports on a terminal.
const PROGRESS: Duration = Duration::from_millis(500);

enum Told {
    Line(String),
    Ended,
}

/// Runs all sequences. Fails if one has a finding, or, with a wrong variant, if none has.
pub fn drive(arguments: &Arguments) -> ExitCode {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    // Sequences sometimes wait, so two processes keep one core busy.
    let jobs = arguments
        .jobs
        .unwrap_or(2 * cores)
        .clamp(1, arguments.count.max(1));
    // The driver removes the folder, because a process that is ended early removes nothing.
    let folder = stage::folder();
    let (sender, told) = channel();
    let mut children: Vec<Child> = (0..jobs)
        .map(|job| start(arguments, jobs, job, folder.path(), sender.clone()))
        .collect();
    drop(sender);

    let began = Instant::now();
    let mut shown = Instant::now();
    let mut tally = Tally::default();
    let mut failed: Vec<u64> = Vec::new();
    let mut first_finding = None;
    let mut passed = 0_u64;
    let mut running = jobs;
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); usize::try_from(jobs).unwrap_or(1)];
    for (job, one) in told {
        let line = match one {
            Told::Line(line) => line,
            Told::Ended => {
                running -= 1;
                if running == 0 {
                    break;
                }
                continue;
            }
        };
        let lines = &mut texts[job];
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
            failed.push(seed.parse().unwrap_or_default());
            first_finding.get_or_insert((began.elapsed(), passed));
            if failed.len() >= FAILED_MAX || arguments.variant.is_some() {
                break;
            }
        } else if let Some(counted) = line.strip_prefix("count ") {
            if let Some((count, name)) = counted.split_once(' ') {
                tally.add(name, count.parse().unwrap_or_default());
            }
        } else {
            lines.push(line);
        }
        if stderr().is_terminal() && shown.elapsed() > PROGRESS {
            shown = Instant::now();
            let rate = a_second(passed, began.elapsed());
            eprint!(
                "\r{passed} of {} sequences, {rate} a second ",
                arguments.count
            );
        }
    }
    if stderr().is_terminal() {
        eprintln!();
    }
    let cut_short = running > 0;
    let mut crashed = false;
    for child in &mut children {
        if cut_short {
            let _ = child.kill();
        }
        let ended = child.wait();
        crashed |= !cut_short && !ended.is_ok_and(|status| status.success());
    }
    report(
        arguments,
        passed,
        &failed,
        first_finding,
        began.elapsed(),
        &tally,
    );
    if crashed {
        println!("a process ended before its sequences did");
    }
    let missing = tally.missing();
    let lacks = passed >= ENOUGH_SEQUENCES && !missing.is_empty() && !cut_short;
    if lacks {
        println!("never answered or never reached: {missing:?}");
    }
    let found = !failed.is_empty();
    let good = if arguments.variant.is_some() {
        found
    } else {
        !found && !crashed && !lacks
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
    sender: Sender<(usize, Told)>,
) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--seed", &(arguments.seed + job).to_string()])
        .args(["--count", &arguments.count.saturating_sub(job).to_string()])
        .args(["--length", &arguments.length.to_string()])
        .args(["--stage", &arguments.stage.to_string()])
        .arg("--folder")
        .arg(folder)
        .args(["--stride", &jobs.to_string()]);
    if let Some(variant) = &arguments.variant {
        command.args(["--variant", variant]);
    }
    if arguments.verbose {
        command.arg("--verbose");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let job = usize::try_from(job).unwrap_or_default();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send((job, Told::Line(line))).is_err() {
                return;
            }
        }
        let _ = sender.send((job, Told::Ended));
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

fn a_second(count: u64, took: Duration) -> u128 {
    u128::from(count) * 1_000 / took.as_millis().max(1)
}

fn report(
    arguments: &Arguments,
    passed: u64,
    failed: &[u64],
    first_finding: Option<(Duration, u64)>,
    took: Duration,
    tally: &Tally,
) {
    let all = passed + failed.len() as u64;
    let seconds = took.as_secs_f64();
    println!(
        "{all} sequences in {seconds:.1} s ({} a second): {passed} without a finding, {} with",
        a_second(all, took),
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
    if let (Some(variant), Some((after, before))) = (&arguments.variant, first_finding) {
        println!(
            "{variant}: found after {} sequences, {:.1} s",
            before + 1,
            after.as_secs_f64()
        );
    }
    if !failed.is_empty() {
        println!("failed seeds: {failed:?}");
    }
}
