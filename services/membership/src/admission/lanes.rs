//! The queues of redemptions: one lane for each organization, and a bounded number of transactions that serve them.
//!
//! A transaction takes what waits in every lane that no other transaction serves, so batches form by themselves: what
//! arrives while one transaction commits shares the next one. It never waits for a lock: an organization that another
//! transaction has locked is left out and retried by a patient transaction that waits for it alone. So a busy
//! organization delays no other.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId};
use homeroom_kit::{
    Error, Result,
    batching::record_batch,
    failpoints::{WrongVariant, is_wrong},
    trace::{self, Context},
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    admit::{AdmitRequest, Admitted, organizations},
    plan::Admission,
};
use crate::{app::App, domain::admission::ADMISSIONS_MAX};

/// The name of the batches, in metrics and traces.
const ADMIT: &str = "admit";
/// Maximum number of concurrent transactions that do not wait for locks.
const TRANSACTIONS_MAX: usize = 4;
/// Maximum number of concurrent transactions that wait for their organization: these, with their connections, are all
/// that busy organizations take from others.
const PATIENT_TRANSACTIONS_MAX: usize = 4;
/// Maximum number of redemptions in all lanes; further ones are refused with `OVERLOADED`.
pub const WAITING_MAX: usize = 10_000;

/// The longest time that redemptions of a busy organization may delay the answer to those of another in one call, in
/// milliseconds; after it their outcome is answered as unknown. A call never waits longer than half of its deadline.
pub const BUSY_WAIT_MILLIS_MAX: u64 = 1_000;

/// The time that the rows of one call together wait for busy organizations.
struct Patience {
    lasts: Duration,
    until: Instant,
}

impl Patience {
    fn from_now(lasts: Duration) -> Self {
        Self {
            lasts,
            until: Instant::now() + lasts,
        }
    }
}

type Answer = oneshot::Receiver<Result<Admission>>;

struct Waiting {
    request: AdmitRequest,
    answer: oneshot::Sender<Result<Admission>>,
    caller: Context,
}

/// The redemptions of one organization. A lane exists while redemptions wait in it or are under way.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    /// True from when a transaction found the organization locked by another until a transaction has served the lane.
    busy: bool,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<OrganizationId, Lane>,
    /// Lanes that wait for a transaction, in the order in which they began to wait.
    ready: VecDeque<OrganizationId>,
    waiting: usize,
    transactions: usize,
}

impl State {
    /// Moves the longest-waiting redemptions of the lane into the batch, up to its size limit.
    fn take_from(&mut self, organization: &OrganizationId, batch: &mut Vec<Waiting>) {
        if let Some(lane) = self.lanes.get_mut(organization) {
            let count = lane.waiting.len().min(ADMISSIONS_MAX - batch.len());
            batch.extend(lane.waiting.drain(..count));
            self.waiting -= count;
        }
    }

    /// Takes the next transaction's batch: whole lanes, except perhaps the last one.
    fn take(&mut self) -> Vec<Waiting> {
        let mut batch = Vec::new();
        while batch.len() < ADMISSIONS_MAX
            && let Some(organization) = self.ready.pop_front()
        {
            self.take_from(&organization, &mut batch);
        }
        batch
    }

    /// Puts redemptions back at the front of their lane.
    fn put_back(&mut self, organization: &OrganizationId, batch: Vec<Waiting>) {
        self.waiting += batch.len();
        let lane = self.lanes.entry(organization.clone()).or_default();
        lane.busy = true;
        for waiting in batch.into_iter().rev() {
            lane.waiting.push_front(waiting);
        }
    }

    /// Ends the service of a lane: it waits for the next transaction, or is removed if it is empty.
    fn release(&mut self, organization: OrganizationId) {
        let Some(lane) = self.lanes.get_mut(&organization) else {
            return;
        };
        lane.busy = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(&organization);
        } else {
            self.ready.push_back(organization);
        }
    }
}

/// The entry point for redemptions to admit. Clones share the lanes.
#[derive(Clone)]
pub struct Lanes {
    app: App,
    state: Arc<Mutex<State>>,
    patient_transactions: Arc<Semaphore>,
}

impl Lanes {
    /// Creates the queue, with no lanes yet.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            app,
            state: Arc::default(),
            patient_transactions: Arc::new(Semaphore::new(PATIENT_TRANSACTIONS_MAX)),
        }
    }

    /// Has each redemption admitted by some transaction, and returns the answers in the order of the requests; those of
    /// one organization are decided in that order too. Fails with `OVERLOADED` if too many are waiting already. Must be
    /// called inside a runtime.
    ///
    /// If the call covers several organizations, a row whose organization stays busy is answered
    /// `DATABASE_UNAVAILABLE`: its outcome is unknown, and a repetition returns it (P11). `left` is the time that the
    /// caller still waits.
    pub async fn submit(
        &self,
        requests: Vec<AdmitRequest>,
        left: Option<Duration>,
    ) -> Result<Admitted> {
        // Wrong on purpose, against P6: each call runs its own transaction, so that transactions of one organization
        // meet.
        if is_wrong(WrongVariant::CheckThenAct) {
            return Ok(self.app.admit_in_organization(requests).await);
        }
        let mut patience = patience(organizations(&requests).len(), left).map(Patience::from_now);
        let mut admitted = Vec::with_capacity(requests.len());
        for (organization, answer) in self.enter(requests)? {
            admitted.push(self.wait(&organization, answer, patience.as_mut()).await);
        }
        Ok(admitted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends redemptions to their organizations' lanes.
    fn enter(&self, requests: Vec<AdmitRequest>) -> Result<Vec<(OrganizationId, Answer)>> {
        let mut state = self.state();
        if state.waiting + requests.len() > WAITING_MAX {
            return Err(Error::overloaded());
        }
        state.waiting += requests.len();
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let organization = request.place.organization().clone();
            let (answer, wait) = oneshot::channel();
            if !state.lanes.contains_key(&organization) {
                state.ready.push_back(organization.clone());
            }
            let lane = state.lanes.entry(organization.clone()).or_default();
            lane.waiting.push_back(Waiting {
                request,
                answer,
                caller: trace::current(),
            });
            answers.push((organization, wait));
        }
        self.serve(&mut state);
        Ok(answers)
    }

    /// Starts a task that serves the lanes, if a lane waits and the maximum is not reached.
    fn serve(&self, state: &mut State) {
        if state.ready.is_empty() || state.transactions >= TRANSACTIONS_MAX {
            return;
        }
        state.transactions += 1;
        let lanes = self.clone();
        tokio::spawn(async move {
            while let Some(batch) = lanes.next() {
                lanes.admit_where_free(batch).await;
            }
        });
    }

    fn next(&self) -> Option<Vec<Waiting>> {
        let mut state = self.state();
        let batch = state.take();
        if batch.is_empty() {
            state.transactions -= 1;
            return None;
        }
        // Lanes that did not fit into this batch go into another.
        self.serve(&mut state);
        Some(batch)
    }

    async fn admit_where_free(&self, batch: Vec<Waiting>) {
        let (requests, answers) = parts(batch);
        let served = organizations(&requests);
        let app = self.app.clone();
        let callers = answers.iter().map(|(_, caller)| caller.clone()).collect();
        let admitting = async move { app.admit_where_free(requests).await };
        // Runs in its own task, so that a panic fails only these redemptions.
        let admitting = tokio::spawn(trace::batch(ADMIT, callers, admitting));
        let mut busy: BTreeMap<OrganizationId, Vec<Waiting>> = BTreeMap::new();
        for ((answer, caller), (request, admitted)) in
            answers.into_iter().zip(admitting.await.unwrap_or_default())
        {
            if let Some(admitted) = admitted {
                // A caller that has gone needs no answer.
                let _ = answer.send(admitted);
            } else {
                let organization = request.place.organization().clone();
                let lane = busy.entry(organization).or_default();
                lane.push(Waiting {
                    request,
                    answer,
                    caller,
                });
            }
        }
        let mut state = self.state();
        for organization in served {
            match busy.remove(&organization) {
                None => state.release(organization),
                Some(batch) => {
                    state.put_back(&organization, batch);
                    let lanes = self.clone();
                    tokio::spawn(async move { lanes.admit_patiently(organization).await });
                }
            }
        }
    }

    /// Serves one lane with a transaction that waits for the lock of its organization.
    async fn admit_patiently(&self, organization: OrganizationId) {
        let permit = self.patient_transactions.acquire().await;
        let mut batch = Vec::new();
        // Redemptions that arrived while this one waited for its permit go into the same batch.
        self.state().take_from(&organization, &mut batch);
        let (requests, answers) = parts(batch);
        let app = self.app.clone();
        let callers = answers.iter().map(|(_, caller)| caller.clone()).collect();
        let admitting = async move { app.admit_in_organization(requests).await };
        let admitting = tokio::spawn(trace::batch(ADMIT, callers, admitting));
        let admitted = admitting.await.unwrap_or_default();
        drop(permit);
        for ((answer, _), admitted) in answers.into_iter().zip(admitted) {
            let _ = answer.send(admitted);
        }
        let mut state = self.state();
        state.release(organization);
        self.serve(&mut state);
    }

    /// Waits for an answer. When the patience runs out, gives up if the organization is busy, and otherwise waits on.
    async fn wait(
        &self,
        organization: &OrganizationId,
        mut answer: Answer,
        patience: Option<&mut Patience>,
    ) -> Result<Admission> {
        let answered = match patience {
            None => answer.await,
            Some(patience) => loop {
                match timeout_at(patience.until, &mut answer).await {
                    Ok(answered) => break answered,
                    Err(_) if self.is_busy(organization) => return Err(busy()),
                    Err(_) => *patience = Patience::from_now(patience.lasts),
                }
            },
        };
        answered.unwrap_or_else(|_| Err(Error::internal("an admission ended without an answer")))
    }

    fn is_busy(&self, organization: &OrganizationId) -> bool {
        let state = self.state();
        state.lanes.get(organization).is_some_and(|lane| lane.busy)
    }
}

type Requests = Vec<AdmitRequest>;
type Answers = Vec<(oneshot::Sender<Result<Admission>>, Context)>;

/// Returns the requests of a batch, and where each is answered.
fn parts(batch: Vec<Waiting>) -> (Requests, Answers) {
    record_batch(ADMIT, batch.len());
    let parts = batch.into_iter();
    parts
        .map(|row| (row.request, (row.answer, row.caller)))
        .unzip()
}

/// Returns how long to wait for busy organizations; None if the call is for one organization only.
fn patience(organizations: usize, left: Option<Duration>) -> Option<Duration> {
    let longest = Duration::from_millis(BUSY_WAIT_MILLIS_MAX);
    (organizations > 1).then(|| left.map_or(longest, |left| longest.min(left / 2)))
}

fn busy() -> Error {
    Error::unavailable(
        ErrorReason::DatabaseUnavailable,
        "The organization is busy; repeat the redemption after the given delay.",
    )
}

impl fmt::Debug for Lanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lanes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_only_a_call_for_several_organizations_stops_waiting_for_a_busy_one() {
        let millis = Duration::from_millis;
        assert_eq!(patience(1, Some(millis(10))), None);
        assert_eq!(patience(2, None), Some(millis(BUSY_WAIT_MILLIS_MAX)));
        assert_eq!(
            patience(2, Some(millis(10_000))),
            Some(millis(BUSY_WAIT_MILLIS_MAX))
        );
        assert_eq!(patience(2, Some(millis(300))), Some(millis(150)));
    }
}
