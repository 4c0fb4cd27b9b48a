//! The membership service as its own process.

use std::process::ExitCode;

use homeroom_kit::service;
use homeroom_membership::{SETTINGS, migrate, read_config, start};

fn main() -> ExitCode {
    let about = "Organizations, classes, members, seats and the approval queue of Homeroom.";
    let command = service::command("membership", about, SETTINGS);
    service::run(command, async |name, settings| match name {
        "migrate" => service::migrate(settings, migrate).await,
        _ => service::serve(settings, read_config, start).await,
    })
}
