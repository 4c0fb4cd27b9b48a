//! The part of the command line that says how a command reaches the services, and as whom.

use std::path::PathBuf;

use clap::Args;

/// The default listen address of membership.
pub(crate) const MEMBERSHIP_ADDRESS_DEFAULT: &str = "127.0.0.1:50051";
/// The default listen address of invitations.
pub(crate) const INVITATIONS_ADDRESS_DEFAULT: &str = "127.0.0.1:50052";

/// The caller: an access token, and how it reaches the service.
#[derive(Debug, Args)]
pub(crate) struct CallerArguments {
    /// The access token.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "HOMEROOM_TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: String,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

/// The connection to a service: over TLS if an authority is named, otherwise in plaintext.
#[derive(Debug, Args)]
pub(crate) struct TlsArguments {
    /// Use TLS, and trust servers whose certificate an authority of this PEM file has signed.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The client certificate, PEM.
    #[arg(
        long,
        value_name = "FILE",
        requires = "ca_file",
        requires = "client_key_file"
    )]
    pub(crate) client_cert_file: Option<PathBuf>,
    /// The private key of the client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    pub(crate) client_key_file: Option<PathBuf>,
    /// The name that the server's certificate must contain; by default the host of ADDR.
    #[arg(long, value_name = "NAME", requires = "ca_file")]
    pub(crate) server_name: Option<String>,
}
