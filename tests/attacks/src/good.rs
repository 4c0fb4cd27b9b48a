//! Well-behaved callers, and their waiting times during attacks.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use homeroom_tests::Clients;
use serde_json::json;
use tokio::sync::Notify;
use tonic::{Code, Status};

/// The time that a caller waits for one answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause of a caller between two calls.
const REST: Duration = Duration::from_millis(5);

/// The time within which the required calls must be made, on a busy machine.
const CALLS_MAX: Duration = Duration::from_mins(2);

/// The time before a retry if the answer does not state one.
const PAUSE: Duration = Duration::from_millis(100);

/// The calls of one phase.
#[derive(Debug, Default, Clone)]
struct Phase {
    name: String,
    latencies: Vec<Duration>,
    retries: u64,
    failures: Vec<String>,
}

/// Callers that keep calling until they are told to end, on their own thread. When the service is
/// busy they retry as it says; the retries count as one call, whose latency is the whole wait.
pub struct Good {
    phases: Arc<Mutex<Vec<Phase>>>,
    /// Notified after each call.
    called: Arc<Notify>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Good {
    /// Starts callers with this access token, which call both services about one class in turn.
    #[must_use]
    pub fn start(callers: usize, addresses: [SocketAddr; 2], token: &str, class: &str) -> Self {
        let phases = Arc::new(Mutex::new(vec![phase("before")]));
        let ended = Arc::new(AtomicBool::new(false));
        let called = Arc::new(Notify::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let calling = {
            let (phases, ended) = (Arc::clone(&phases), Arc::clone(&ended));
            let called = Arc::clone(&called);
            let (token, class) = (token.to_owned(), class.to_owned());
            async move {
                let [membership, invitations] = addresses;
                let callers = (0..callers).map(|turn| {
                    let client = Clients::connect(membership, invitations, &token);
                    go_on(client, &class, turn, (&phases, &called), &ended)
                });
                futures::future::join_all(callers).await;
            }
        };
        let thread = std::thread::spawn(move || runtime.block_on(calling));
        Self {
            phases,
            called,
            ended,
            thread,
        }
    }

    /// Waits until this phase has this many calls, answered or failed.
    pub async fn calls(&self, count: usize) {
        let wait = async {
            loop {
                let next = self.called.notified();
                let calls = self
                    .phases
                    .lock()
                    .unwrap()
                    .last()
                    .map(|last| last.latencies.len());
                if calls.is_some_and(|calls| calls >= count) {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(CALLS_MAX, wait)
            .await
            .unwrap_or_else(|_| panic!("not within {CALLS_MAX:?}: {count} calls"));
    }

    /// Begins a phase, to which all further calls belong.
    pub fn begin(&self, name: &str) {
        self.phases.lock().unwrap().push(phase(name));
    }

    /// Ends the callers; returns a table and every failure.
    #[must_use]
    pub fn end(self) -> (String, Vec<String>) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let phases = self.phases.lock().unwrap().clone();
        let mut table = format!(
            "{:<24}{:>8}{:>8}{:>8}{:>10}{:>10}{:>10}\n",
            "good calls beside", "calls", "failed", "retried", "p50 ms", "p99 ms", "max ms"
        );
        let mut failures = Vec::new();
        for mut phase in phases {
            phase.latencies.sort_unstable();
            let at = |share: f64| milliseconds(&phase.latencies, share);
            writeln!(
                table,
                "{:<24}{:>8}{:>8}{:>8}{:>10.1}{:>10.1}{:>10.1}",
                phase.name,
                phase.latencies.len(),
                phase.failures.len(),
                phase.retries,
                at(0.5),
                at(0.99),
                at(1.0)
            )
            .unwrap();
            let name = &phase.name;
            failures.extend(phase.failures.iter().map(|one| format!("{name}: {one}")));
        }
        (table, failures)
    }
}

fn phase(name: &str) -> Phase {
    Phase {
        name: name.to_owned(),
        ..Phase::default()
    }
}

/// Keeps calling until the end.
async fn go_on(
    client: Clients,
    class: &str,
    mut turn: usize,
    (phases, called): (&Mutex<Vec<Phase>>, &Notify),
    ended: &AtomicBool,
) {
    while !ended.load(Ordering::Relaxed) {
        turn += 1;
        let (begun, mut retries) = (Instant::now(), 0);
        let answered = tokio::time::timeout(PATIENCE, async {
            loop {
                match call(&client, class, turn).await {
                    Err(status) if status.code() == Code::Unavailable => {
                        retries += 1;
                        tokio::time::sleep(pause(&status)).await;
                    }
                    answered => return answered,
                }
            }
        })
        .await;
        let failure = match answered {
            Ok(Ok(())) => None,
            Ok(Err(status)) => Some(status.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        if let Some(phase) = phases.lock().unwrap().last_mut() {
            phase.latencies.push(begun.elapsed());
            phase.retries += retries;
            phase.failures.extend(failure);
        }
        called.notify_waiters();
        tokio::time::sleep(REST).await;
    }
}

/// Returns the time to wait before a retry.
fn pause(status: &Status) -> Duration {
    let details = homeroom_tests::details(status);
    let told = details.retry_info().and_then(|info| info.retry_delay);
    told.unwrap_or(PAUSE)
}

/// Makes one call: to membership, or to invitations, which calls membership.
async fn call(client: &Clients, class: &str, turn: usize) -> Result<(), Status> {
    let (method, name) = if turn.is_multiple_of(2) {
        ("ClassService.GetClass", class.to_owned())
    } else {
        (
            "ClassCodeService.GetClassCode",
            format!("{class}/classCode"),
        )
    };
    client.call(method, &json!({"name": name})).await.map(drop)
}

/// Returns the latency at this percentile.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a count, rounded up"
)]
fn milliseconds(sorted: &[Duration], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
}
