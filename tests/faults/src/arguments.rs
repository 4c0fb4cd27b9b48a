//! The command line.

use std::path::PathBuf;

use clap::Parser;

use homeroom_kit::failpoints::WrongVariant;

use crate::fault::Fault;

/// Breaks both services, their databases and their network while they are under load, and checks
/// that every acknowledged answer stands.
#[derive(Debug, Clone, Parser)]
#[command(name = "tests/faults/run")]
pub(crate) struct Arguments {
    /// The number of rounds of each fault; by default as many as the full campaign needs.
    #[arg(long)]
    pub(crate) count: Option<u32>,
    /// Runs each fault once, for continuous integration.
    #[arg(long)]
    pub(crate) short: bool,
    /// Continues the campaign that was interrupted.
    #[arg(long, conflicts_with = "variant")]
    pub(crate) resume: bool,
    /// Runs a protocol that is known to be wrong until it is detected.
    #[arg(long, value_parser = variant)]
    pub(crate) variant: Option<WrongVariant>,
    /// Writes the results to this Markdown file.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// The seed of every random choice.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Leaves a fault out that this machine cannot inject; may be repeated.
    #[arg(long, value_name = "FAULT")]
    pub(crate) without: Vec<Fault>,
    /// The faults to inject; all if none is named.
    pub(crate) faults: Vec<Fault>,
}

fn variant(name: &str) -> Result<WrongVariant, &'static str> {
    WrongVariant::from_name(name).ok_or("no such variant")
}
