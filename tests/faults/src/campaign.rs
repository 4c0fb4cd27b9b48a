//! The rounds of a campaign, which take all faults in turn.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use homeroom_kit::failpoints::WrongVariant;

use crate::{
    arguments::Arguments,
    ending::{Ending, settled_too_late},
    evidence,
    fault::{Class, Fault},
    round::{self, Plan},
    stage::Stage,
    state::State,
    wrong,
};

/// The time for which the load of a round runs, in seconds: in a full campaign, a short one, and
/// one of a wrong variant.
const ROUND_SECONDS: [u64; 3] = [14, 5, 6];
/// The rounds within which a wrong variant must be detected.
const VARIANT_ROUNDS: usize = 15;
/// The time within which it must be detected, in seconds, on a slow machine.
const VARIANT_SECONDS: u64 = 180;
/// The most rounds of one fault, if it does not reach its number.
const ROUNDS_MAX: u64 = 60;

/// Returns the number of faults of each kind that a full campaign injects.
const fn target(fault: Fault) -> u64 {
    match fault {
        Fault::Kill => 680,
        Fault::Cut => 300,
        Fault::SigkillAnywhere => 250,
        Fault::RedisAway => 80,
        Fault::PostgresCrash | Fault::ClockSteps => 60,
        Fault::Partition => 120,
        Fault::PostgresPromotion
        | Fault::ReadOnly
        | Fault::DiskFull
        | Fault::DiskFullSqlite
        | Fault::PoisonedEvent => 12,
        Fault::RequestLost | Fault::ReplyLost | Fault::Delayed | Fault::Repeated | Fault::Late => {
            1_750
        }
        // Most calls finish before their deadline.
        Fault::Deadline => 800,
        Fault::ErrorsAtCommits => 200,
        Fault::Overload => 3,
    }
}

/// A campaign and its state.
pub(crate) struct Campaign {
    arguments: Arguments,
    folder: PathBuf,
    pub(crate) state: State,
}

impl Campaign {
    /// Returns a new campaign, or the one that was interrupted. Its files are in `folder`.
    pub(crate) fn new(arguments: Arguments, folder: &Path) -> Self {
        let seed = arguments
            .seed
            .unwrap_or_else(|| u64::from(std::process::id()));
        let broken_off = arguments
            .resume
            .then(|| State::load(&folder.join("state.json")))
            .flatten();
        let state = broken_off.unwrap_or_else(|| State {
            seed,
            ..State::default()
        });
        Self {
            arguments,
            folder: folder.to_owned(),
            state,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = match (self.arguments.variant, self.arguments.faults.as_slice()) {
            (Some(variant), []) => wrong::faults(variant).to_vec(),
            (_, []) => Fault::ALL.to_vec(),
            (_, named) => named.to_vec(),
        };
        faults.retain(|fault| !self.arguments.without.contains(fault));
        faults
    }

    /// Checks that this machine can inject every requested fault; otherwise returns the reason.
    pub(crate) fn can_run(&self) -> Result<(), String> {
        let faults = self.faults();
        if faults.is_empty() {
            return Err("every fault was left out".to_owned());
        }
        for fault in [Fault::DiskFull, Fault::DiskFullSqlite] {
            if faults.contains(&fault) {
                Stage::can_fill_a_disk()
                    .map_err(|why| format!("{why}; run as root, or with --without {fault}"))?;
            }
        }
        Ok(())
    }

    /// Returns the result of the run, which is `finished` or was interrupted.
    pub(crate) fn ending(&self, finished: bool) -> Ending {
        Ending::of(&self.arguments, finished, &self.state)
    }

    /// Returns the folder for the files of this process's servers and services.
    fn stage_folder(&self) -> PathBuf {
        self.folder.join(format!("stage-{}", std::process::id()))
    }

    /// Returns the share of a fault's number that is done, at least 1 when all of it is.
    fn progress(&self, fault: Fault) -> f64 {
        let rounds = self.state.rounds_of(fault);
        let (done, all) = match self.arguments.count {
            Some(count) => (rounds, u64::from(count)),
            None if self.arguments.short => (rounds, 1),
            None if rounds >= ROUNDS_MAX => (1, 1),
            None => (self.state.tally.of(fault), target(fault)),
        };
        // Counts are far below 2^52, so nothing is lost.
        #[expect(clippy::cast_precision_loss, reason = "of small counts")]
        let share = done as f64 / all as f64;
        share
    }

    /// Returns the fault with the least progress, or `None` when all are done.
    fn next(&self) -> Option<Fault> {
        let behind = self
            .faults()
            .into_iter()
            .filter(|fault| self.progress(*fault) < 1.0);
        behind.min_by(|one, other| self.progress(*one).total_cmp(&self.progress(*other)))
    }

    fn plan(&self, fault: Fault, seconds: u64) -> Plan {
        Plan {
            fault,
            number: self.state.rounds,
            of_fault: self.state.rounds_of(fault),
            seed: self.state.seed,
            length: Duration::from_secs(seconds),
        }
    }

    /// Runs every remaining round. Returns true if nothing was violated and a full campaign reached
    /// its numbers.
    pub(crate) async fn run(&mut self) -> bool {
        let mut stage = Stage::start(&self.stage_folder(), None).await;
        let [full, short, _] = ROUND_SECONDS;
        let seconds = if self.arguments.short { short } else { full };
        while let Some(fault) = self.next() {
            self.show(fault);
            self.run_round(&mut stage, fault, seconds).await;
            self.state.save(&self.folder.join("state.json"));
        }
        self.state.violations.extend(settled_too_late(&self.state));
        clear_line();
        let missed = self.ending(true).missed;
        for missed in &missed {
            eprintln!("NOT REACHED: {missed}");
        }
        self.state.violations.is_empty() && missed.is_empty()
    }

    /// Runs one round, records its results, and returns its violations.
    async fn run_round(&mut self, stage: &mut Stage, fault: Fault, seconds: u64) -> Vec<String> {
        let plan = self.plan(fault, seconds);
        let began = Instant::now();
        let outcome = round::run(stage, plan, &mut self.state.tally).await;
        let violations = outcome.violations.clone();
        if !violations.is_empty() {
            let text = format!(
                "round {} of seed {}, fault {fault}:\n\n{}\n",
                plan.number,
                plan.seed,
                violations.join("\n")
            );
            let folder = self
                .folder
                .join(format!("violation-{}-{}", plan.seed, plan.number));
            evidence::keep(&folder, stage, &text);
            clear_line();
            eprintln!(
                "VIOLATION in {text}\nthe databases and logs are in {}",
                folder.display()
            );
        }
        stage.forget_round().await;
        self.state.add(fault, outcome, began.elapsed());
        violations
    }

    /// Runs a protocol that is known to be wrong. Returns true if it was detected.
    pub(crate) async fn find_out(&mut self, variant: WrongVariant) -> bool {
        let mut stage = Stage::start(&self.stage_folder(), Some(variant)).await;
        let [.., seconds] = ROUND_SECONDS;
        let began = Instant::now();
        let faults = self.faults();
        let mut rounds = 0;
        for fault in faults.iter().cycle().take(VARIANT_ROUNDS) {
            let violations = self.run_round(&mut stage, *fault, seconds).await;
            rounds += 1;
            for violation in &violations {
                let Some(invariant) = wrong::found_out_by(variant, violation) else {
                    continue;
                };
                let rule = violation.split(':').next().unwrap_or(violation);
                println!("{variant:?}: found out by {invariant} ({rule}), under {fault}");
                return true;
            }
            if began.elapsed() > Duration::from_secs(VARIANT_SECONDS) {
                break;
            }
        }
        println!(
            "{variant:?}: not found out in {rounds} rounds by {}",
            wrong::breaks(variant).join(" or ")
        );
        false
    }

    fn show(&self, fault: Fault) {
        let line = format!(
            "round {} · {} process faults · {} network faults · {} checked · {} violations · {} s · {fault}",
            self.state.rounds + 1,
            self.state.count(Class::Process),
            self.state.count(Class::Network),
            self.state.checked,
            self.state.violations.len(),
            self.state.seconds
        );
        let mut out = stderr();
        let written = if out.is_terminal() {
            write!(out, "\r\x1b[2K{line}")
        } else {
            writeln!(out, "{line}")
        };
        drop(written.and_then(|()| out.flush()));
    }
}

fn clear_line() {
    let mut out = stderr();
    if out.is_terminal() {
        drop(write!(out, "\r\x1b[2K"));
    }
}
