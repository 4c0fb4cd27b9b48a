//! The transactions of T1 and T3, each begun again where it met another one.

use std::{collections::HashMap, sync::Arc};

use futures::FutureExt as _;
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    Error, Result,
    failpoints::{self, Moment, WrongVariant, is_wrong},
};
use uuid::Uuid;

use super::{
    App,
    each::together_or_each,
    reserve::{Reserved, Wanted, reserve},
    settle::{Settlement, settle},
};
use crate::{
    SERVICE,
    store::{self, InvitationRow},
};

/// How often a transaction that met another one is begun, at most.
pub(super) const TRANSACTION_TRIES: usize = 4;

impl App {
    /// T1, all in one transaction; a poisoned one fails alone.
    pub(super) async fn reserve(&self, wanted: &[Wanted]) -> Vec<Result<Reserved>> {
        if wanted.is_empty() {
            return Vec::new();
        }
        together_or_each(wanted, |wanted| self.reserve_together(wanted).boxed()).await
    }

    /// Begun again where it met another transaction.
    async fn reserve_together(&self, wanted: &[Wanted]) -> Result<Vec<Reserved>> {
        for _ in 0..TRANSACTION_TRIES {
            let attempt = async {
                let seen = self.look_before_locking(wanted).await?;
                let mut repository = self.store.write().await?;
                let now = self.clock.now();
                let reserved =
                    reserve(repository.as_mut(), wanted, seen, now, self.random.as_ref()).await;
                match reserved {
                    Ok(reserved) => {
                        repository.commit("reserve").await?;
                        Ok(reserved)
                    }
                    Err(error) => {
                        repository.rollback().await;
                        Err(error)
                    }
                }
            };
            match attempt.await {
                Err(store::Error::Conflict(cause)) => {
                    tracing::debug!(%cause, "a reservation met another one and begins again");
                }
                other => return Ok(other?),
            }
        }
        Err(many_at_once())
    }

    /// Wrong on purpose, against P4: decides by the uses that stood before the locks were taken. None,
    /// unless a test asked for it.
    async fn look_before_locking(
        &self,
        wanted: &[Wanted],
    ) -> store::Result<Option<Vec<InvitationRow>>> {
        if !is_wrong(WrongVariant::CheckThenAct) {
            return Ok(None);
        }
        let ids: Vec<Uuid> = wanted.iter().map(|wanted| wanted.invitation_id).collect();
        let seen = self.store.read().await?.get_invitations(&ids).await?;
        failpoints::reached(SERVICE, "reserve", Moment::Looked).await?;
        Ok(Some(seen))
    }

    /// T3, in a task that shutdown waits for. What fails is recovery's.
    pub(super) fn settle_later(self: &Arc<Self>, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let app = Arc::clone(self);
        self.writes.spawn(async move {
            for error in app.settle_now(&settlements).await.values() {
                tracing::warn!(%error, "a redemption stays reserved until recovery settles it");
            }
        });
    }

    /// T3, all in one transaction; a poisoned one fails alone. Gives those that failed.
    pub(super) async fn settle_now(&self, settlements: &[Settlement]) -> HashMap<Uuid, Error> {
        if settlements.is_empty() {
            return HashMap::new();
        }
        let settled = together_or_each(settlements, |settlements| {
            self.settle_together(settlements).boxed()
        })
        .await;
        settlements
            .iter()
            .zip(settled)
            .filter_map(|(settlement, settled)| Some((settlement.redemption.id, settled.err()?)))
            .collect()
    }

    /// Begun again where it met another transaction.
    async fn settle_together(&self, settlements: &[Settlement]) -> Result<Vec<()>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = async {
                failpoints::reached(SERVICE, "settle", Moment::BeforeBegin).await?;
                let mut repository = self.store.write().await?;
                let now = self.clock.now();
                settle(repository.as_mut(), settlements, now, self.random.as_ref()).await?;
                repository.commit("settle").await
            };
            match attempt.await {
                Err(store::Error::Conflict(_)) if tries < TRANSACTION_TRIES => {}
                other => {
                    other?;
                    return Ok(vec![(); settlements.len()]);
                }
            }
        }
    }
}

/// A transaction met another one each time it was begun.
pub(super) fn many_at_once() -> Error {
    Error::unavailable(
        ErrorReason::DatabaseUnavailable,
        "Many are writing at once; retry after the delay given.",
    )
}
