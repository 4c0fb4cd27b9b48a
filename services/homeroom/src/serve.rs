//! `homeroom serve`: both services in one process on SQLite files.

use std::{env, net::SocketAddr, path::Path};

use anstream::println;
use homeroom_invitations::app::retention::Retention;
use homeroom_kit::{
    config::Reader,
    retention::read_events_days,
    server::{self, TrustedProxies},
    shutdown::Shutdown,
    telemetry,
};
use homeroom_membership::app::retention::read_join_requests_days;

use crate::{
    Failure,
    arguments::ServeArguments,
    data_folder::DataFolder,
    embedded::{Embedded, Settings},
};

pub(crate) async fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    for (flag, address) in [
        ("--membership", arguments.membership),
        ("--invitations", arguments.invitations),
    ] {
        if !address.ip().to_canonical().is_loopback() {
            return Err(beyond_loopback(flag, address).into());
        }
    }
    let settings = start(|reader| Settings {
        membership: arguments.membership,
        invitations: arguments.invitations,
        public_url: arguments.public_url.clone(),
        trusted_proxies: TrustedProxies::read(reader),
        connections_max: server::read_connections_max(reader),
        retention_events_days: read_events_days(reader),
        retention_join_requests_days: read_join_requests_days(reader),
        retention: Retention::read(reader),
    })?;
    let shutdown = Shutdown::on_signals()?;
    let folder = DataFolder::open_or_create(&arguments.data)?;
    let _taken = folder.lock()?;
    let starting = Box::pin(Embedded::start(&folder, settings, shutdown.clone()));
    let Some(embedded) = shutdown.unless_begun(starting).await else {
        return Ok(());
    };
    let embedded = embedded?;
    println!("membership   http://{}", embedded.membership_address());
    println!("invitations  http://{}", embedded.invitations_address());
    println!("data         {}", arguments.data.display());
    println!(
        "A token:     {} --user platform --scope homeroom.platform",
        token_command(folder.path())
    );
    println!("Ctrl-C ends it.");
    let stopped = embedded.stopped().await;
    telemetry::flush().await;
    stopped
}

/// Reads settings from the environment, and starts logging and exporting traces as they say if all are valid.
fn start<T>(read: impl FnOnce(&mut Reader) -> T) -> Result<T, Failure> {
    let mut reader = Reader::of_environment();
    let logs = telemetry::Settings::read(&mut reader);
    let settings = read(&mut reader);
    reader.finish()?;
    telemetry::init(logs, "homeroom")?;
    Ok(settings)
}

/// Starts logging only.
pub(crate) fn start_logs() -> Result<(), Failure> {
    start(|_| ())
}

fn beyond_loopback(flag: &str, address: SocketAddr) -> String {
    format!(
        "{flag} {address} is reachable from other machines, and `homeroom serve` speaks no TLS: give a loopback \
         address such as 127.0.0.1:{}, or run `membership` and `invitations` as the README's production set-up says",
        address.port()
    )
}

/// Returns the command that runs `homeroom token` on this folder in the shell that started this program.
pub(crate) fn token_command(folder: &Path) -> String {
    let folder = quoted(folder);
    // Cargo sets this variable for the programs that it runs.
    if env::var_os("CARGO").is_some() {
        return format!("cargo run --quiet --package homeroom -- token --data {folder}");
    }
    let program = env::current_exe().map_or_else(|_| "homeroom".to_owned(), |path| quoted(&path));
    format!("{program} token --data {folder}")
}

/// Returns a path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted(Path::new("./data")), "./data");
        assert_eq!(quoted(Path::new("/a b")), "'/a b'");
        assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
    }

    #[test]
    fn an_address_beyond_loopback_is_refused_with_what_this_command_has() {
        let said = beyond_loopback("--membership", "0.0.0.0:50051".parse().unwrap());
        assert!(said.contains("127.0.0.1:50051") && !said.contains("INSECURE"));
    }
}
