//! The membership service as a process of its own.

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand, builder::NonEmptyStringValueParser};
use homeroom_kit::{
    clock::SystemClock,
    config::{Flags, Reader},
    database::Url,
    random::SystemRandomness,
    shutdown::{self, Shutdown},
    telemetry,
};
use homeroom_membership::{Config, Dependencies};

/// Organizations, classes, members, seats and the approval queue of Homeroom.
#[derive(Debug, Parser)]
#[command(name = "membership", version, after_help = SETTINGS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The database: `postgres://user:password@host/database` or `sqlite://path`. Instead of `DATABASE_URL`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    database_url: Option<String>,
    /// Where to listen. Instead of `LISTEN_ADDRESS`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    listen_address: Option<String>,
    /// The file with the keys of this service. Instead of `KEYS_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    keys_file: Option<String>,
    /// The JWK set by which access tokens are checked. Instead of `JWKS_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    jwks_file: Option<String>,
    /// The `https://` address of that JWK set instead. Instead of `JWKS_URL`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    jwks_url: Option<String>,
    /// The JWK set of the invitations service, where the other does not hold it. Instead of `INVITATIONS_JWKS_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    invitations_jwks_file: Option<String>,
    /// The `iss` of access tokens. Instead of `TOKEN_ISSUER`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    token_issuer: Option<String>,
    /// The `aud` of access tokens. Instead of `TOKEN_AUDIENCE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    token_audience: Option<String>,
    /// `true` or `false`: serve gRPC reflection. Instead of `REFLECTION`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    reflection: Option<String>,
    /// `true` or `false`: bring the schema up to date first. Instead of `MIGRATE_AT_START`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    migrate_at_start: Option<String>,
    /// The server's certificate, PEM, and those between it and its authority. Instead of `TLS_CERT_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    tls_cert_file: Option<String>,
    /// That certificate's private key, PEM. Instead of `TLS_KEY_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    tls_key_file: Option<String>,
    /// The authorities one of which must have signed a client's certificate. Instead of `TLS_CLIENT_CA_FILE`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    tls_client_ca_file: Option<String>,
    /// Connections open at most. Instead of `CONNECTIONS_MAX`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    connections_max: Option<String>,
    /// `true` or `false`: listen beyond loopback without TLS. Instead of `INSECURE_PLAINTEXT`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    insecure_plaintext: Option<String>,
    /// Where Prometheus reads metrics, without a token. Instead of `METRICS_LISTEN_ADDRESS`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    metrics_listen_address: Option<String>,
    /// `text` or `json`. Instead of `LOG_FORMAT`.
    #[arg(long, global = true, value_parser = NonEmptyStringValueParser::new())]
    log_format: Option<String>,
}

const SETTINGS: &str = "Every option may be given by the environment variable that it names; an option goes before it. \
    DATABASE_URL_FILE, in place of DATABASE_URL, and RUST_LOG are environment variables only.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Serve,
    /// Bring the schema up to date and end.
    Migrate,
}

impl Arguments {
    /// Options go before the environment.
    fn flags(&self) -> Flags {
        let options = [
            ("DATABASE_URL", &self.database_url),
            ("LISTEN_ADDRESS", &self.listen_address),
            ("KEYS_FILE", &self.keys_file),
            ("JWKS_FILE", &self.jwks_file),
            ("JWKS_URL", &self.jwks_url),
            ("INVITATIONS_JWKS_FILE", &self.invitations_jwks_file),
            ("TOKEN_ISSUER", &self.token_issuer),
            ("TOKEN_AUDIENCE", &self.token_audience),
            ("REFLECTION", &self.reflection),
            ("MIGRATE_AT_START", &self.migrate_at_start),
            ("TLS_CERT_FILE", &self.tls_cert_file),
            ("TLS_KEY_FILE", &self.tls_key_file),
            ("TLS_CLIENT_CA_FILE", &self.tls_client_ca_file),
            ("CONNECTIONS_MAX", &self.connections_max),
            ("INSECURE_PLAINTEXT", &self.insecure_plaintext),
            ("METRICS_LISTEN_ADDRESS", &self.metrics_listen_address),
            ("LOG_FORMAT", &self.log_format),
        ];
        Flags::new(
            options
                .into_iter()
                .filter_map(|(name, option)| Some((name, option.clone()?))),
        )
    }
}

fn main() -> ExitCode {
    shutdown::run(program())
}

async fn program() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logs may not have been started, so this goes where a person looks.
            eprintln!("membership: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let flags = arguments.flags();
    let mut reader = Reader::new(&flags);
    let logs = telemetry::Settings::read(&mut reader);
    if matches!(arguments.command, Some(Command::Migrate)) {
        let url = reader.required_from_secret("DATABASE_URL", Url::parse);
        reader.finish()?;
        telemetry::init(logs)?;
        if let Some(url) = url {
            homeroom_membership::migrate(&url).await?;
            println!("{} is up to date", url.place());
        }
        return Ok(());
    }
    let config = Config::read(reader)?;
    telemetry::init(logs)?;
    let dependencies = Dependencies {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandomness),
    };
    let shutdown = Shutdown::on_signals()?;
    let starting = homeroom_membership::start(config, dependencies, shutdown.clone());
    let Some(service) = shutdown.unless_begun(starting).await else {
        return Ok(());
    };
    service?.stopped().await?;
    Ok(())
}
