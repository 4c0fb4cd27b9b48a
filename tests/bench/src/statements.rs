//! Counts the round trips and commits of single redemptions, before their answers and after them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Failure, Target,
    homeroom::Redeemer,
    proxy::{Counts, Proxy, Route},
};

/// The time within which the services must start behind the proxies.
const START_SECONDS_MAX: u64 = 60;
/// The number of uncounted redemptions that prepare the statements and fill the caches.
const WARM_UP_REDEMPTIONS: u64 = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// A route to a service's database, as `LISTEN=TARGET`; the service connects to LISTEN.
    #[arg(long = "proxy", required = true)]
    routes: Vec<Route>,
    /// The number of redemptions to count.
    #[arg(long, default_value_t = 20)]
    redemptions: u64,
    /// The time for which the work after each answer is counted.
    #[arg(long, default_value_t = 0.3)]
    after_seconds: f64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Value, Failure> {
    let mut proxies = Vec::new();
    for route in &arguments.routes {
        proxies.push(Proxy::start(*route).await?);
    }
    // The services start only now, because they connect through the proxies.
    let mut redeemer = connected(&arguments.target).await?;
    let pause = Duration::from_secs_f64(arguments.after_seconds);
    for number in 0..WARM_UP_REDEMPTIONS {
        redeem(&mut redeemer, number).await?;
    }
    sleep(pause).await;

    // Background work of the services does not count.
    let began = Instant::now();
    let counts = total(&proxies);
    sleep(pause.saturating_mul(10)).await;
    let idle = total(&proxies) - counts;
    let idle_seconds = began.elapsed().as_secs_f64();

    let mut before = Vec::new();
    let mut after = Counts::default();
    let mut after_seconds = 0.0;
    for number in 0..arguments.redemptions {
        let start = total(&proxies);
        redeem(&mut redeemer, WARM_UP_REDEMPTIONS + number).await?;
        let answered = total(&proxies);
        let waited = Instant::now();
        sleep(pause).await;
        before.push(answered - start);
        after += total(&proxies) - answered;
        after_seconds += waited.elapsed().as_secs_f64();
    }
    let after_each = |all: u64, idle: u64| {
        let by_themselves = whole(idle) / idle_seconds * after_seconds;
        (whole(all) - by_themselves).max(0.0) / whole(arguments.redemptions)
    };
    Ok(json!({
        // Background work is among these counts, so the least is nearest to the work before the
        // answer.
        "before": before,
        "after": {
            "round_trips": after_each(after.round_trips, idle.round_trips),
            "pings": after_each(after.pings, idle.pings),
            "commands": after_each(after.commands, idle.commands),
            "commits": after_each(after.commits, idle.commits),
        },
        "idle_round_trips_per_second": whole(idle.round_trips) / idle_seconds,
    }))
}

async fn connected(target: &Target) -> Result<Redeemer, Failure> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    loop {
        let error = match Redeemer::connect(target, 1).await {
            Ok(mut redeemers) => match redeemers.pop() {
                Some(redeemer) => return Ok(redeemer),
                None => "no connection was opened".into(),
            },
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(error);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn redeem(redeemer: &mut Redeemer, number: u64) -> Result<(), Failure> {
    let result = redeemer.redeem(number).await;
    result.map_err(|refusal| format!("a redemption was refused: {}", refusal.reason).into())
}

fn total(proxies: &[Proxy]) -> Counts {
    let mut total = Counts::default();
    for proxy in proxies {
        total += proxy.counts();
    }
    total
}

fn whole(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
