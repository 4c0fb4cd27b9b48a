//! An open loop: a fixed number of calls a second, independent of the answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Failure, Target,
    closed_loop::{self, Seen},
    homeroom::Redeemer,
};

/// The number of connections for the calls.
const CONNECTIONS: usize = 16;
/// The most calls under way on a connection: fewer than the services allow, so that none waits in
/// this process.
const CALLS_PER_CONNECTION_MAX: usize = 190;
const TICK_MILLIS: u64 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The number of calls a second.
    #[arg(long)]
    rate: f64,
    /// The time for which answers are counted.
    #[arg(long)]
    seconds: f64,
    /// The time for which the load runs before answers are counted.
    #[arg(long, default_value_t = 1.0)]
    warm_up_seconds: f64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let redeemers = Redeemer::connect(&arguments.target, CONNECTIONS).await?;
    let connections: Vec<_> = redeemers
        .iter()
        .map(|redeemer| (redeemer, Arc::new(Semaphore::new(CALLS_PER_CONNECTION_MAX))))
        .collect();
    let mut connections = connections.iter().cycle();
    let start = Instant::now();
    let warm = start + Duration::from_secs_f64(arguments.warm_up_seconds);
    let end = warm + Duration::from_secs_f64(arguments.seconds);
    let mut ticks = interval(Duration::from_millis(TICK_MILLIS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut calls = JoinSet::new();
    let mut seen = Seen::default();
    let (mut due, mut offered, mut unsent) = (0.0, 0_u64, 0_u64);
    let mut last = start;
    while last < end {
        ticks.tick().await;
        let now = Instant::now();
        due += arguments.rate * (now - last).as_secs_f64();
        last = now;
        while due >= 1.0 {
            due -= 1.0;
            offered += 1;
            let (redeemer, permits) = connections.next().ok_or("there are no connections")?;
            let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
                unsent += 1;
                continue;
            };
            let mut redeemer = Redeemer::clone(redeemer);
            let number = offered;
            calls.spawn(async move {
                let began = Instant::now();
                let result = redeemer.redeem(number).await;
                drop(permit);
                (result, began.elapsed(), Instant::now())
            });
        }
        while let Some(call) = calls.try_join_next() {
            note(&mut seen, call?, warm, end);
        }
    }
    while let Some(call) = calls.join_next().await {
        note(&mut seen, call?, warm, end);
    }
    Ok(json!({
        "offered": offered,
        "unsent": unsent,
        "answers": closed_loop::report(arguments.seconds, seen),
    }))
}

type Answered = (Result<(), closed_loop::Refusal>, Duration, Instant);

fn note(seen: &mut Seen, (result, took, answered): Answered, warm: Instant, end: Instant) {
    seen.note(&result, took, (warm..end).contains(&answered));
}
