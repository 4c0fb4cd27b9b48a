//! The membership service as its own process.

use std::{process::ExitCode, sync::Arc};

use homeroom_kit::{clock::SystemClock, service};
use homeroom_membership::{Config, SETTINGS, migrate, start};

fn main() -> ExitCode {
    let about = "Organizations, classes, members, seats and the approval queue of Homeroom.";
    let command = service::command("membership", about, SETTINGS);
    service::run(command, async |name, settings| match name {
        "migrate" => service::migrate(settings, migrate).await,
        _ => {
            service::serve(
                "membership",
                settings,
                Arc::new(SystemClock),
                Config::read,
                start,
            )
            .await
        }
    })
}
