//! The invitations service as a standalone process.

mod rotate_keys_command;

use std::{process::ExitCode, sync::Arc};

use clap::Command;
use homeroom_invitations::{Config, SETTINGS, migrate, start};
use homeroom_kit::{clock::SystemClock, service};

fn main() -> ExitCode {
    let about = "Tokens, codes, join URLs and redemptions of Homeroom.";
    let rotate_keys = Command::new("rotate-keys").about(
        "Stores every secret of DATABASE_URL anew under the newest key of KEYS_FILE, beside running \
         services; stopped anywhere, it goes on when run again",
    );
    let command = service::command("invitations", about, SETTINGS).subcommand(rotate_keys);
    service::run(command, async |name, settings| match name {
        "migrate" => service::migrate(settings, migrate).await,
        "rotate-keys" => rotate_keys_command::run(settings).await,
        _ => {
            service::serve(
                "invitations",
                settings,
                Arc::new(SystemClock),
                Config::read,
                start,
            )
            .await
        }
    })
}
