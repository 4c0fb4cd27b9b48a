//! The command-line tool: a demonstration, both services in one process, tokens and keys, rosters.

mod argument_values;
mod arguments;
mod audit_command;
mod backup;
mod call;
mod connect;
mod connection_arguments;
mod data_folder;
mod demo;
mod descriptors;
mod dynamic;
mod embedded;
mod explain;
mod export;
mod handout;
mod import;
mod keys;
mod list;
mod private_file;
mod ready;
mod refusal;
mod remote;
mod roster;
mod serve;
mod similar;
mod token;
mod webhooks;

use std::{error::Error, ffi::OsString, process::ExitCode};

use arguments::{Arguments, Command, OrgArguments};
use clap::{CommandFactory as _, Parser as _};

/// The error that ends a command, shown to its user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    homeroom_kit::shutdown::run(program())
}

async fn program() -> ExitCode {
    let arguments = Arguments::parse_from(without_separator(std::env::args_os()));
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Serve(arguments) => serve::run(&arguments).await,
        Command::Token(arguments) => token::run(&arguments),
        Command::Call(arguments) => call::run(&arguments).await,
        Command::Explain(arguments) => explain::run(&arguments).await,
        Command::Org(OrgArguments { membership, list }) => {
            list::run(&list::ORGANIZATIONS, &membership, None, &list).await
        }
        Command::Class(of) => {
            let within = Some((&*of.organization, &*of.filter));
            list::run(&list::CLASSES, &of.of.membership, within, &of.of.list).await
        }
        Command::Code(of) => {
            let within = Some((&*of.place, &*of.filter));
            list::run(&list::CODES, &of.invitations, within, &of.list).await
        }
        Command::Redemption(of) => {
            let within = Some((&*of.place, &*of.filter));
            list::run(&list::REDEMPTIONS, &of.invitations, within, &of.list).await
        }
        Command::Qr(arguments) => handout::commands::qr(&arguments),
        Command::Slips(arguments) => handout::commands::slips(&arguments).await,
        Command::Board(arguments) => handout::commands::board(&arguments).await,
        Command::Import(arguments) => return import::run(&arguments).await,
        Command::Export(arguments) => export::run(&arguments).await,
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "homeroom", &mut std::io::stdout());
            Ok(())
        }
        Command::Ready(arguments) => ready::run(&arguments).await,
        Command::Descriptors(arguments) => descriptors::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments).await,
        Command::Audit(arguments) => return audit_command::run(&arguments).await,
        Command::Webhooks(arguments) => webhooks::run(&arguments.command).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            anstream::eprintln!("homeroom: {}", chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Removes the separator that `cargo demo -- --once` passes on; no command needs it.
fn without_separator(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments.filter(|argument| argument != "--")
}

/// Returns an error with its causes, except those that its message already contains.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
