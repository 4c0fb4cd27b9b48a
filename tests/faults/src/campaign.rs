//! The rounds of a campaign, in an order that goes round all faults.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    arguments::Arguments,
    evidence,
    fault::{Class, Fault},
    round::{self, Plan},
    stage::Stage,
    state::State,
    wrong::Variant,
};

/// How long the load of a round runs, in seconds: in full, in short, and for a wrong variant.
const ROUND_SECONDS: [u64; 3] = [14, 5, 6];
/// How long a wrong variant may stay undetected, in seconds.
const VARIANT_SECONDS: u64 = 60;
/// Rounds of one fault at most, where its number is not reached.
const ROUNDS_MAX: u64 = 60;
/// Of the redemptions in doubt 99% settle within so many seconds (03 P13).
const SETTLED_99_PERCENT_SECONDS: u64 = 10;

/// How many faults of each kind a full campaign injects.
const fn target(fault: Fault) -> u64 {
    match fault {
        Fault::KillInvitations => 380,
        Fault::KillMembership | Fault::Cut => 300,
        Fault::SigkillAnywhere => 250,
        Fault::PostgresCrash | Fault::OneWay | Fault::Partition | Fault::ClockSteps => 60,
        Fault::PostgresPromotion
        | Fault::DiskFull
        | Fault::PoisonedEvent
        | Fault::RedisPromotion => 12,
        Fault::RedisKill | Fault::RedisStop | Fault::RedisFlush => 20,
        Fault::RequestLost
        | Fault::ReplyLost
        | Fault::Delayed
        | Fault::Repeated
        | Fault::Late
        | Fault::Deadline => 1_600,
        Fault::ErrorsAtCommits => 200,
        Fault::Overload => 3,
    }
}

/// A campaign and where it stands.
pub(crate) struct Campaign {
    arguments: Arguments,
    folder: PathBuf,
    pub(crate) state: State,
}

impl Campaign {
    /// A new one, or the one that was broken off. Its files are in `folder`.
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
        match (self.arguments.variant, self.arguments.faults.as_slice()) {
            (Some(variant), []) => variant.faults().to_vec(),
            (_, []) => Fault::ALL.to_vec(),
            (_, named) => named.to_vec(),
        }
    }

    /// How much of a fault's share is done; from 1 on all of it.
    fn progress(&self, fault: Fault) -> f64 {
        let rounds = self.state.rounds_of(fault);
        let (done, all) = match self.arguments.count {
            Some(count) => (rounds, u64::from(count)),
            None if self.arguments.short => (rounds, 1),
            None if rounds >= ROUNDS_MAX => (1, 1),
            None => (self.state.tally.of(fault), target(fault)),
        };
        // Counts are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "of small counts")]
        let share = done as f64 / all as f64;
        share
    }

    /// The fault that is furthest behind; None when all are done.
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

    /// Runs every round that is left. Whether nothing was violated.
    pub(crate) async fn run(&mut self) -> bool {
        let mut stage = Stage::start(&self.folder.join("stage"), None).await;
        let [full, short, _] = ROUND_SECONDS;
        let seconds = if self.arguments.short { short } else { full };
        while let Some(fault) = self.next() {
            self.show(fault);
            self.run_round(&mut stage, fault, seconds).await;
            self.state.save(&self.folder.join("state.json"));
        }
        let slow = self.state.settled_within(99);
        if slow > Duration::from_secs(SETTLED_99_PERCENT_SECONDS) {
            self.state.violations.push(format!(
                "P13, 99% settle within {SETTLED_99_PERCENT_SECONDS} s of health: it took {slow:.1?}"
            ));
        }
        clear_line();
        self.state.violations.is_empty()
    }

    /// One round, and what it leaves. What it violated.
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

    /// Runs a protocol that is known to be wrong until it is found out. Whether it was.
    pub(crate) async fn find_out(&mut self, variant: Variant) -> bool {
        let mut stage = Stage::start(&self.folder.join("stage"), Some(variant)).await;
        let [.., seconds] = ROUND_SECONDS;
        let began = Instant::now();
        let faults = self.faults();
        for fault in faults.iter().cycle() {
            let violations = self.run_round(&mut stage, *fault, seconds).await;
            if let Some(first) = violations.first() {
                let rule = first.split(':').next().unwrap_or(first);
                println!("{}: found out by {rule}, under {fault}", variant.name());
                return true;
            }
            if began.elapsed() > Duration::from_secs(VARIANT_SECONDS) {
                break;
            }
        }
        println!(
            "{}: not found out within {VARIANT_SECONDS} s",
            variant.name()
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
