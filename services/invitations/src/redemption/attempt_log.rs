//! The log of refused attempts. It is written after the answer, in batches, and never delays an answer.
//!
//! Entries are dropped and counted when the queue is full, when the database does not accept them, or when refusals
//! that cost their user nothing exceed their bounds. The work, and the row, are the same whether a credential is
//! unknown, reset, revoked, off or deleted (R5).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{
    batching::{Batcher, Limits},
    random::new_id_at,
};

use super::{
    Redemptions,
    look_up::{Profiles, named_organization, with_prefix},
    request::Attempt,
};
use crate::{
    app::audit::printable,
    domain::{
        invitation::Invitation,
        redemption::Outcome,
        refused_attempt::{LimiterDecision, RefusedAttempt},
    },
    store::{self, OrganizationProfile, Store},
};

/// The maximum number of refused attempts that wait to be written; further ones are dropped.
pub const ATTEMPTS_QUEUED_MAX: usize = 10_000;
/// The maximum number of refused attempts that one transaction writes.
pub const ATTEMPTS_BATCH_MAX: usize = 500;
/// The maximum number of costless refusals of one user that are logged each minute, at most one for each place. A
/// refusal is costless if it is the limiter's, a repeat, or one whose charge is given back, such as `NO_SEATS`.
pub const COSTLESS_REFUSALS_PER_USER_MINUTE_MAX: usize = 5;
/// The maximum number of costless refusals of all users that are logged each minute, and of users that are remembered.
pub const COSTLESS_REFUSALS_MINUTE_MAX: usize = 10_000;
/// The number of seconds in a minute.
const MINUTE_SECONDS: i64 = 60;

/// Counter: refused attempts that were not logged, because too many waited, the database did not accept them, or
/// costless refusals exceeded their bounds. A further one of the same user and place in its minute is not counted.
pub const ATTEMPTS_DROPPED: &str = "homeroom_refused_attempts_dropped_total";

/// One refusal, with the facts that the attempt's course has established.
#[derive(Clone, Copy)]
pub(super) struct Refusal<'attempt> {
    pub(super) attempt: &'attempt Attempt,
    pub(super) preview: bool,
    pub(super) reason: ErrorReason,
    pub(super) limiter_decision: LimiterDecision,
    /// True if the user has made this guess before.
    pub(super) is_repeat: bool,
    /// The invitation, if the credential matches a usable one.
    pub(super) matched: Option<&'attempt Invitation>,
}

/// The limits by which attempts form batches.
const BATCHING: Limits = Limits {
    name: "attempts",
    batch_items_max: ATTEMPTS_BATCH_MAX,
    queue_items_max: ATTEMPTS_QUEUED_MAX,
    batches_max: 1,
    prompt_batches_max: 1,
    slow_after_millis: 100,
    apart_millis: 0,
};

/// The writer of refused attempts.
#[derive(Debug)]
pub struct AttemptLog {
    batches: Batcher<RefusedAttempt, ()>,
    costless: Mutex<Costless>,
}

/// The costless refusals that were logged in one minute.
#[derive(Debug, Default)]
struct Costless {
    /// The minute, counted from 1970.
    minute: i64,
    /// The places in which refusals of each user were logged.
    by_user: HashMap<UserId, Vec<Option<Place>>>,
    /// The number of logged refusals.
    logged: usize,
}

impl AttemptLog {
    /// Starts the log on this database. It must be called inside a runtime.
    #[must_use]
    pub fn start(store: Arc<Store>) -> Self {
        let batches = Batcher::start(BATCHING, move |attempts: Vec<RefusedAttempt>| {
            let store = Arc::clone(&store);
            async move {
                if let Err(error) = insert(store.as_ref(), &attempts).await {
                    tracing::warn!(%error, attempts = attempts.len(), "refused attempts are not logged");
                    count_dropped(attempts.len());
                }
                vec![(); attempts.len()]
            }
        });
        Self {
            batches,
            costless: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Costless> {
        self.costless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the attempts to log, from attempts and whether each is a repeat: costless refusals must not fill the
    /// log.
    fn worth_logging(&self, attempts: Vec<(RefusedAttempt, bool)>) -> Vec<RefusedAttempt> {
        let mut costless = self.lock();
        let worth = attempts.into_iter().filter_map(|(attempt, is_repeat)| {
            let costs = attempt.limiter_decision.goes_on()
                && !is_repeat
                && !Outcome::Refused(attempt.reason).refunds();
            (costs || costless.is_news(&attempt)).then_some(attempt)
        });
        worth.collect()
    }

    /// Writes the attempts. It returns once they are written or dropped.
    async fn write(&self, attempts: Vec<RefusedAttempt>) {
        let count = attempts.len();
        if self.batches.submit(attempts).await.is_err() {
            count_dropped(count);
        }
    }
}

impl Costless {
    /// Returns true if the refusal is one to log this minute: the first of its user in its place, within the bounds.
    fn is_news(&mut self, attempt: &RefusedAttempt) -> bool {
        self.turn_to(attempt.create_time.timestamp().div_euclid(MINUTE_SECONDS));
        let places = self
            .by_user
            .get(&attempt.user)
            .map_or(&[][..], Vec::as_slice);
        if places.contains(&attempt.place) {
            return false;
        }
        if places.len() >= COSTLESS_REFUSALS_PER_USER_MINUTE_MAX
            || self.logged >= COSTLESS_REFUSALS_MINUTE_MAX
        {
            count_dropped(1);
            return false;
        }
        let places = self.by_user.entry(attempt.user.clone()).or_default();
        places.push(attempt.place.clone());
        self.logged = self.logged.saturating_add(1);
        true
    }

    /// Starts anew when the minute changes. The previous minute does not count as a change: calls interleave at its
    /// end, and each would start anew. An older minute does, because the clock was set back.
    fn turn_to(&mut self, minute: i64) {
        let just_over = self.minute.saturating_sub(1);
        if !(just_over..=self.minute).contains(&minute) {
            *self = Self {
                minute,
                ..Self::default()
            };
        }
    }
}

async fn insert(store: &Store, attempts: &[RefusedAttempt]) -> store::Result<()> {
    let mut repository = store.write().await?;
    repository.insert_refused_attempts(attempts).await?;
    repository.commit("refused_attempts").await
}

fn count_dropped(count: usize) {
    metrics::counter!(ATTEMPTS_DROPPED).increment(count as u64);
}

impl Redemptions {
    /// Logs refusals, in a task that shutdown waits for but no answer does.
    pub(super) fn log_refusals(self: &Arc<Self>, refusals: Vec<Refusal<'_>>, profiles: &Profiles) {
        if refusals.is_empty() {
            return;
        }
        let now = self.ledger.clock.now();
        let attempts = refusals
            .into_iter()
            .map(|refusal| {
                (
                    self.refused_attempt(&refusal, profiles, now),
                    refusal.is_repeat,
                )
            })
            .collect();
        let attempts = self.attempt_log.worth_logging(attempts);
        if attempts.is_empty() {
            return;
        }
        let redemptions = Arc::clone(self);
        self.writes
            .spawn(async move { redemptions.attempt_log.write(attempts).await });
    }

    fn refused_attempt(
        &self,
        refusal: &Refusal<'_>,
        profiles: &Profiles,
        now: DateTime<Utc>,
    ) -> RefusedAttempt {
        let attempt = refusal.attempt;
        // R5: if the credential opens nothing, the row reveals no more than the answer.
        let matched = refusal
            .matched
            .filter(|_| refusal.reason != ErrorReason::CodeNotUsable);
        let (place, invitation) = match matched {
            Some(invitation) => (
                Some(invitation.place.clone()),
                invitation.name().to_string(),
            ),
            None => (
                certain_organization(attempt, profiles)
                    .filter(|named| {
                        // I8: a token that may not reach an organization leaves no trace in it.
                        let bound_to = attempt.bound_to.as_ref();
                        bound_to.is_none_or(|bound| bound.contains(&named.organization))
                    })
                    .map(|named| Place::Organization(named.organization.clone())),
                String::new(),
            ),
        };
        RefusedAttempt {
            id: new_id_at(now, self.ledger.random.as_ref()),
            place,
            invitation,
            user: attempt.person.user.clone(),
            calling_service: printable(&attempt.calling_service),
            preview: refusal.preview,
            reason: refusal.reason,
            limiter_decision: refusal.limiter_decision,
            create_time: now,
        }
    }
}

/// Returns the organization whose administrators may read who made an attempt that opened nothing (I8): the one that
/// the request names, or the one whose prefix was typed unambiguously.
fn certain_organization<'profiles>(
    attempt: &Attempt,
    profiles: &'profiles Profiles,
) -> Option<&'profiles OrganizationProfile> {
    if attempt.organization.is_some() {
        return named_organization(attempt, profiles);
    }
    let prefix = attempt.credential.certain_prefix()?;
    match with_prefix(profiles, &prefix).as_slice() {
        [one] => Some(*one),
        // A prefix that reads like several is certain of none.
        _ => None,
    }
}

#[cfg(test)]
#[path = "attempt_log_tests.rs"]
mod tests;
