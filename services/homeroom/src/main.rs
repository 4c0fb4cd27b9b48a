//! The command-line tool: a demonstration, both services in one process, tokens and keys.

mod arguments;
mod audit_command;
mod backup;
mod call;
mod connect;
mod data_folder;
mod demo;
mod dynamic;
mod embedded;
mod keys;
mod ready;
mod serve;
mod token;

use std::{error::Error, ffi::OsString, process::ExitCode};

use arguments::{Arguments, Command};
use clap::Parser as _;

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
        Command::Ready(arguments) => ready::run(&arguments).await,
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments).await,
        Command::Audit(arguments) => return audit_command::run(&arguments).await,
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
