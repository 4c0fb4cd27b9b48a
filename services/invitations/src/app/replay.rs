//! Request ids that have an answer already (P9), and how it is given again.

use futures::FutureExt as _;
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result};
use uuid::Uuid;

use super::{
    App,
    each::together_or_each,
    journey::Journey,
    redeemed::Redeemed,
    refusal::{not_known_yet, refusal},
    reserve::{answers, by_id},
};
use crate::{
    domain::redemption::{Outcome, RedemptionState},
    store::{KnownRequest, Redemption, RedemptionRequest},
};

/// Settled redemptions that are read again from membership at once.
const READS_AT_ONCE: usize = 16;

/// What a request id stands for.
pub(super) enum Resolved {
    /// Nothing yet, or a redemption whose epoch was stale.
    Nothing,
    /// Another body.
    Conflict,
    /// This redemption answers it.
    Answered(Box<Redemption>),
}

impl App {
    /// P9: before limiter, look-up and windows. One that names a redemption whose epoch was stale
    /// has no answer yet and goes on as if it were new.
    pub(super) async fn resolve_requests(&self, journeys: &mut [Journey]) {
        let requests: Vec<RedemptionRequest> = journeys
            .iter()
            .filter_map(|journey| journey.attempt.request.clone())
            .collect();
        if requests.is_empty() {
            return;
        }
        let resolved = together_or_each(&requests, |requests| self.resolve(requests).boxed()).await;
        let with_request = journeys
            .iter_mut()
            .filter(|journey| journey.attempt.request.is_some());
        for (journey, resolved) in with_request.zip(resolved) {
            match resolved {
                Ok(Resolved::Nothing) => {}
                Ok(Resolved::Conflict) => journey.answer = Some(Err(request_id_conflict())),
                Ok(Resolved::Answered(redemption)) => journey.replay = Some(*redemption),
                Err(error) => journey.answer = Some(Err(error)),
            }
        }
    }

    async fn resolve(&self, requests: &[RedemptionRequest]) -> Result<Vec<Resolved>> {
        let mut repository = self.store.read().await?;
        let requests: Vec<&RedemptionRequest> = requests.iter().collect();
        let known = repository
            .find_redemption_requests(&requests, self.clock.now())
            .await?;
        let ids: Vec<Uuid> = known
            .iter()
            .filter_map(|known| match known {
                Some(KnownRequest::Answered(id)) => Some(*id),
                _ => None,
            })
            .collect();
        let redemptions = by_id(repository.get_redemptions(&ids).await?);
        Ok(known
            .into_iter()
            .map(|known| match known {
                None => Resolved::Nothing,
                Some(KnownRequest::Conflict) => Resolved::Conflict,
                Some(KnownRequest::Answered(id)) => redemptions
                    .get(&id)
                    .filter(|found| answers(found))
                    .map_or(Resolved::Nothing, |found| {
                        Resolved::Answered(Box::new(found.clone()))
                    }),
            })
            .collect())
    }

    /// The first outcome again, with its resources as membership has them now (P9, P10).
    pub(super) async fn answer_settled(&self, journeys: &mut [Journey]) {
        use futures::StreamExt as _;

        let settled = journeys.iter_mut().filter(|journey| {
            journey.answer.is_none()
                && journey
                    .replay
                    .as_ref()
                    .is_some_and(|replay| replay.state != RedemptionState::Reserved)
        });
        futures::stream::iter(settled)
            .for_each_concurrent(READS_AT_ONCE, |journey| async move {
                if let Some(redemption) = &journey.replay {
                    journey.answer = Some(self.first_answer(redemption).await);
                }
            })
            .await;
    }

    pub(super) async fn first_answer(&self, redemption: &Redemption) -> Result<Redeemed> {
        let outcome = redemption.outcome.ok_or_else(not_known_yet)?;
        if let Outcome::Refused(reason) = outcome {
            return Err(refusal(reason));
        }
        let admission = self
            .membership
            .get_admission(&redemption.name(), None)
            .await
            .map_err(|_| not_known_yet())?;
        Redeemed::of(redemption, outcome, admission)
    }
}

pub(super) fn request_id_conflict() -> Error {
    Error::new(
        ErrorReason::RequestIdConflict,
        "Choose another request_id: this one was used for a different request within 24 hours.",
    )
    .violation("request_id", "was used for a different request")
}
