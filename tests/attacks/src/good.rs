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

use homeroom_tests::{Clients, details, eventually};
use serde_json::json;
use tonic::{Code, Status};

/// The time that a caller waits for one answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause of a caller between two calls.
const REST: Duration = Duration::from_millis(5);
/// The time before a retry if the answer does not state one.
const PAUSE: Duration = Duration::from_millis(100);

/// The calls of one phase.
#[derive(Debug, Default)]
struct Phase {
    name: String,
    calls: usize,
    retries: u64,
    slowest: Duration,
    failures: Vec<String>,
}

/// Callers that keep calling until they are told to end, on their own thread. When the service is
/// busy they retry as it says; the retries count as one call, whose latency is the whole wait.
pub struct Good {
    phases: Arc<Mutex<Vec<Phase>>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Good {
    /// Starts callers with this access token, which call both services about one class in turn.
    #[must_use]
    pub fn start(callers: usize, addresses: [SocketAddr; 2], token: &str, class: &str) -> Self {
        let (phases, ended) = <(Arc<Mutex<Vec<Phase>>>, Arc<AtomicBool>)>::default();
        let (noted, over) = (Arc::clone(&phases), Arc::clone(&ended));
        let (token, class) = (token.to_owned(), class.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let calling = async move {
            let [membership, invitations] = addresses;
            let callers = (0..callers).map(|turn| {
                let client = Clients::connect(membership, invitations, &token);
                go_on(client, &class, turn, &noted, &over)
            });
            futures::future::join_all(callers).await;
        };
        let good = Self {
            phases,
            ended,
            thread: std::thread::spawn(move || runtime.block_on(calling)),
        };
        good.begin("before");
        good
    }

    /// Waits until this phase has this many calls, answered or failed.
    pub async fn calls(&self, count: usize) {
        let called = async || {
            let phases = self.phases.lock().unwrap();
            phases.last().is_some_and(|last| last.calls >= count)
        };
        eventually(&format!("{count} calls"), called).await;
    }

    /// Begins a phase, to which all further calls belong.
    pub fn begin(&self, name: &str) {
        self.phases.lock().unwrap().push(Phase {
            name: name.to_owned(),
            ..Phase::default()
        });
    }

    /// Ends the callers; returns a table and every failure.
    #[must_use]
    pub fn end(self) -> (String, Vec<String>) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let mut table = String::new();
        let mut all = Vec::new();
        for phase in self.phases.lock().unwrap().drain(..) {
            let Phase {
                name,
                calls,
                retries,
                slowest,
                failures,
            } = phase;
            let failed = failures.len();
            writeln!(
                table,
                "beside {name}: {calls} good calls, {failed} failed, {retries} retries, slowest {slowest:.1?}"
            )
            .unwrap();
            all.extend(failures.iter().map(|one| format!("{name}: {one}")));
        }
        (table, all)
    }
}

/// Keeps calling until the end.
async fn go_on(
    client: Clients,
    class: &str,
    mut turn: usize,
    phases: &Mutex<Vec<Phase>>,
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
                        let told = details(&status).retry_info().cloned();
                        let pause = told.and_then(|info| info.retry_delay);
                        tokio::time::sleep(pause.unwrap_or(PAUSE)).await;
                    }
                    answered => return answered,
                }
            }
        });
        let failure = match answered.await {
            Ok(answered) => answered.err().map(|status| status.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        if let Some(phase) = phases.lock().unwrap().last_mut() {
            phase.calls += 1;
            phase.retries += retries;
            phase.slowest = phase.slowest.max(begun.elapsed());
            phase.failures.extend(failure);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Makes one call: to membership, or to invitations, which calls membership.
async fn call(client: &Clients, class: &str, turn: usize) -> Result<(), Status> {
    let (method, name) = if turn.is_multiple_of(2) {
        ("ClassService.GetClass", class.to_owned())
    } else {
        let name = format!("{class}/classCode");
        ("ClassCodeService.GetClassCode", name)
    };
    client.call(method, &json!({"name": name})).await.map(drop)
}
