//! One lane for each organization in which redemptions wait: at most one transaction of each at a time,
//! and a bounded number in all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId};
use homeroom_kit::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    admit::{AdmitRequest, Admitted, Tried},
    plan::Admission,
};
use crate::{app::App, domain::admission::ADMISSIONS_MAX};

/// Lanes that have a transaction under way at the same time which waits for nobody.
const TRANSACTIONS_MAX: usize = 8;
/// Lanes that wait for their organization at the same time: these, and the connections that they hold,
/// are all that busy organizations take from others.
const PATIENT_TRANSACTIONS_MAX: usize = 4;
/// Redemptions that wait in all lanes; further ones are refused with `OVERLOADED`.
const WAITING_MAX: usize = 10_000;

struct Waiting {
    request: AdmitRequest,
    answer: oneshot::Sender<Result<Admission>>,
}

#[derive(Default)]
struct Open {
    /// A lane is there as long as its task runs.
    lanes: BTreeMap<OrganizationId, VecDeque<Waiting>>,
    waiting: usize,
}

/// The lanes. Clones share them.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) app: App,
    open: Arc<Mutex<Open>>,
    transactions: Arc<Semaphore>,
    patient_transactions: Arc<Semaphore>,
}

impl Lanes {
    /// None open.
    pub(super) fn new(app: App) -> Self {
        Self {
            app,
            open: Arc::default(),
            transactions: Arc::new(Semaphore::new(TRANSACTIONS_MAX)),
            patient_transactions: Arc::new(Semaphore::new(PATIENT_TRANSACTIONS_MAX)),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of the organizations whose redemptions go through a lane at present.
    pub(super) fn open_among(
        &self,
        organizations: &BTreeSet<OrganizationId>,
    ) -> BTreeSet<OrganizationId> {
        let open = self.open();
        let has_lane = |id: &&OrganizationId| open.lanes.contains_key(*id);
        organizations.iter().filter(has_lane).cloned().collect()
    }

    /// Has a redemption wait in its organization's lane, after those that are there. Inside a runtime.
    pub(super) fn enter(
        &self,
        request: AdmitRequest,
    ) -> Result<oneshot::Receiver<Result<Admission>>> {
        let organization = request.place.organization().clone();
        let (answer, wait) = oneshot::channel();
        let mut open = self.open();
        if open.waiting >= WAITING_MAX {
            return Err(Error::unavailable(
                ErrorReason::Overloaded,
                "The service has more work than it can do at present; retry after the given delay.",
            ));
        }
        open.waiting += 1;
        let waiting = Waiting { request, answer };
        if let Some(lane) = open.lanes.get_mut(&organization) {
            lane.push_back(waiting);
            return Ok(wait);
        }
        open.lanes
            .insert(organization.clone(), VecDeque::from([waiting]));
        drop(open);
        let lanes = self.clone();
        tokio::spawn(async move { lanes.drain(organization).await });
        Ok(wait)
    }

    /// What waits longest in the lane; closes it where nothing does.
    fn next(&self, organization: &OrganizationId) -> Vec<Waiting> {
        let mut open = self.open();
        let lane = open.lanes.get_mut(organization);
        let next: Vec<Waiting> = lane.map_or_else(Vec::new, |lane| {
            let count = lane.len().min(ADMISSIONS_MAX);
            lane.drain(..count).collect()
        });
        open.waiting -= next.len();
        if next.is_empty() {
            open.lanes.remove(organization);
        }
        next
    }

    async fn drain(self, organization: OrganizationId) {
        loop {
            let Ok(turn) = Arc::clone(&self.transactions).acquire_owned().await else {
                return;
            };
            // Whatever arrived while it waited for its turn goes together.
            let next = self.next(&organization);
            if next.is_empty() {
                return;
            }
            let (requests, answers): (Vec<_>, Vec<_>) = next
                .into_iter()
                .map(|waiting| (waiting.request, waiting.answer))
                .unzip();
            let lanes = self.clone();
            // In a task of its own, so that a panic in it ends these and no others.
            let admitting = tokio::spawn(async move { lanes.admit(requests, turn).await });
            let admitted = admitting.await.unwrap_or_default();
            for (waiting, answer) in answers.into_iter().zip(admitted) {
                // Whoever has gone needs no answer.
                let _ = waiting.send(answer);
            }
        }
    }

    async fn admit(&self, requests: Vec<AdmitRequest>, turn: OwnedSemaphorePermit) -> Admitted {
        let mut answers = Vec::with_capacity(requests.len());
        let mut busy = Vec::new();
        for tried in self.app.admit_where_free(requests).await {
            match tried {
                Tried::Answered(answer) => answers.push(*answer),
                Tried::Not(request) => busy.push(*request),
            }
        }
        drop(turn);
        // Those of one organization are all answered, or none.
        if busy.is_empty() {
            return answers;
        }
        let _patience = self.patient_transactions.acquire().await;
        self.app.admit_in_organization(busy).await
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lanes").finish_non_exhaustive()
    }
}
