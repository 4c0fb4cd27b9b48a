//! The ledger of redemptions. Each method of [`Ledger`] is one transaction, or one read.

mod reserve;
mod settle;

use std::{collections::HashMap, future::Future, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    Error, Result, SharedClock, SharedRandomness,
    failpoints::{self, Moment, WrongVariant, is_wrong},
    request_ids::RequestKey,
};
use uuid::Uuid;

pub use crate::store::{
    Person, Redemption, RedemptionFilter, RedemptionRequest, Resolved, Route, StateChange, UseKey,
    UsesChange,
};
pub use reserve::{LEASE_SECONDS, MatchedInvitation, ReserveRequest, Reserved};
pub(super) use reserve::{next_step, reservation};
pub(super) use settle::settle;
pub use settle::{MembershipReply, SWEEP_AFTER_MINUTES, Settlement};

use crate::{
    SERVICE,
    domain::redemption::RedemptionState,
    store::{self, InvitationRow, Store},
};

/// The maximum number of times that a transaction which conflicts with another one is begun.
const TRANSACTION_TRIES: usize = 4;

/// The moment at which the state was read on which a transaction bases its decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redemption) enum ReadAt {
    /// Before the locks were held: the state is nearly always right, and a read is saved. The transaction is begun
    /// again if the state has changed.
    BeforeLocks,
    /// Once the locks are held.
    UnderLocks,
}

/// A request id, and the redemption that its attempt met.
pub type AttachRequest = (RedemptionRequest, Uuid);

/// The redemptions of a database.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The database.
    pub store: Arc<Store>,
    /// The clock.
    pub clock: SharedClock,
    /// The source of randomness, for ids.
    pub random: SharedRandomness,
}

impl Ledger {
    /// Returns the meaning of each request id (P9).
    pub async fn resolve(&self, requests: &[&RedemptionRequest]) -> Result<Vec<Resolved>> {
        let mut repository = self.store.read().await?;
        let now = self.clock.now();
        let (resolved, _) = repository.standing(requests, &[], now).await?;
        repository.release();
        Ok(resolved)
    }

    /// T1: reserves for all of them in one transaction.
    pub async fn reserve(&self, wanted: &[ReserveRequest<'_>]) -> Result<Vec<Reserved>> {
        again("reserve", |read_at| async move {
            let read_at = match wanted {
                [alone] if alone.gets_in(self.clock.now()) => read_at,
                // Among many there is often one that is not new.
                _ => ReadAt::UnderLocks,
            };
            let seen = self.look_before_locking(wanted).await?;
            let mut repository = self.store.write().await?;
            // The time is read once the transaction may write: waiting must not shorten a lease.
            let now = self.clock.now();
            let random = self.random.as_ref();
            let reserved =
                reserve::reserve(&mut repository, wanted, read_at, seen, now, random).await;
            store::end(repository, "reserve", reserved).await
        })
        .await
    }

    /// Deliberately wrong, against P4: reads the invitations before the locks are taken, to decide by their uses.
    /// Returns None unless a test asked for it.
    async fn look_before_locking(
        &self,
        wanted: &[ReserveRequest<'_>],
    ) -> store::Result<Option<Vec<InvitationRow>>> {
        if !is_wrong(WrongVariant::CheckThenAct) {
            return Ok(None);
        }
        let ids = reserve::ids_of(wanted);
        let seen = self.store.read().await?.get_invitations(&ids).await?;
        failpoints::reached(SERVICE, "reserve", Moment::Looked).await?;
        Ok(Some(seen))
    }

    /// Records the request ids of attempts that met a live redemption (P2). Returns the meaning of each id from now on:
    /// the redemption that was met, or the answer that another attempt with the same id has got meanwhile.
    pub async fn attach(&self, met: &[AttachRequest]) -> Result<Vec<Resolved>> {
        again("attach", |_| self.attach_once(met)).await
    }

    async fn attach_once(&self, met: &[AttachRequest]) -> store::Result<Vec<Resolved>> {
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let requests: Vec<&RedemptionRequest> = met.iter().map(|(request, _)| request).collect();
        let (mut resolved, _) = repository.standing(&requests, &[], now).await?;
        let ids: Vec<Uuid> = met.iter().map(|(_, id)| *id).collect();
        let redemptions = repository.get_redemptions(&ids).await?;
        let mut begun: HashMap<&RequestKey, (&RedemptionRequest, Uuid)> = HashMap::new();
        for ((request, id), slot) in met.iter().zip(&mut resolved) {
            if *slot == Resolved::Unknown {
                // An id that comes twice in one batch, as when a client hedges, is one request.
                let (first, named) = *begun.entry(&request.key).or_insert((request, *id));
                let named = redemptions.iter().find(|redemption| redemption.id == named);
                match named {
                    _ if first.body != request.body => *slot = Resolved::Conflict,
                    Some(named) => *slot = Resolved::Names(Box::new(named.clone())),
                    None => {}
                }
            }
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

    /// T3: moves the redemptions that still can move, in one transaction. Returns the ids of those that moved.
    pub async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<Uuid>> {
        again("settle", |read_at| async move {
            failpoints::reached(SERVICE, "settle", Moment::BeforeBegin).await?;
            let mut repository = self.store.write().await?;
            let now = self.clock.now();
            let random = self.random.as_ref();
            let moved = settle(&mut repository, settlements, read_at, now, random).await;
            store::end(repository, "settle", moved).await
        })
        .await
    }

    /// Takes redemptions of `state` that are due (P13), and leaves them to the caller for the time of `lease`. Returns
    /// them with the time at which they were taken.
    pub async fn due(
        &self,
        state: RedemptionState,
        lease: TimeDelta,
        limit: u32,
    ) -> Result<(Vec<Redemption>, DateTime<Utc>)> {
        // Nearly always nothing is due: then one read is all that it costs.
        let mut repository = self.store.read().await?;
        let now = self.clock.now();
        let any = repository.is_any_due(state, now).await?;
        repository.release();
        if !any {
            return Ok((Vec::new(), now));
        }
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let due = repository.take_due(state, now, now + lease, limit).await?;
        match state {
            RedemptionState::Queued => repository.commit("take_queued").await?,
            _ => repository.commit("take_due").await?,
        }
        Ok((due, now))
    }

    /// Sets when live redemptions are tried next.
    pub async fn try_later(&self, times: &[(Uuid, DateTime<Utc>)]) -> Result<()> {
        if times.is_empty() {
            return Ok(());
        }
        let mut repository = self.store.write().await?;
        repository.set_next_tries(times).await?;
        Ok(repository.commit("set_next_tries").await?)
    }

    /// Makes all redemptions that recovery has tried before due now. Returns their number.
    pub async fn retry_now(&self) -> Result<u64> {
        let mut repository = self.store.write().await?;
        let hastened = repository.hasten_tries(self.clock.now()).await?;
        repository.commit("hasten").await?;
        Ok(hastened)
    }

    /// Returns the number of RESERVED redemptions that were tried at least `tries_min` times.
    pub async fn count_tried(&self, tries_min: u32) -> Result<u64> {
        Ok(self.store.read().await?.count_stuck(tries_min).await?)
    }

    /// Returns the redemption with this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Redemption>> {
        Ok(self.store.read().await?.get_redemptions(&[id]).await?.pop())
    }
}

/// Runs a transaction, and begins it again if it conflicts with another one.
async fn again<T, Work>(what: &str, work: impl Fn(ReadAt) -> Work) -> Result<T>
where
    Work: Future<Output = store::Result<T>>,
{
    let mut read_at = ReadAt::BeforeLocks;
    for _ in 0..TRANSACTION_TRIES {
        match work(read_at).await {
            Err(store::Error::Conflict(cause)) => {
                tracing::debug!(%cause, what, "a transaction met another one and begins again");
                read_at = ReadAt::UnderLocks;
            }
            other => return Ok(other?),
        }
    }
    Err(Error::unavailable(
        ErrorReason::DatabaseUnavailable,
        "Many are writing at once; retry after the delay given.",
    ))
}
