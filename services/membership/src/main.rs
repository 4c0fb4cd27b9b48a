//! The membership service as its own process.

use std::process::ExitCode;

use homeroom_kit::service::{self, Setting};
use homeroom_membership::{migrate, read_config, start};

/// The settings that only this service has.
const SETTINGS: &[Setting] = &[
    (
        "LISTEN_ADDRESS",
        "where to listen; 127.0.0.1:50051 if unset",
    ),
    (
        "INVITATIONS_JWKS_FILE",
        "the public keys of the invitations service, where JWKS_FILE does not hold them",
    ),
];

fn main() -> ExitCode {
    let about = "Organizations, classes, members, seats and the approval queue of Homeroom.";
    let command = service::command("membership", about, SETTINGS);
    service::run(command, async |name, flags| match name {
        "migrate" => service::migrate(flags, migrate).await,
        _ => service::serve(flags, read_config, start).await,
    })
}
