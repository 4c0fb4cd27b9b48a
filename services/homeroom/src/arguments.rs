//! The command line of `homeroom`.

use std::{net::SocketAddr, path::PathBuf};

use chrono::TimeDelta;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use homeroom_api::ids::OrganizationId;
use homeroom_invitations::domain::public_url::PublicUrl;
use homeroom_kit::auth::Scopes;

pub(crate) use crate::connection_arguments::{
    CallerArguments, INVITATIONS_ADDRESS_DEFAULT, MEMBERSHIP_ADDRESS_DEFAULT, TlsArguments,
};
use crate::{
    argument_values::{life, limit, scopes, subject},
    export::ExportArguments,
    handout::arguments::{BoardArguments, QrArguments, SlipsArguments},
    import::ImportArguments,
    webhooks::arguments::WebhooksArguments,
};

/// The default base of the URLs handed out; a placeholder for a real name.
pub(crate) const PUBLIC_URL_DEFAULT: &str = "https://join.example";

/// Lets teachers let students in: invitations and enrollment for a learning platform.
#[derive(Parser)]
#[command(name = "homeroom", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Plays the whole story through the real gRPC API, then serves until Ctrl-C.
    Demo(DemoArguments),
    /// Runs both services in one process on SQLite files.
    Serve(ServeArguments),
    /// Prints an access token (a JWT) that a data folder's services accept, and nothing else.
    Token(TokenArguments),
    /// Calls a method of a running service: a request as JSON, the answer as JSON.
    Call(CallArguments),
    /// Tells whether a credential would let a person in, rule by rule, to the staff of its class or organization. The
    /// access token needs the scope `homeroom.act_as` too. The credential is read from standard input, and a code that
    /// was typed without its prefix needs --organization; the service charges and logs this like an attempt of the
    /// person.
    Explain(ExplainArguments),
    /// Lists organizations.
    Org(OrgArguments),
    /// Lists the classes of an organization.
    Class(ClassArguments),
    /// Lists the enrollment codes of an organization or class, which the audit trail records.
    Code(PlaceArguments),
    /// Lists the redemptions of an organization or class.
    Redemption(PlaceArguments),
    /// Makes a QR code of a text, such as an invite URL, which is read from standard input.
    Qr(QrArguments),
    /// Makes a class token for each student of a roster, and a sheet of slips to print and cut.
    Slips(SlipsArguments),
    /// Makes a page with the code of a class, for the board or a projector.
    Board(BoardArguments),
    /// Brings a roster of another system into an organization: `OneRoster` 1.1 or 1.2, Canvas SIS, or a CSV file with a
    /// header. Without --commit it only says what would be done. The exit status is 0 if every row is in or can be, 3 if
    /// rows were left out, and 1 if the import could not be carried out.
    Import(ImportArguments),
    /// Writes the roster of an organization or class for another system: `OneRoster` 1.2, or LTI Names and Roles.
    Export(ExportArguments),
    /// Prints the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Checks if a running service is ready; for health checks of containers.
    Ready(ReadyArguments),
    /// Writes the contract as a descriptor set, from which a proxy such as Envoy learns to serve it over HTTP.
    Descriptors(DescriptorsArguments),
    /// Makes the key files that the two services need in production, or reports which exist.
    Keys(KeysArguments),
    /// Copies both databases of a data folder as they are at one moment, even while `homeroom serve` runs.
    Backup(BackupArguments),
    /// Reads the two databases and reports if the invariants of redemption hold; changes nothing. The exit status is 0
    /// if all hold, 1 if one is broken, and 2 if nothing could be judged.
    Audit(AuditArguments),
    /// Delivers the events of both services to HTTPS endpoints.
    Webhooks(WebhooksArguments),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// End after the story instead of serving; the exit status is 0 if every step had the expected result.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The folder of the databases and keys; made on first start, accessible to its owner only.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The listen address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(crate) membership: SocketAddr,
    /// The listen address of invitations.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: SocketAddr,
    /// The base of every invite and join URL, at which your platform passes them to Homeroom.
    #[arg(long, value_name = "URL", default_value = PUBLIC_URL_DEFAULT, value_parser = PublicUrl::parse)]
    pub(crate) public_url: PublicUrl,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The folder that holds the signing key.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The token's `sub`: a user id, or the name of a calling service.
    #[arg(long, value_name = "USER", value_parser = subject)]
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
    /// A scope of the token, such as `homeroom.platform`, or several separated by spaces or commas; may be repeated.
    #[arg(long = "scope", value_name = "SCOPES", value_parser = scopes)]
    pub(crate) scopes: Vec<Scopes>,
    /// An organization to which the token is bound, such as `hamilton`; may be repeated. If unset, the token is not
    /// bound.
    #[arg(long = "organization", value_name = "ID", value_parser = OrganizationId::parse)]
    pub(crate) organizations: Vec<OrganizationId>,
    /// The token's period of validity, as `90s`, `15m`, `1h` or `30d`; at most 365 days.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = life)]
    pub(crate) ttl: TimeDelta,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    /// The folder for the files; made if it is missing, accessible to its owner only. Existing files stay unchanged.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DescriptorsArguments {
    /// The file to write; an existing one is replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The folder of the databases.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The folder for the copies; made if it is missing, accessible to its owner only. It must not contain either
    /// database.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

/// The URLs may hold passwords, so there is no Debug.
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
    /// Treat whatever is not settled as a violation too, because nothing is in progress.
    #[arg(long)]
    pub(crate) quiescent: bool,
    /// The longest time that a redemption may be in progress, as `90s`, `15m`, `1h` or `30d`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = life)]
    pub(crate) stuck_after: TimeDelta,
    /// The possible error of the services' clocks; by default 5s on PostgreSQL, 0 on SQLite.
    #[arg(long, value_name = "TIME", value_parser = life)]
    pub(crate) clock_tolerance: Option<TimeDelta>,
    /// The number of offending rows to show of each kind; all are counted.
    #[arg(long, value_name = "COUNT", default_value_t = homeroom_audit::ROWS_SHOWN_DEFAULT)]
    pub(crate) rows: u32,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArguments {
    /// The service's address or URL, as `127.0.0.1:50051`.
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    /// The method, as `ClassCodeService/GetClassCode`.
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// The request, as JSON.
    #[arg(value_name = "JSON", default_value = "{}")]
    pub(crate) request: String,
    /// The user to act for, which needs a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: CallerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The user id of the person.
    #[arg(long, value_name = "USER")]
    pub(crate) user: String,
    /// The person's email address.
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: Option<String>,
    /// The person has proved that the address is theirs.
    #[arg(long, requires = "email")]
    pub(crate) email_verified: bool,
    /// The person's id in the school's records.
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// The person has no account, and would register.
    #[arg(long)]
    pub(crate) sign_up: bool,
    /// The organization that the platform knows, such as `hamilton`.
    #[arg(long, value_name = "ID", value_parser = OrganizationId::parse)]
    pub(crate) organization: Option<OrganizationId>,
    /// The address of invitations.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: String,
    /// Print the answer of the service as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) caller: CallerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// The most items.
    #[arg(long, value_name = "COUNT", default_value = "50", value_parser = limit)]
    pub(crate) limit: usize,
    /// Print the items as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The user to act for, which needs a token with the scope `homeroom.act_as`.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) caller: CallerArguments,
}

/// A list of membership.
#[derive(Debug, Args)]
pub(crate) struct OrgArguments {
    /// The address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(crate) membership: String,
    #[command(flatten)]
    pub(crate) list: ListArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ClassArguments {
    /// The organization, such as `hamilton`.
    #[arg(value_name = "ORG")]
    pub(crate) organization: String,
    /// A filter (AIP-160), such as `owner = "ada"`.
    #[arg(long, value_name = "FILTER", default_value = "")]
    pub(crate) filter: String,
    #[command(flatten)]
    pub(crate) of: OrgArguments,
}

/// A list of invitations.
#[derive(Debug, Args)]
pub(crate) struct PlaceArguments {
    /// The organization or class, such as `hamilton` or `hamilton/biology`.
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,
    /// A filter (AIP-160): of codes such as `enabled = true`, of redemptions `state = "QUEUED"`.
    #[arg(long, value_name = "FILTER", default_value = "")]
    pub(crate) filter: String,
    /// The address of invitations.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: String,
    #[command(flatten)]
    pub(crate) list: ListArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReadyArguments {
    /// The service's address, as `127.0.0.1:50051` or `membership:50051`.
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
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
    fn organizations_have_no_filter() {
        let takes = |words: &str| Arguments::try_parse_from(words.split(' ')).is_ok();
        assert!(takes("homeroom org --token t") && !takes("homeroom org --token t --filter f"));
        for list in ["class hamilton", "code hamilton", "redemption hamilton"] {
            assert!(
                takes(&format!("homeroom {list} --token t --filter f")),
                "{list}"
            );
        }
    }
}
