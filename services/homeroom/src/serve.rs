//! `homeroom serve`: both services in one process on SQLite files.

use anstream::println;
use homeroom_kit::{shutdown::Shutdown, telemetry};

use crate::{
    Failure,
    arguments::ServeArguments,
    data_folder::DataFolder,
    embedded::{Embedded, Settings},
};

pub(crate) async fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    telemetry::init(telemetry::Format::Text)?;
    let shutdown = Shutdown::on_signals()?;
    let folder = DataFolder::open_or_create(&arguments.data)?;
    let settings = Settings {
        membership: arguments.membership,
        invitations: arguments.invitations,
        public_url: arguments.public_url.clone(),
    };
    let embedded = Embedded::start(&folder, settings, shutdown).await?;
    println!("membership   http://{}", embedded.membership_address());
    println!("invitations  http://{}", embedded.invitations_address());
    println!("data         {}", arguments.data.display());
    println!(
        "A token:     homeroom token --data {} --user USER",
        arguments.data.display()
    );
    println!("Ctrl-C ends it.");
    embedded.stopped().await
}
