//! What can be typed after `homeroom`.

use std::{net::SocketAddr, path::PathBuf};

use chrono::TimeDelta;
use clap::{Args, Parser, Subcommand};
use homeroom_api::ids::OrganizationId;
use homeroom_invitations::domain::public_url::PublicUrl;
use homeroom_kit::auth::{Scope, Scopes};

/// Where membership listens unless told otherwise.
pub(crate) const MEMBERSHIP_ADDRESS_DEFAULT: &str = "127.0.0.1:50051";
/// Where invitations listens unless told otherwise.
pub(crate) const INVITATIONS_ADDRESS_DEFAULT: &str = "127.0.0.1:50052";
/// The base of URLs handed out unless told otherwise; a name that stands for any.
pub(crate) const PUBLIC_URL_DEFAULT: &str = "https://join.example";
/// The longest life of a token made by hand, in days.
pub(crate) const TOKEN_LIFE_DAYS_MAX: i64 = 365;

/// Lets teachers let students in: invitations and enrolment for a learning platform.
#[derive(Debug, Parser)]
#[command(name = "homeroom", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Plays the whole story through the real gRPC API, then serves until Ctrl-C.
    Demo(DemoArguments),
    /// Runs both services in one process on SQLite files.
    Serve(ServeArguments),
    /// Prints an access token (a JWT) that a data folder's services accept, and nothing else.
    Token(TokenArguments),
    /// Calls a method of a running service: a request as JSON, the answer as JSON.
    Call(CallArguments),
    /// Asks a running service whether it is ready; for health checks of containers.
    Ready(ReadyArguments),
    /// Makes the key files that the two services need in production, or says which exist.
    Keys(KeysArguments),
    /// Copies both databases of a data folder as they are at one moment, also while `homeroom serve` runs.
    Backup(BackupArguments),
    /// Reads the two databases and says whether the invariants of redemption hold; changes nothing.
    /// Exit status 0: all hold, 1: one is broken, 2: nothing could be judged.
    Audit(AuditArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// End after the story instead of serving; the exit status says whether each step came out as it should.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The folder of the databases and keys; made on first start, for its owner only.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where membership listens.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(crate) membership: SocketAddr,
    /// Where invitations listens.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: SocketAddr,
    /// The base of every invite and join URL: where your platform hands them to Homeroom.
    #[arg(long, value_name = "URL", default_value = PUBLIC_URL_DEFAULT, value_parser = PublicUrl::parse)]
    pub(crate) public_url: PublicUrl,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The folder that holds the signing key.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The token's `sub`: a user id, or the name of a calling service.
    #[arg(long, value_name = "USER")]
    pub(crate) user: String,
    /// The user's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The user's email address.
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: Option<String>,
    /// The user has proved that the address is theirs.
    #[arg(long, requires = "email")]
    pub(crate) email_verified: bool,
    /// The user's id in your school's records.
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// A scope of the token, such as `homeroom.platform`, or several with spaces or commas between them; may be
    /// repeated.
    #[arg(long = "scope", value_name = "SCOPES", value_parser = scopes)]
    pub(crate) scopes: Vec<Scopes>,
    /// An organization to which the token is bound, such as `hamilton`; may be repeated. Unset: no bound.
    #[arg(long = "organization", value_name = "ID", value_parser = OrganizationId::parse)]
    pub(crate) organizations: Vec<OrganizationId>,
    /// How long the token lives, as `90s`, `15m`, `1h` or `30d`; at most 365 days.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = life)]
    pub(crate) ttl: TimeDelta,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    /// The folder to write them to; made if it is missing, for its owner only. Existing files stay as they are.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The folder of the databases.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The folder to copy them to; made if it is missing, for its owner only. It must hold neither of them.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

/// No Debug: the URLs may hold passwords.
#[derive(Args)]
pub(crate) struct AuditArguments {
    /// Membership's database: `postgres://…` or `sqlite://path`.
    #[arg(
        long,
        value_name = "URL",
        env = "MEMBERSHIP_DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) membership: String,
    /// The invitations database: `postgres://…` or `sqlite://path`.
    #[arg(
        long,
        value_name = "URL",
        env = "INVITATIONS_DATABASE_URL",
        hide_env_values = true
    )]
    pub(crate) invitations: String,
    /// Nothing is under way: whatever has not been settled is a violation too.
    #[arg(long)]
    pub(crate) quiescent: bool,
    /// How long a redemption may be under way, as `90s`, `15m`, `1h` or `30d`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = life)]
    pub(crate) stuck_after: TimeDelta,
    /// How far the services' clocks may mislead; by default 5s on PostgreSQL, nothing on SQLite.
    #[arg(long, value_name = "TIME", value_parser = life)]
    pub(crate) clock_tolerance: Option<TimeDelta>,
    /// How many offending rows to show of each kind; all are counted.
    #[arg(long, value_name = "COUNT", default_value_t = homeroom_audit::ROWS_SHOWN_DEFAULT)]
    pub(crate) rows: u32,
    /// The report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl std::fmt::Debug for AuditArguments {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AuditArguments")
    }
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// The service's address, as `127.0.0.1:50051`.
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    /// The method, as `ClassCodeService/GetClassCode`.
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// The request, as JSON.
    #[arg(value_name = "JSON", default_value = "{}")]
    pub(crate) request: String,
    /// The access token.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "HOMEROOM_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: String,
    /// The user to act for, which takes a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

/// How a service is spoken to: over TLS where an authority is named, in plaintext otherwise.
#[derive(Debug, Args)]
pub(crate) struct TlsArguments {
    /// Speak TLS, and believe servers whose certificate an authority of this PEM file has signed.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate to show to the server, PEM.
    #[arg(
        long,
        value_name = "FILE",
        requires = "ca_file",
        requires = "client_key_file"
    )]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// That certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The name that the server's certificate must hold; by default the host of ADDR.
    #[arg(long, value_name = "NAME", requires = "ca_file")]
    pub(crate) server_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReadyArguments {
    /// The service's address, as `127.0.0.1:50051` or `membership:50051`.
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

fn scopes(text: &str) -> Result<Scopes, String> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    let read: Option<Scopes> = names.map(Scope::parse).collect();
    read.filter(|scopes| *scopes != Scopes::NONE)
        .ok_or_else(|| format!("the scopes are {}", Scopes::all()))
}

/// Reads `90s`, `15m`, `1h` or `30d`: 1 second to [`TOKEN_LIFE_DAYS_MAX`] days.
fn life(text: &str) -> Result<TimeDelta, String> {
    let wrong =
        || format!("write a whole number and one of s, m, h, d; at most {TOKEN_LIFE_DAYS_MAX}d");
    let unit_seconds = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    text.get(..text.len() - 1)
        .and_then(|digits| digits.parse::<u32>().ok())
        .and_then(|count| TimeDelta::try_seconds(i64::from(count) * unit_seconds))
        .filter(|life| {
            *life >= TimeDelta::seconds(1) && *life <= TimeDelta::days(TOKEN_LIFE_DAYS_MAX)
        })
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_client_certificate_takes_its_key_and_whom_to_believe() {
        let takes = |flags: &[&str]| {
            let words = ["homeroom", "ready", "membership:50051"]
                .iter()
                .chain(flags);
            Arguments::try_parse_from(words).is_ok()
        };
        let (ca, certificate, key) = ("--ca-file=a", "--client-cert-file=b", "--client-key-file=c");
        assert!(takes(&[]) && takes(&[ca]) && takes(&[ca, certificate, key]));
        assert!(takes(&[ca, "--server-name=membership"]));
        for wrong in [
            &[certificate, key][..],
            &[ca, certificate],
            &[ca, key],
            &["--server-name=a"],
        ] {
            assert!(!takes(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_life_is_a_number_and_a_unit() {
        assert_eq!(life("90s"), Ok(TimeDelta::seconds(90)));
        assert_eq!(life("15m"), Ok(TimeDelta::minutes(15)));
        assert_eq!(life("1h"), Ok(TimeDelta::hours(1)));
        assert_eq!(life("365d"), Ok(TimeDelta::days(365)));
        for wrong in [
            "",
            "h",
            "1",
            "0s",
            "-1h",
            "366d",
            "1w",
            "1.5h",
            "4294967296s",
            "1é",
        ] {
            assert!(life(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_value_holds_several_scopes_and_an_unknown_one_is_answered_with_the_known_ones() {
        let both: Scopes = [Scope::ActAs, Scope::Vouch].into_iter().collect();
        for text in [
            "homeroom.act_as homeroom.vouch",
            "homeroom.vouch,homeroom.act_as",
            " homeroom.act_as,  homeroom.vouch ",
        ] {
            assert_eq!(scopes(text), Ok(both), "{text}");
        }
        for wrong in [
            "vouch",
            "",
            " ",
            ",",
            "homeroom.vouch openid",
            "homeroom.vouch;homeroom.act_as",
        ] {
            assert!(
                scopes(wrong).unwrap_err().contains("homeroom.platform"),
                "{wrong}"
            );
        }
    }
}
