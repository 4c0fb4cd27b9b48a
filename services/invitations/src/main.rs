//! The invitations service as a process of its own.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use clap::{Arg, ArgMatches, Command};
use homeroom_invitations::{Config, Dependencies, SETTINGS, migrate, start};
use homeroom_kit::{
    clock::SystemClock,
    config::{Environment, Reader, Source},
    database::Url,
    random::SystemRandomness,
    shutdown::Shutdown,
    telemetry::{self, Format},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The command line first, then the environment.
struct Settings(BTreeMap<String, String>);

impl Source for Settings {
    fn get(&self, name: &str) -> Option<String> {
        Source::get(&self.0, name).or_else(|| Environment.get(name))
    }
}

/// Each setting as a flag of the same name: `DATABASE_URL` is `--database-url`.
fn command() -> Command {
    let flags = SETTINGS.iter().map(|(name, flag, help)| {
        Arg::new(*name)
            .long(*flag)
            .value_name(*name)
            .help(*help)
            .global(true)
    });
    Command::new("invitations")
        .about("Tokens, codes, join URLs and redemptions. Flags override the environment.")
        .args(flags)
        .subcommand(Command::new("serve").about("Serves until SIGTERM (the default)"))
        .subcommand(Command::new("migrate").about("Brings the schema of DATABASE_URL up to date"))
}

fn settings(matches: &ArgMatches) -> Settings {
    Settings(
        SETTINGS
            .iter()
            .filter_map(|(name, _, _)| {
                let text = matches.get_one::<String>(name)?;
                Some(((*name).to_owned(), text.clone()))
            })
            .collect(),
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    let matches = command().get_matches();
    let (name, settings) = match matches.subcommand() {
        Some((name, matches)) => (name, settings(matches)),
        None => ("serve", settings(&matches)),
    };
    if let Err(failure) = start_logs(&settings) {
        eprintln!("invitations: {failure}");
        return ExitCode::FAILURE;
    }
    let ended = match name {
        "migrate" => run_migrate(&settings).await,
        _ => run_serve(&settings).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(%failure, "invitations ends");
            ExitCode::FAILURE
        }
    }
}

fn start_logs(settings: &Settings) -> Result<(), Failure> {
    let mut reader = Reader::new(settings);
    let format = reader.or_default("LOG_FORMAT", Format::default(), str::parse);
    reader.finish()?;
    telemetry::init(format)?;
    Ok(())
}

async fn run_serve(settings: &Settings) -> Result<(), Failure> {
    let config = Config::read(Reader::new(settings))?;
    let dependencies = Dependencies {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandomness),
    };
    let service = start(config, dependencies, Shutdown::on_signals()?).await?;
    service.stopped().await?;
    Ok(())
}

async fn run_migrate(settings: &Settings) -> Result<(), Failure> {
    let mut reader = Reader::new(settings);
    let url = reader.required("DATABASE_URL", Url::parse);
    reader.finish()?;
    if let Some(url) = url {
        migrate(&url).await?;
        tracing::info!("the schema is up to date");
    }
    Ok(())
}
