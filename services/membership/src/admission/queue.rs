//! How redemptions form transactions by themselves (05): those of free organizations all together, those
//! of a busy one in a lane of its own, so that it holds up no other.

use std::time::Duration;

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    Error, Result,
    batching::{self, Batcher},
    failpoints::{WrongVariant, is_wrong},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    admit::{AdmitRequest, Admitted, Tried, organizations},
    lanes::Lanes,
    plan::Admission,
};
use crate::{app::App, domain::admission::ADMISSIONS_MAX};

/// How redemptions are tried together: all that arrive while one transaction commits share the next one.
const BATCHING: batching::Limits = batching::Limits {
    batch_items_max: ADMISSIONS_MAX,
    queue_items_max: 10_000,
    batches_max: 8,
    prompt_batches_max: 2,
    slow_after_millis: 100,
};

/// How long redemptions of one organization may hold up the answer to those of another in one call, in
/// milliseconds; after it they are answered that they are not known yet. Half of a short deadline.
pub const BUSY_WAIT_MILLIS_MAX: u64 = 1_000;

/// Takes redemptions to admit. Clones share one queue.
#[derive(Debug, Clone)]
pub struct AdmissionQueue {
    together: Batcher<AdmitRequest, Tried>,
    lanes: Lanes,
}

enum Row {
    Answered(Box<Result<Admission>>),
    Waits(oneshot::Receiver<Result<Admission>>),
}

impl AdmissionQueue {
    /// Starts it. Call it inside a runtime.
    #[must_use]
    pub fn start(app: App) -> Self {
        let lanes = Lanes::new(app.clone());
        let together = Batcher::start(BATCHING, move |requests: Vec<AdmitRequest>| {
            let app = app.clone();
            async move {
                // One organization alone holds up no other: its lane does the same.
                if organizations(&requests).len() < 2 {
                    let not = |request| Tried::Not(Box::new(request));
                    return requests.into_iter().map(not).collect();
                }
                app.admit_where_free(requests).await
            }
        });
        Self { together, lanes }
    }

    /// Has each redemption admitted in some transaction, and answers in their order; within an
    /// organization they are decided in their order too. `OVERLOADED` when too many wait already.
    ///
    /// A row whose organization is busy for long is answered `DATABASE_UNAVAILABLE`, if there are others
    /// beside it: its outcome is unknown, and a repetition learns it (03 P11). `left` is how long the
    /// caller waits.
    pub async fn submit(
        &self,
        requests: Vec<AdmitRequest>,
        left: Option<Duration>,
    ) -> Result<Admitted> {
        // Wrong on purpose, against P6: each call for itself, so that transactions of one organization meet.
        if is_wrong(WrongVariant::CheckThenAct) {
            return Ok(self.lanes.app.admit_in_organization(requests).await);
        }
        let organizations = organizations(&requests);
        let patience = patience(organizations.len(), left).map(|wait| Instant::now() + wait);
        let busy = self.lanes.open_among(&organizations);
        let count = requests.len();
        let mut rows: Vec<(usize, Row)> = Vec::with_capacity(count);
        let mut places = Vec::new();
        let mut to_try = Vec::new();
        for (index, request) in requests.into_iter().enumerate() {
            if busy.contains(request.place.organization()) {
                rows.push((index, Row::Waits(self.lanes.enter(request)?)));
            } else {
                places.push(index);
                to_try.push(request);
            }
        }
        let tried = self.together.submit(to_try).await?;
        for (index, tried) in places.into_iter().zip(tried) {
            let row = match tried {
                Tried::Answered(answer) => Row::Answered(answer),
                Tried::Not(request) => Row::Waits(self.lanes.enter(*request)?),
            };
            rows.push((index, row));
        }
        rows.sort_by_key(|(index, _)| *index);
        let mut answers = Vec::with_capacity(count);
        for (_, row) in rows {
            answers.push(match row {
                Row::Answered(answer) => *answer,
                Row::Waits(answer) => wait(answer, patience).await,
            });
        }
        Ok(answers)
    }
}

/// How long to wait for busy organizations; None where nobody else waits for the same answer.
fn patience(organizations: usize, left: Option<Duration>) -> Option<Duration> {
    let longest = Duration::from_millis(BUSY_WAIT_MILLIS_MAX);
    (organizations > 1).then(|| left.map_or(longest, |left| longest.min(left / 2)))
}

async fn wait(
    answer: oneshot::Receiver<Result<Admission>>,
    patience: Option<Instant>,
) -> Result<Admission> {
    let answered = match patience {
        None => answer.await,
        Some(until) => timeout_at(until, answer).await.map_err(|_| busy())?,
    };
    answered.unwrap_or_else(|_| Err(Error::internal("an admission ended without an answer")))
}

fn busy() -> Error {
    Error::unavailable(
        ErrorReason::DatabaseUnavailable,
        "The organization is busy; repeat the redemption after the given delay.",
    )
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
