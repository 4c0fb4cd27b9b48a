//! Runs a campaign of faults: `tests/faults/run`.
//!
//! Both services run as processes under load while they, their databases and their network are
//! broken in every way that they must survive. After each round every acknowledged answer is
//! compared with the databases, and the auditor checks them.

mod arguments;
mod campaign;
mod ending;
mod evidence;
mod fault;
mod history;
mod inject;
mod load;
mod report;
mod round;
mod service;
mod settling;
mod stage;
mod state;
mod wrong;

use std::{fs, path::Path, process::ExitCode};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments::Arguments, campaign::Campaign};

/// The folder of the state, the logs and the evidence.
const FOLDER: &str = "target/faults";
/// The exit code that shells give to an interrupted program.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).unwrap();
    // The path must be absolute, since it is passed to the services.
    let folder = folder.canonicalize().unwrap();
    let mut campaign = Campaign::new(arguments.clone(), &folder);
    if let Err(why) = campaign.can_run() {
        eprintln!("tests/faults/run: {why}");
        return ExitCode::FAILURE;
    }
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    let work = async {
        match arguments.variant {
            Some(variant) => campaign.find_out(variant).await,
            None => campaign.run().await,
        }
    };
    // Dropping the work stops everything that it started.
    let passed = tokio::select! {
        passed = work => Some(passed),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminated.recv() => None,
    };
    if let Some(path) = &arguments.report {
        fs::write(
            path,
            report::markdown(&campaign.state, &campaign.ending(passed.is_some())),
        )
        .unwrap();
    }
    match passed {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => ExitCode::from(INTERRUPTED),
    }
}
