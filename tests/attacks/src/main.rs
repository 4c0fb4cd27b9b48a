//! What takes longer than a test: see the library's documentation for how to run it.

use clap::{Parser, Subcommand};
use homeroom_attacks::timing;

#[derive(Debug, Parser)]
#[command(name = "homeroom-attacks", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Times refusals, and tells how far their time gives the reason away.
    Timing(timing::Arguments),
}

#[tokio::main]
async fn main() {
    match Arguments::parse().command {
        Command::Timing(arguments) => {
            let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
            println!("load before: {}", load.trim());
            let timings = timing::measure(&arguments).await;
            let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
            println!("load after:  {}\n", load.trim());
            print!("{}", timings.table());
        }
    }
}
