//! The transactions of T1 and T3, each begun again where it met another one.

use std::sync::Arc;

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Error, Result};

use super::{
    App,
    reserve::{Reserved, Wanted, reserve},
    settle::{Settlement, settle},
};
use crate::store;

/// How often a transaction that met another one is begun, at most.
const TRANSACTION_TRIES: usize = 4;

impl App {
    /// T1, begun again where it met another transaction.
    pub(super) async fn reserve(&self, wanted: &[Wanted]) -> Result<Vec<Reserved>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..TRANSACTION_TRIES {
            let attempt = async {
                let mut repository = self.store.write().await?;
                let now = self.clock.now();
                let reserved =
                    reserve(repository.as_mut(), wanted, now, self.random.as_ref()).await;
                match reserved {
                    Ok(reserved) => {
                        repository.commit().await?;
                        Ok(reserved)
                    }
                    Err(error) => {
                        repository.rollback().await?;
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
        Err(Error::unavailable(
            ErrorReason::DatabaseUnavailable,
            "Many are writing at once; retry after the delay given.",
        ))
    }

    /// T3, in a task that shutdown waits for. What fails is recovery's.
    pub(super) fn settle_later(self: &Arc<Self>, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let app = Arc::clone(self);
        self.writes.spawn(async move {
            if let Err(error) = app.settle_now(&settlements).await {
                tracing::warn!(%error, "redemptions stay reserved until recovery settles them");
            }
        });
    }

    /// T3, begun again where it met another transaction.
    pub(super) async fn settle_now(&self, settlements: &[Settlement]) -> Result<()> {
        if settlements.is_empty() {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = async {
                let mut repository = self.store.write().await?;
                let now = self.clock.now();
                settle(repository.as_mut(), settlements, now, self.random.as_ref()).await?;
                repository.commit().await
            };
            match attempt.await {
                Err(store::Error::Conflict(_)) if tries < TRANSACTION_TRIES => {}
                other => return Ok(other?),
            }
        }
    }
}
