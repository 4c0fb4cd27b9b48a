//! Measurements that take longer than a test; the library's documentation says how to run them.

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
    /// Measures the time of refusals, and how far it reveals the reason.
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
