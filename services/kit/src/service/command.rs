//! The command line of a service: each setting is a flag, and some commands exist in every service.

use std::{error::Error, process::ExitCode, sync::Arc};

use clap::{Arg, Command, builder::NonEmptyStringValueParser};

use super::{Dependencies, Service};
use crate::{
    clock::SharedClock,
    config::{ConfigErrors, Reader, flag_of},
    database::{OpenError, Url},
    random::SystemRandomness,
    shutdown::{self, Shutdown},
    telemetry,
};

/// The error of a command.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The settings of every service, one a line: the environment variable, and its description. Each is
/// a flag of the same name: `DATABASE_URL` is `--database-url`.
const SETTINGS: &str = "\
DATABASE_URL postgres://user:password@host/database or sqlite://path
MIGRATE_AT_START bring the schema up to date at start: true or false
JWKS_FILE the public keys of access tokens
JWKS_URL their https:// address instead
TOKEN_ISSUER the `iss` of access tokens
TOKEN_AUDIENCE the `aud` of access tokens
TOKEN_ISSUERS_FILE JSON of the issuers of access tokens, in place of the four settings above
KEYS_FILE the keys of this service, as version:base64,…
REFLECTION serve gRPC reflection: true if unset
TLS_CERT_FILE PEM of the server's certificate, and of those between it and its authority; unset: plaintext
TLS_KEY_FILE PEM of that certificate's private key
TLS_CLIENT_CA_FILE PEM of the authorities one of which must have signed a client's certificate; unset: none is asked for
INSECURE_PLAINTEXT listen beyond loopback without TLS: false if unset
CONNECTIONS_MAX connections open at most, further ones wait: 8000 if unset
RETENTION_EVENTS_DAYS days for which events are kept, 30 to 3650; unset: for ever
LOG_FORMAT text or json; text if unset
OTEL_EXPORTER_OTLP_ENDPOINT the http:// URL of the collector of traces; unset: none
METRICS_LISTEN_ADDRESS where Prometheus reads metrics, without a token; unset: nowhere";

/// Returns the name and the description of each setting of a table such as [`SETTINGS`].
fn settings(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once(' '))
}

/// Returns the command line of the service `name`, with its `own` settings before those of every
/// service. Each line of `own` has an environment variable and its description.
#[must_use]
pub fn command(name: &'static str, about: &'static str, own: &'static str) -> Command {
    let flags = settings(own).chain(settings(SETTINGS)).map(|(name, help)| {
        Arg::new(name)
            .long(flag_of(name).trim_start_matches('-').to_owned())
            .value_name(name)
            .help(help)
            .value_parser(NonEmptyStringValueParser::new())
            .global(true)
    });
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(
            "Flags override the environment. DATABASE_URL_FILE, in place of DATABASE_URL, and RUST_LOG are \
             environment variables only.",
        )
        .args(flags)
        .subcommand(Command::new("serve").about("Serves until SIGTERM (the default)"))
        .subcommand(Command::new("migrate").about("Brings the schema of DATABASE_URL up to date"))
}

/// Runs a service's program, which receives the command and the settings.
pub fn run(
    command: Command,
    program: impl AsyncFnOnce(&str, Reader) -> Result<(), Failure>,
) -> ExitCode {
    let service = command.get_name().to_owned();
    let matches = command.get_matches();
    let (name, matches) = matches.subcommand().unwrap_or(("serve", &matches));
    let mut reader = Reader::of_environment();
    for flag in matches.ids() {
        if let Some(text) = matches.get_one::<String>(flag.as_str()) {
            reader.set(flag.as_str(), text.clone());
        }
    }
    shutdown::run(async {
        match program(name, reader).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                // Logging may not have started, so this goes to standard error.
                eprintln!("{service}: {failure}");
                ExitCode::FAILURE
            }
        }
    })
}

/// Starts logging, and the service `name` by its configuration; then waits for its end.
pub async fn serve<Config, App, Failed: Into<Failure>>(
    name: &'static str,
    mut reader: Reader,
    clock: SharedClock,
    read: impl FnOnce(Reader) -> Result<Config, ConfigErrors>,
    start: impl AsyncFnOnce(Config, Dependencies, Shutdown) -> Result<Service<App>, Failed>,
) -> Result<(), Failure> {
    let logs = telemetry::Settings::read(&mut reader);
    let config = read(reader)?;
    telemetry::init(logs, name)?;
    let dependencies = Dependencies {
        clock,
        random: Arc::new(SystemRandomness),
    };
    let shutdown = Shutdown::on_signals()?;
    let starting = start(config, dependencies, shutdown.clone());
    let Some(service) = shutdown.unless_begun(starting).await else {
        return Ok(());
    };
    let stopped = service.map_err(Into::into)?.stopped().await;
    telemetry::flush().await;
    Ok(stopped?)
}

/// Starts logging, for a command that needs the database and the settings that `more` reads. It exports no traces: these
/// are of calls, and a command answers none.
pub fn read_database<T>(
    mut reader: Reader,
    more: impl FnOnce(&mut Reader) -> Option<T>,
) -> Result<(Url, T), Failure> {
    let logs = telemetry::Settings::read(&mut reader);
    let url = reader.required_from_secret("DATABASE_URL", Url::parse);
    let more = more(&mut reader);
    let read = reader.finish_with(url.zip(more))?;
    telemetry::write_logs(logs)?;
    Ok(read)
}

/// Migrates the database's schema.
pub async fn migrate(
    reader: Reader,
    migrate: impl AsyncFnOnce(&Url) -> Result<(), OpenError>,
) -> Result<(), Failure> {
    let (url, ()) = read_database(reader, |_| Some(()))?;
    migrate(&url).await?;
    println!("{} is up to date", url.place());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{server::CONNECTIONS_DEFAULT, trace};

    #[test]
    fn every_setting_is_described_here_and_in_the_readme() {
        let readme = include_str!("../../../../README.md");
        for (name, help) in settings(SETTINGS) {
            assert!(readme.contains(&format!("\n| `{name}` |")), "{name}");
            assert!(!help.is_empty());
        }
        let connections = format!(": {CONNECTIONS_DEFAULT} if unset");
        assert!(SETTINGS.contains(&connections));
    }

    #[tokio::test]
    async fn a_command_on_the_database_exports_no_traces() {
        let given = [
            ("DATABASE_URL", "sqlite://kit.db"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("RUST_LOG", "off"),
        ];
        read_database(Reader::new(&given), |_| Some(())).unwrap();
        assert!(trace::provider().is_none());
    }

    #[test]
    fn each_setting_is_a_flag_of_the_same_name_before_and_after_a_command() {
        let own = "PUBLIC_URL a base";
        command("kit", "nothing", own).debug_assert();
        for line in [
            ["kit", "--public-url", "a", "serve"],
            ["kit", "serve", "--public-url", "a"],
        ] {
            let matches = command("kit", "nothing", own).get_matches_from(line);
            let (_, matches) = matches.subcommand().unwrap();
            let given = matches.get_one::<String>("PUBLIC_URL");
            assert_eq!(given.map(String::as_str), Some("a"));
        }
        let empty = ["kit", "--database-url", ""];
        assert!(
            command("kit", "nothing", own)
                .try_get_matches_from(empty)
                .is_err()
        );
    }
}
