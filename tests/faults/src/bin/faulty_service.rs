//! Runs either service as a process that a test breaks: `faulty-service membership|invitations`.
//!
//! It does what the service's own `serve` does, configured by the same environment and until
//! SIGTERM, with the failpoints and wrong variants of `homeroom_kit::failpoints` compiled in.
//!
//! Each line on its standard input is a command and is answered by one line on its standard output:
//! the commands of `command::command`, and `clock ±SECONDS`, which steps its clock further. Any
//! other line is answered `error: …`. When its input ends the process goes on serving, unless
//! `HOMEROOM_END_WITH_INPUT=1`: then it exits at once, so that it does not outlive the process that
//! started it.
//!
//! `HOMEROOM_FAILPOINTS` holds commands separated by `;`, and `HOMEROOM_WRONG_VARIANT` one variant;
//! both take effect before anything starts.

use std::{
    env,
    io::{self, BufRead as _, Write as _},
    process::{self, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_invitations as invitations;
use homeroom_kit::{
    clock::{Clock, SystemClock},
    config::Reader,
    service::{self, Failure},
};
use homeroom_membership as membership;

#[path = "../command.rs"]
mod command;

/// The machine's clock, this many seconds ahead.
#[derive(Debug, Default)]
struct SteppedClock(AtomicI64);

impl Clock for SteppedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
    }
}

impl SteppedClock {
    fn step(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// Runs one command and returns the answer.
fn command(clock: &SteppedClock, line: &str) -> Result<String, Failure> {
    match line.trim().strip_prefix("clock ") {
        Some(seconds) => {
            clock.step(seconds.trim().parse()?);
            Ok("ok".to_owned())
        }
        None => Ok(command::command(line)?),
    }
}

/// Runs the commands in the environment.
fn obey_environment(clock: &SteppedClock) -> Result<(), Failure> {
    let lines = env::var("HOMEROOM_FAILPOINTS").unwrap_or_default();
    for line in lines.split(';').filter(|line| !line.trim().is_empty()) {
        command(clock, line)?;
    }
    if let Ok(variant) = env::var("HOMEROOM_WRONG_VARIANT") {
        command(clock, &format!("wrong {variant}"))?;
    }
    Ok(())
}

/// Runs the commands on the standard input, in a thread that ends with the process, since a
/// blocking read cannot be cancelled.
fn obey_input(clock: Arc<SteppedClock>) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let answer =
                command(&clock, &line).unwrap_or_else(|failure| format!("error: {failure}"));
            // A reader that has gone needs no answer.
            let _ = writeln!(io::stdout(), "{answer}");
        }
        if env::var("HOMEROOM_END_WITH_INPUT").is_ok_and(|value| value == "1") {
            process::exit(1);
        }
    });
}

async fn run() -> Result<(), Failure> {
    let clock = Arc::new(SteppedClock::default());
    obey_environment(&clock)?;
    obey_input(Arc::clone(&clock));
    let settings = Reader::of_environment();
    match env::args().nth(1).as_deref() {
        Some("membership") => {
            service::serve(
                "membership",
                settings,
                clock,
                membership::Config::read,
                membership::start,
            )
            .await
        }
        Some("invitations") => {
            service::serve(
                "invitations",
                settings,
                clock,
                invitations::Config::read,
                invitations::start,
            )
            .await
        }
        _ => Err("say which service: faulty-service membership|invitations".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("faulty-service: {failure}");
            ExitCode::FAILURE
        }
    }
}
