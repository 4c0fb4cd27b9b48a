//! `homeroom webhooks`: a consumer of both services' feeds that delivers each event to HTTPS endpoints, signed as
//! Standard Webhooks describes. What it has to deliver is in a folder of its own; the services know nothing of it.

mod address;
pub(crate) mod arguments;
mod config;
mod dead;
mod deliver;
mod feed;
mod lanes;
mod payload;
mod read;
mod relay;
mod run;
mod schedule;
mod send;
mod signature;
mod store;

use arguments::WebhooksCommand;

use crate::Failure;

pub(crate) async fn run(command: &WebhooksCommand) -> Result<(), Failure> {
    match command {
        WebhooksCommand::Run(arguments) => run::run(arguments).await,
        WebhooksCommand::Dead(arguments) => dead::list(arguments).await,
        WebhooksCommand::Redeliver(arguments) => dead::redeliver(arguments).await,
        WebhooksCommand::Enable(arguments) => dead::enable(arguments).await,
    }
}
