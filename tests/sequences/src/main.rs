//! Random sequences of operations, with faults, against both services in one process; the auditor
//! runs after each. See README.md.

mod clock;
mod driver;
mod faults;
mod judge;
mod motifs;
mod oracle;
mod plan;
mod requests;
mod run;
mod settle;
mod stage;
mod tally;
mod work;
mod worker;
mod world;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use homeroom_kit::failpoints::WrongVariant;

use crate::plan::LENGTH_DEFAULT;

/// Runs random sequences of operations, with faults; the auditor runs after each.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// The number of sequences.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// The seed of the first sequence; the next ones count up from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most operations in a sequence after its set-up.
    #[arg(long, default_value_t = LENGTH_DEFAULT)]
    length: usize,
    /// The number of processes; two for each core if unset.
    #[arg(long)]
    jobs: Option<u64>,
    /// A protocol that is known to be wrong: `release-on-timeout`, `no-admission-key`, `no-fence`,
    /// `check-then-act` or `settle-overwrites`. The run succeeds when the sequences detect it.
    #[arg(long, value_parser = variant)]
    variant: Option<String>,
    /// Prints every step, also of sequences without a finding.
    #[arg(long)]
    verbose: bool,
    /// The number of sequences that share a pair of services and databases.
    #[arg(long, hide = true, default_value_t = worker::SEQUENCES_OF_A_STAGE)]
    stage: u64,
    /// Makes this a worker process, which runs every `stride`th seed.
    #[arg(long, hide = true, requires = "folder")]
    stride: Option<u64>,
    /// The number of that process.
    #[arg(long, hide = true, default_value_t = 0)]
    job: u64,
    /// The folder for the databases of that process.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

fn variant(name: &str) -> Result<String, String> {
    let variant = WrongVariant::from_name(name).ok_or("no such variant")?;
    Ok(variant.to_string())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.stride, &arguments.folder) {
        (Some(stride), Some(folder)) => worker::work(&arguments, stride, folder),
        _ => driver::drive(&arguments),
    }
}
