//! `homeroom import`: brings the roster files of another system into an organization, as far as they say.

mod arguments;
mod batches;
mod classes;
mod named;
mod removals;
mod report;

use std::process::ExitCode;

use anstream::{eprintln, println};

pub(crate) use arguments::ImportArguments;
use batches::{Done, Sender};
use classes::Place;
use report::{Progress, Report};

use crate::{
    Failure, chain,
    list::resource_name,
    remote::Remote,
    roster::{self, Roster},
};

/// The exit status if rows were left out that the files meant to be in.
const LEFT_OUT: u8 = 3;
/// The most rows of a batch of removals.
const REMOVALS_MAX: usize = 500;

pub(crate) async fn run(arguments: &ImportArguments) -> ExitCode {
    match import(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(LEFT_OUT),
        Err(failure) => {
            eprintln!("homeroom: {}", chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Prints the report; returns true if every row that the files meant to be in is in, or can be.
async fn import(arguments: &ImportArguments) -> Result<bool, Failure> {
    let organization = resource_name(&arguments.organization);
    let mut roster = read(arguments)?;
    let user = arguments.user.as_deref();
    let remote = Remote::connect(&arguments.membership, &arguments.caller, user).await?;
    let known = remote.classes(&organization, "").await?;
    let mut places = classes::resolve(&roster.classes, &known);
    drop(known);
    classes::unite(&mut roster, &mut places);
    let absent = match arguments.removals_percent_max {
        Some(max) => {
            removals::plan(&remote, &roster, &places, arguments.remove_absent, max).await?
        }
        None => Vec::new(),
    };
    let mut classes_created = 0;
    if arguments.create_classes && arguments.commit {
        classes_created = classes::create(&remote, &organization, &mut roster, &mut places).await?;
    } else if arguments.create_classes {
        let enrolled = classes::enrolled(&roster);
        let missing = places.iter().zip(enrolled);
        let missing =
            missing.filter(|(place, (people, _))| **place == Place::Missing && *people > 0);
        classes_created = missing.count() as u64;
    }
    let may_remove = arguments.removals_percent_max.is_some();
    let (order, in_new_classes) =
        batches::order(&mut roster, &places, may_remove, arguments.create_classes);
    let mut sender = Sender {
        remote: &remote,
        organization: &organization,
        removals_percent_max: arguments.removals_percent_max.unwrap_or_default(),
        commit: arguments.commit,
        seats_planned: 0,
        done: Done::default(),
    };
    let sent = send(&mut sender, &mut roster, &places, order, absent).await;
    let done = sender.done;
    if let Err(failure) = sent {
        let Done {
            added,
            updated,
            removed,
            ..
        } = done;
        if arguments.commit {
            eprintln!(
                "{added} rows were added, {updated} changed and {removed} removed before this; run it again to go on"
            );
        }
        return Err(failure);
    }
    let report = Report {
        roster: &roster,
        done,
        committed: arguments.commit,
        classes_created,
        in_new_classes,
    };
    if arguments.json {
        println!("{:#}", report.to_json());
    } else {
        report.print();
    }
    Ok(report.is_clean())
}

fn read(arguments: &ImportArguments) -> Result<Roster, Failure> {
    let mut files = roster::open(&arguments.path).map_err(|problem| problem.to_string())?;
    Ok(roster::read(files.as_mut(), &arguments.reading())?)
}

/// Sends the rows of the files in this order, and then those of the people who are not in them.
async fn send(
    sender: &mut Sender<'_>,
    roster: &mut Roster,
    places: &[Place],
    order: Vec<u32>,
    absent: Vec<removals::Absent>,
) -> Result<(), Failure> {
    let mut progress = Progress::of(order.len() + absent.len());
    let row = |roster: &Roster, index: u32| roster.rows.get(index as usize).copied();
    let people = order.iter().filter_map(|index| row(roster, *index));
    let lengths = batches::lengths(people.map(|row| row.person));
    let mut order = order.into_iter();
    for length in lengths {
        let rows = order
            .by_ref()
            .take(length)
            .filter_map(|index| row(roster, index));
        let rows = rows.map(|row| (Some(row.at), batches::row(roster, places, &row)));
        let rows: Vec<_> = rows.collect();
        sender.send(roster, rows).await?;
        progress.add(length);
    }
    let mut absent = absent
        .into_iter()
        .map(|absent| (None, batches::removal(absent)));
    loop {
        let rows: Vec<_> = absent.by_ref().take(REMOVALS_MAX).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let count = rows.len();
        sender.send(roster, rows).await?;
        progress.add(count);
    }
}
