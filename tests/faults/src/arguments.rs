//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::{fault::Fault, wrong::Variant};

/// Breaks both services, their databases and their network while they are under load, and checks
/// that every acknowledged answer stands.
#[derive(Debug, Clone, Parser)]
#[command(name = "tests/faults/run")]
pub(crate) struct Arguments {
    /// How many rounds of each fault; as many as the full campaign needs if not given.
    #[arg(long)]
    pub(crate) count: Option<u32>,
    /// Each fault once, for continuous integration.
    #[arg(long)]
    pub(crate) short: bool,
    /// Goes on with the campaign that was broken off.
    #[arg(long, conflicts_with = "variant")]
    pub(crate) resume: bool,
    /// Runs a protocol that is known to be wrong until it is found out.
    #[arg(long)]
    pub(crate) variant: Option<Variant>,
    /// Writes what was found to this Markdown file.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// What every choice follows from.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Leaves a fault out, where this machine cannot do it; may be given again and again.
    #[arg(long, value_name = "FAULT")]
    pub(crate) without: Vec<Fault>,
    /// Which faults; all if none is named.
    pub(crate) faults: Vec<Fault>,
}
