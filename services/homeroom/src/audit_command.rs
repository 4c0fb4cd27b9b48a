//! `homeroom audit`: checks the invariants in the two databases, and reports by its exit status.

use std::process::ExitCode;

use anstream::{eprintln, println};
use homeroom_audit::{Options, audit, print};
use homeroom_kit::{
    clock::{Clock as _, SystemClock},
    database::Url,
};

use crate::{Failure, arguments::AuditArguments, chain};

/// The exit status if an invariant is broken.
const BROKEN: u8 = 1;
/// The exit status if nothing could be judged; clap uses the same if it cannot parse the command line.
const NOT_JUDGED: u8 = 2;

pub(crate) async fn run(arguments: &AuditArguments) -> ExitCode {
    match judge(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(failure) => {
            eprintln!("homeroom: {}", chain(failure.as_ref()));
            ExitCode::from(NOT_JUDGED)
        }
    }
}

/// Prints the report; returns true if every invariant holds.
async fn judge(arguments: &AuditArguments) -> Result<bool, Failure> {
    // The URLs are parsed here, because clap would repeat the text, which may hold a password.
    let url = |name: &str, text: &str| Url::parse(text).map_err(|error| format!("{name} {error}"));
    let membership = url("--membership", &arguments.membership)?;
    let invitations = url("--invitations", &arguments.invitations)?;
    let options = Options {
        quiescent: arguments.quiescent,
        stuck_after: arguments.stuck_after,
        clock_tolerance: arguments.clock_tolerance,
        rows_shown: arguments.rows,
        ..Options::at(SystemClock.now())
    };
    let report = audit(&membership, &invitations, &options).await?;
    if arguments.json {
        println!("{:#}", report.to_json());
    } else {
        print(&report);
    }
    Ok(report.broken().is_empty())
}
