//! The command line of `homeroom webhooks`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::connection_arguments::{
    INVITATIONS_ADDRESS_DEFAULT, MEMBERSHIP_ADDRESS_DEFAULT, TlsArguments,
};

#[derive(Debug, Args)]
pub(crate) struct WebhooksArguments {
    #[command(subcommand)]
    pub(crate) command: WebhooksCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// Reads the feeds of both services and delivers each event until Ctrl-C.
    Run(RunArguments),
    /// Lists dead letters: deliveries whose every attempt failed. They are kept for 30 days.
    Dead(DeadArguments),
    /// Queues dead letters again, and lets failed deliveries that wait for their next attempt go at once.
    Redeliver(RedeliverArguments),
    /// Delivers again to an endpoint that answered 410 Gone.
    Enable(EnableArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The file of the endpoints, JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// The file of the access token that reads the feeds. It is read for each call, so replace it before it expires.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The address of membership.
    #[arg(long, value_name = "ADDR", default_value = MEMBERSHIP_ADDRESS_DEFAULT)]
    pub(crate) membership: String,
    /// The address of invitations.
    #[arg(long, value_name = "ADDR", default_value = INVITATIONS_ADDRESS_DEFAULT)]
    pub(crate) invitations: String,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FolderArguments {
    /// The folder of what is to be delivered; `run` makes it, accessible to its owner only.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DeadArguments {
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
    /// Print them as JSON, with their payloads.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RedeliverArguments {
    /// The numbers of the deliveries, as `homeroom webhooks dead` shows them.
    #[arg(
        value_name = "ID",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) ids: Vec<i64>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EnableArguments {
    /// The id of the endpoint.
    #[arg(value_name = "ENDPOINT")]
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) folder: FolderArguments,
}
