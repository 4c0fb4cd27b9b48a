//! `EraseUser` (R13): erases a person from both services, in steps that are finished once begun. `MoveUser` (R15) is the
//! same, except that the person's other account takes the place of the pseudonym and nothing is lost.
//!
//! 1. The erasure is recorded with its pseudonym. Redemptions of the person that membership has not
//!    answered are driven to their end: a use is given back only on its word (P1).
//! 2. Membership erases in one transaction, once for each pseudonym; it moves once for each id of a move.
//! 3. Its feed is followed past that point: a reader of an older page of it writes nothing any more.
//! 4. One transaction gives each redemption that membership now ascribes to a pseudonym to that
//!    pseudonym, and erases all other data.
//!
//! A redemption that membership answers after step 2 belongs to a new person under the same user id, and stays. So the
//! two services agree on the owner of each redemption, whatever happens in between.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{SYSTEM_ACTOR, UserId},
    names::UserName,
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    erasure::{Replacement, move_id, pseudonym},
    request_ids::Claimed,
    rpc::require_unbound,
};
use uuid::Uuid;

use super::{App, audit};
use crate::{
    domain::{audit_entry::AuditEntry, redemption::RedemptionState},
    redemption::{
        drive::end_of_run,
        follow::{FEED_PAGE_EVENTS, MEMBERSHIP_FEED},
        ledger::{LEASE_SECONDS, Redemption, Settlement},
        reply::not_known_yet,
    },
    store::{Erasure, ErasureState, PersonKnown, Repository, end},
};

/// The number of redemptions of a person that are read at once.
const REDEMPTIONS_READ: u32 = 200;
/// The number of concurrent questions to membership.
const QUESTIONS_AT_ONCE: usize = 8;
/// The number of feed pages that one call follows; if there are more, the caller must come again.
const FEED_PAGES_MAX: u32 = 200;
/// The number of erasures that one run of the worker takes up.
pub const ERASURES_BATCH: u32 = 20;

impl App {
    /// Erases the person, or makes their records those of another account, the target. If it cannot be finished now, it
    /// fails with `MEMBERSHIP_UNAVAILABLE` or `DATABASE_UNAVAILABLE`, and is finished later in any case.
    pub async fn replace_user(
        self: &Arc<Self>,
        caller: &Caller,
        (user, target): (UserId, Option<UserId>),
        request: Option<Claimed>,
    ) -> Result<()> {
        require_unbound(caller)?;
        let app = Arc::clone(self);
        let caller = caller.clone();
        self.writes
            .run(async move {
                match app
                    .begin_erasure(&caller, (user, target), request.as_ref())
                    .await?
                {
                    ErasureState::UnderWay(erasure) => app.finish_erasure(&erasure).await,
                    ErasureState::Done => Ok(()),
                }
            })
            .await
    }

    /// Finishes erasures that began some seconds ago and are not finished, as far as the time of a run reaches. Returns
    /// their number.
    pub async fn finish_erasures_once(&self) -> Result<u32> {
        let before = self.clock.now() - TimeDelta::seconds(LEASE_SECONDS);
        let under_way = self
            .store
            .read()
            .await?
            .list_erasures_under_way(before, ERASURES_BATCH)
            .await?;
        let (mut finished, until) = (0, end_of_run());
        for erasure in under_way {
            if Instant::now() >= until {
                break;
            }
            match self.finish_erasure(&erasure).await {
                Ok(()) => finished += 1,
                Err(error) => {
                    let id = &erasure.id;
                    tracing::warn!(%error, %id, "an erasure or a move stays under way");
                }
            }
        }
        Ok(finished)
    }

    /// Returns the erasure that the request is about: the one that it began before, the person's erasure under way, or
    /// a new one. `LAST_OWNER` begins none. The same holds for moves.
    async fn begin_erasure(
        &self,
        caller: &Caller,
        (user, target): (UserId, Option<UserId>),
        request: Option<&Claimed>,
    ) -> Result<ErasureState> {
        if let Some((key, body)) = request {
            let mut repository = self.store.read().await?;
            let claim = repository
                .request_ids()
                .find(key, body, self.clock.now())
                .await?;
            if let Some(stored) = claim.resolve()?
                && let Some(state) = begun_before(&mut repository, &stored).await?
            {
                return Ok(state);
            }
        }
        let known = if target.is_some() {
            Vec::new()
        } else {
            self.membership
                .look_at_person(&user, caller.deadline)
                .await?
        };
        let mut repository = self.store.write().await?;
        let now = self.clock.now();
        let begun = self
            .begin_in(&mut repository, caller, (user, target), known, request, now)
            .await;
        end(repository, "begin_erasure", begun).await
    }

    async fn begin_in(
        &self,
        repository: &mut Repository,
        caller: &Caller,
        (user, target): (UserId, Option<UserId>),
        known: Vec<PersonKnown>,
        request: Option<&Claimed>,
        now: DateTime<Utc>,
    ) -> Result<ErasureState> {
        if let Some((key, body)) = request {
            let claim = repository.request_ids().claim(key, body, now).await?;
            if let Some(stored) = claim.resolve()?
                && let Some(state) = begun_before(repository, &stored).await?
            {
                return Ok(state);
            }
        }
        let erasure = if let Some(erasure) = repository.find_erasure_of(&user).await? {
            erasure
        } else {
            let erasure = self
                .new_erasure(repository, caller, (user, target.clone()), known, now)
                .await?;
            if repository.insert_erasure(&erasure).await? {
                erasure
            } else {
                // Another call has begun one in the meantime.
                let begun = repository
                    .find_erasure_of(&erasure.replacement.user)
                    .await?;
                begun.ok_or_else(not_known_yet)?
            }
        };
        let wanted = target.as_ref().unwrap_or(&erasure.id);
        if erasure.replacement.by != *wanted {
            // The person is being erased, or moved to another account: that is finished first.
            return Err(not_known_yet());
        }
        // The entry says who asked for an erasure (R12), not of whom.
        let subject = UserName(erasure.replacement.by.clone()).to_string();
        let entry = AuditEntry {
            actor: erasure.actor.clone(),
            ..audit::entry(caller, subject, None, now, self.random.as_ref())
        };
        repository.append_audit_entries(&[entry]).await?;
        if let Some((key, _)) = request {
            let id = erasure.id.as_str();
            repository
                .request_ids()
                .complete(key, id.as_bytes())
                .await?;
        }
        Ok(ErasureState::UnderWay(Box::new(erasure)))
    }

    async fn new_erasure(
        &self,
        repository: &mut Repository,
        caller: &Caller,
        (user, target): (UserId, Option<UserId>),
        known: Vec<PersonKnown>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        let mut id = [0; 16];
        // The id is random, so that not even its time leads back to the person.
        self.random.fill(&mut id);
        let id = uuid::Builder::from_random_bytes(id).into_uuid();
        let (id, by, all) = if let Some(target) = target {
            (move_id(id)?, target, BTreeSet::new())
        } else {
            let mut all = repository.known_of_person(&user).await?;
            all.extend(known);
            (pseudonym(id)?, pseudonym(id)?, all)
        };
        let actor = if caller.user == user {
            by.to_string()
        } else {
            caller.user.to_string()
        };
        Ok(Erasure {
            id,
            replacement: Replacement { user, by },
            known: all.into_iter().collect(),
            actor,
            create_time: now,
        })
    }

    /// Runs every step of an erasure; steps that were done before change nothing.
    async fn finish_erasure(&self, erasure: &Erasure) -> Result<()> {
        let replacement = &erasure.replacement;
        self.settle_reserved_of(&replacement.user).await?;
        let erased = if erasure.is_move() {
            // A redemption of the other account that is in progress would meet one that waits (P2).
            self.settle_reserved_of(&replacement.by).await?;
            self.membership.move_user(replacement, &erasure.id).await
        } else {
            self.membership
                .erase_user(&replacement.user, &replacement.by)
                .await
        };
        match erased {
            Err(error) if error.reason() == ErrorReason::LastOwner => {
                let mut repository = self.store.write().await?;
                repository.delete_erasure(&erasure.id).await?;
                repository.commit("call_off_erasure").await?;
                return Err(error);
            }
            other => other?,
        }
        self.follow_to_the_end().await?;
        let redemptions = self.redemptions_of_others(&replacement.user).await?;
        self.erase_here(erasure, &redemptions).await
    }

    /// Returns the next page of the person's redemptions and moves `after` to its last; None at the end.
    async fn next_page(
        &self,
        user: &UserId,
        after: &mut Option<Uuid>,
    ) -> Result<Option<Vec<Redemption>>> {
        let mut repository = self.store.read().await?;
        let page = repository
            .redemptions_of_person(user, *after, REDEMPTIONS_READ)
            .await?;
        *after = page.last().map(|last| last.id);
        Ok(after.map(|_| page))
    }

    /// Settles all of these. Fails if one of them fails.
    async fn settle_all(&self, settlements: &[Settlement]) -> Result<()> {
        let failed = self.redemptions.settle_now(settlements).await;
        failed.into_values().next().map_or(Ok(()), Err)
    }

    /// Drives the person's redemptions that membership has not answered to their end.
    async fn settle_reserved_of(&self, user: &UserId) -> Result<()> {
        let mut after = None;
        while let Some(page) = self.next_page(user, &mut after).await? {
            let reserved: Vec<&Redemption> = page
                .iter()
                .filter(|redemption| redemption.state == RedemptionState::Reserved)
                .collect();
            let admissions = self.redemptions.admit(&reserved, false).await;
            let mut settlements = Vec::with_capacity(reserved.len());
            for redemption in reserved {
                let admission = admissions.get(&redemption.id).ok_or_else(not_known_yet)?;
                settlements.push(Settlement::of(redemption, admission, SYSTEM_ACTOR));
            }
            self.settle_all(&settlements).await?;
        }
        Ok(())
    }

    /// Follows membership's feed to its current end: a process that still holds an older page finds that the position
    /// has moved, and writes nothing of that page.
    async fn follow_to_the_end(&self) -> Result<()> {
        for _ in 0..FEED_PAGES_MAX {
            let before = self.feed_position().await?;
            let events = self.redemptions.follow_once().await?.events;
            let stands = events > 0 || self.feed_position().await? == before;
            if stands && events < FEED_PAGE_EVENTS as usize {
                return Ok(());
            }
        }
        Err(not_known_yet())
    }

    async fn feed_position(&self) -> Result<Option<String>> {
        let mut repository = self.store.read().await?;
        Ok(repository.get_feed_position(MEMBERSHIP_FEED).await?)
    }

    /// Returns the person's redemptions that membership ascribes to another id, each settled, with that id.
    async fn redemptions_of_others(&self, user: &UserId) -> Result<Vec<(Redemption, UserId)>> {
        let mut found = Vec::new();
        let mut after = None;
        while let Some(page) = self.next_page(user, &mut after).await? {
            let membership = &self.membership;
            let answered: Vec<_> = futures::stream::iter(page)
                .map(|redemption| async move {
                    let name = redemption.name();
                    let admission = membership.get_admission(&name, None).await?;
                    Ok::<_, Error>((redemption, admission))
                })
                .buffer_unordered(QUESTIONS_AT_ONCE)
                .try_collect()
                .await?;
            let mut settlements = Vec::new();
            for (redemption, admission) in answered {
                let Some(admission) = admission else {
                    continue;
                };
                let Some(ascribed) = admission.user.clone().filter(|ascribed| ascribed != user)
                else {
                    continue;
                };
                if !redemption.state.is_final() {
                    settlements.push(Settlement::of(&redemption, &admission, SYSTEM_ACTOR));
                }
                found.push((redemption, ascribed));
            }
            self.settle_all(&settlements).await?;
        }
        Ok(found)
    }
}

/// Returns the erasure that a request id began; None if it was called off.
async fn begun_before(repository: &mut Repository, stored: &[u8]) -> Result<Option<ErasureState>> {
    let stored = std::str::from_utf8(stored).map_err(Error::internal)?;
    let pseudonym = UserId::parse(stored).map_err(Error::internal)?;
    Ok(repository.get_erasure(&pseudonym).await?)
}
