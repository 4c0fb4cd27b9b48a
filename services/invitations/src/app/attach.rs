//! Attempts that met a living redemption of their person take its answer for their own (P2).
//!
//! Their request ids are noted before they are answered and name it for good (P9): never earlier,
//! since what was met may turn out to be over, and one id would be told two answers.

use std::collections::HashMap;

use futures::FutureExt as _;
use homeroom_kit::{Result, request_ids::RequestKey};
use uuid::Uuid;

use super::{
    App,
    each::together_or_each,
    redemption_writes::{TRANSACTION_TRIES, many_at_once},
    replay::Resolved,
    reserve::{answers, by_id},
};
use crate::store::{self, KnownRequest, RedemptionRequest};

/// A request id, and the redemption that was met.
pub(super) type Met = (RedemptionRequest, Uuid);

impl App {
    /// Notes each request id, and gives what it names from now on: what was met, or what another
    /// attempt with the same id was told meanwhile.
    pub(super) async fn attach(&self, met: &[Met]) -> Vec<Result<Resolved>> {
        if met.is_empty() {
            return Vec::new();
        }
        together_or_each(met, |met| self.attach_together(met).boxed()).await
    }

    /// Begun again where another transaction noted one of the ids first.
    async fn attach_together(&self, met: &[Met]) -> Result<Vec<Resolved>> {
        for _ in 0..TRANSACTION_TRIES {
            match self.attach_once(met).await {
                Err(store::Error::Conflict(_)) => {}
                other => return Ok(other?),
            }
        }
        Err(many_at_once())
    }

    async fn attach_once(&self, met: &[Met]) -> store::Result<Vec<Resolved>> {
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let requests: Vec<&RedemptionRequest> = met.iter().map(|(request, _)| request).collect();
        let known = repository.find_redemption_requests(&requests, now).await?;
        let named = known.iter().filter_map(|known| match known {
            Some(KnownRequest::Answered(id)) => Some(*id),
            _ => None,
        });
        let ids: Vec<Uuid> = named.chain(met.iter().map(|(_, id)| *id)).collect();
        let redemptions = by_id(repository.get_redemptions(&ids).await?);

        let mut resolved = Vec::with_capacity(met.len());
        let mut begun: HashMap<&RequestKey, (&RedemptionRequest, Uuid)> = HashMap::new();
        for ((request, id), known) in met.iter().zip(known) {
            let named = match known {
                Some(KnownRequest::Conflict) => None,
                Some(KnownRequest::Answered(named))
                    if redemptions.get(&named).is_some_and(answers) =>
                {
                    Some(named)
                }
                // An id that comes twice in one batch, as when a client hedges, is one request.
                _ => {
                    let (first, named) = *begun.entry(&request.key).or_insert((request, *id));
                    (first.body == request.body).then_some(named)
                }
            };
            resolved.push(match named {
                None => Resolved::Conflict,
                Some(named) => redemptions.get(&named).map_or(Resolved::Nothing, |found| {
                    Resolved::Answered(Box::new(found.clone()))
                }),
            });
        }
        let noted: Vec<(&RedemptionRequest, Uuid)> = begun.into_values().collect();
        let written = repository.insert_redemption_requests(&noted, now).await?;
        if written < noted.len() as u64 {
            repository.rollback().await;
            return Err(store::Error::conflict("another attempt was there first"));
        }
        repository.commit("attach").await?;
        Ok(resolved)
    }
}
