//! The invitations service as a process of its own.

mod rotate_keys_command;

use std::{process::ExitCode, sync::Arc};

use clap::{Arg, ArgMatches, Command, builder::NonEmptyStringValueParser};
use homeroom_invitations::{Config, Dependencies, SETTINGS, migrate, start};
use homeroom_kit::{
    clock::SystemClock,
    config::{Flags, Reader},
    database::Url,
    random::SystemRandomness,
    shutdown::{self, Shutdown},
    telemetry,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Each setting as a flag of the same name: `DATABASE_URL` is `--database-url`.
fn command() -> Command {
    let flags = SETTINGS.iter().map(|(name, flag, help)| {
        Arg::new(*name)
            .long(*flag)
            .value_name(*name)
            .help(*help)
            .value_parser(NonEmptyStringValueParser::new())
            .global(true)
    });
    Command::new("invitations")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Tokens, codes, join URLs and redemptions. Flags override the environment.")
        .after_help(
            "DATABASE_URL_FILE, in place of DATABASE_URL, and RUST_LOG are environment variables only.",
        )
        .args(flags)
        .subcommand(Command::new("serve").about("Serves until SIGTERM (the default)"))
        .subcommand(Command::new("migrate").about("Brings the schema of DATABASE_URL up to date"))
        .subcommand(Command::new("rotate-keys").about(
            "Stores every secret of DATABASE_URL anew under the newest key of KEYS_FILE, beside running \
             services; stopped anywhere, it goes on when run again",
        ))
}

fn flags(matches: &ArgMatches) -> Flags {
    Flags::new(SETTINGS.iter().filter_map(|(name, _, _)| {
        let text = matches.get_one::<String>(name)?;
        Some((*name, text.clone()))
    }))
}

fn main() -> ExitCode {
    shutdown::run(program())
}

async fn program() -> ExitCode {
    let matches = command().get_matches();
    let (name, flags) = match matches.subcommand() {
        Some((name, matches)) => (name, flags(matches)),
        None => ("serve", flags(&matches)),
    };
    let ended = match name {
        "migrate" => run_migrate(&flags).await,
        "rotate-keys" => rotate_keys_command::run(&flags).await,
        _ => run_serve(&flags).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Logs may not have been started, so this goes where a person looks.
            eprintln!("invitations: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run_serve(flags: &Flags) -> Result<(), Failure> {
    let mut reader = Reader::new(flags);
    let logs = telemetry::Settings::read(&mut reader);
    let config = Config::read(reader)?;
    telemetry::init(logs)?;
    let dependencies = Dependencies {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandomness),
    };
    let shutdown = Shutdown::on_signals()?;
    let starting = start(config, dependencies, shutdown.clone());
    let Some(service) = shutdown.unless_begun(starting).await else {
        return Ok(());
    };
    service?.stopped().await?;
    Ok(())
}

async fn run_migrate(flags: &Flags) -> Result<(), Failure> {
    let mut reader = Reader::new(flags);
    let logs = telemetry::Settings::read(&mut reader);
    let url = reader.required_from_secret("DATABASE_URL", Url::parse);
    reader.finish()?;
    telemetry::init(logs)?;
    if let Some(url) = url {
        migrate(&url).await?;
        println!("{} is up to date", url.place());
    }
    Ok(())
}
