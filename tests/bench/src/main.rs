//! The load client of `tests/bench/run`: each command does one thing and prints JSON.

mod calls;
mod closed_loop;
mod homeroom;
mod open_loop;
mod peer;
mod proxy;
mod seed;
mod serving;
mod statements;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// The reason why a command did not finish.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(name = "homeroom-bench", about = "The load client of tests/bench/run")]
enum Command {
    /// Creates organizations with one class each, and prints their class codes.
    Seed(seed::Arguments),
    /// Redeems class codes, each for a fresh user.
    #[command(subcommand)]
    Load(Load),
    /// Counts the round trips and commits of single redemptions.
    Statements(statements::Arguments),
    /// Makes several calls in turn, repeatedly, and prints the latency of each.
    Calls(calls::Arguments),
    /// Prints a line, waits until a service is ready, and prints another.
    Serving(serving::Arguments),
}

#[derive(Debug, Subcommand)]
enum Load {
    /// Loads Homeroom in a closed loop.
    Homeroom(homeroom::Arguments),
    /// Loads Homeroom at a fixed rate, independent of its answers.
    Open(open_loop::Arguments),
    /// Loads better-auth: accepts invitations.
    Peer(peer::Arguments),
}

/// The arguments of every load.
#[derive(Debug, Clone, Args)]
struct LoadArguments {
    /// The number of clients, each with one call under way.
    #[arg(long)]
    clients: u64,
    /// The time for which answers are counted.
    #[arg(long)]
    seconds: f64,
    /// The time for which the load runs before answers are counted.
    #[arg(long, default_value_t = 1.0)]
    warm_up_seconds: f64,
}

/// The arguments for calls to Homeroom.
#[derive(Debug, Clone, Args)]
struct Target {
    /// The address of invitations.
    #[arg(long)]
    invitations: SocketAddr,
    /// The file of the access token.
    #[arg(long)]
    token_file: PathBuf,
    /// The file of the class codes, one a line.
    #[arg(long)]
    codes: PathBuf,
    /// A number that makes this run's users and request ids differ from those of all others.
    #[arg(long)]
    run: u64,
}

// One thread suffices: the machine's cores are for the services and their databases.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let report = match Command::parse() {
        Command::Seed(arguments) => seed::run(&arguments).await?,
        Command::Load(Load::Homeroom(arguments)) => homeroom::run(&arguments).await?,
        Command::Load(Load::Open(arguments)) => open_loop::run(&arguments).await?,
        Command::Load(Load::Peer(arguments)) => peer::run(&arguments).await?,
        Command::Statements(arguments) => statements::run(&arguments).await?,
        Command::Calls(arguments) => calls::run(&arguments).await?,
        Command::Serving(arguments) => serving::run(&arguments).await?,
    };
    println!("{report}");
    Ok(())
}
