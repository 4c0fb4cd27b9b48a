//! A closed loop: a number of clients, each with one operation under way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep_until;

use crate::{Failure, LoadArguments};

/// An operation that a client repeats.
pub(crate) trait Operation: Send + 'static {
    /// Runs it for the `number`th time among all clients.
    fn run(&mut self, number: u64) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// The reason why an operation was not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    /// The reason of an error, or an unexpected outcome.
    pub(crate) reason: String,
    /// True if an overloaded server refused it.
    pub(crate) shed: bool,
    /// The time before a retry, if the server stated one.
    pub(crate) retry_after: Option<Duration>,
}

/// The observations of one client.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    acknowledged: u64,
    refusals: BTreeMap<String, u64>,
    latencies_micros: Vec<u32>,
    shed_micros: Vec<u32>,
}

impl Seen {
    /// Counts an answer; its latency only if `counted`.
    pub(crate) fn note(&mut self, result: &Result<(), Refusal>, took: Duration, counted: bool) {
        let latencies = match result {
            Ok(()) => {
                self.acknowledged += 1;
                &mut self.latencies_micros
            }
            Err(refusal) => {
                *self.refusals.entry(refusal.reason.clone()).or_default() += 1;
                if !refusal.shed {
                    return;
                }
                &mut self.shed_micros
            }
        };
        if counted {
            latencies.push(micros(took));
        }
    }

    /// Adds another client's observations.
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.latencies_micros.extend(other.latencies_micros);
        self.shed_micros.extend(other.shed_micros);
        for (reason, count) in other.refusals {
            *self.refusals.entry(reason).or_default() += count;
        }
    }
}

/// Runs one client for each operation, and returns their observations as JSON.
pub(crate) async fn run(
    arguments: &LoadArguments,
    operations: Vec<impl Operation>,
) -> Result<Value, Failure> {
    let start = Instant::now();
    let warm = start + Duration::from_secs_f64(arguments.warm_up_seconds);
    let end = warm + Duration::from_secs_f64(arguments.seconds);
    let next = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for operation in operations {
        let next = Arc::clone(&next);
        clients.push(tokio::spawn(client(operation, next, warm, end)));
    }
    let mut all = Seen::default();
    for client in clients {
        all.add(client.await?);
    }
    Ok(report(arguments.seconds, all))
}

async fn client(
    mut operation: impl Operation,
    next: Arc<AtomicU64>,
    warm: Instant,
    end: Instant,
) -> Seen {
    let mut seen = Seen::default();
    loop {
        let began = Instant::now();
        if began >= end {
            return seen;
        }
        let result = operation.run(next.fetch_add(1, Ordering::Relaxed)).await;
        let answered = Instant::now();
        let counted = (warm..end).contains(&answered);
        seen.note(&result, answered - began, counted);
        if let Err(Refusal {
            retry_after: Some(pause),
            ..
        }) = result
        {
            sleep_until((answered + pause).min(end).into()).await;
        }
    }
}

/// Returns the observations of this many seconds as JSON.
pub(crate) fn report(seconds: f64, mut seen: Seen) -> Value {
    let counted = u32::try_from(seen.latencies_micros.len()).unwrap_or(u32::MAX);
    json!({
        "acknowledged": seen.acknowledged,
        "refusals": seen.refusals,
        "per_second": f64::from(counted) / seconds,
        "p50_ms": quantile_millis(&mut seen.latencies_micros, 50),
        "p99_ms": quantile_millis(&mut seen.latencies_micros, 99),
        "shed_p50_ms": quantile_millis(&mut seen.shed_micros, 50),
        "shed_p99_ms": quantile_millis(&mut seen.shed_micros, 99),
    })
}

/// Returns the latency that this percentage does not exceed, or `None` without any.
pub(crate) fn quantile_millis(latencies_micros: &mut [u32], percent: usize) -> Option<f64> {
    latencies_micros.sort_unstable();
    let last = latencies_micros.len().checked_sub(1)?;
    let place = (latencies_micros.len() * percent / 100).min(last);
    latencies_micros
        .get(place)
        .map(|&micros| f64::from(micros) / 1000.0)
}

/// Returns a time as microseconds.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_latency_that_was_seen() {
        assert_eq!(quantile_millis(&mut [], 50), None);
        assert_eq!(quantile_millis(&mut [7000], 99), Some(7.0));
        let mut hundred: Vec<u32> = (1..=100).rev().map(|millis| millis * 1000).collect();
        assert_eq!(quantile_millis(&mut hundred, 50), Some(51.0));
        assert_eq!(quantile_millis(&mut hundred, 99), Some(100.0));
    }
}
