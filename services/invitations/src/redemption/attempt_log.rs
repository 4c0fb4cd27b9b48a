//! The log of refused attempts: written after the answer, in batches, and never at the answer's cost.
//!
//! When the queue is full, when the database does not take them, or when refusals that cost their user nothing
//! exceed their bounds, entries are dropped and counted. The work is the same whether a credential is unknown, reset, revoked,
//! off or deleted, and so is the row (R5).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{
    Error,
    batching::{Batcher, Limits},
    random::new_id_at,
};

use super::{
    Redemptions,
    look_up::{Profiles, named_organization, with_prefix},
    request::Attempt,
};
use crate::{
    app::{audit::printable, invitation_name},
    domain::{invitation::Invitation, redemption::Outcome},
    limiter::Dimension,
    store::{self, LimiterDecision, OrganizationProfile, RefusedAttempt, Store},
};

/// Refused attempts that wait to be written at most; further ones are dropped.
pub const ATTEMPTS_QUEUED_MAX: usize = 10_000;
/// Refused attempts that one transaction writes at most.
pub const ATTEMPTS_BATCH_MAX: usize = 500;
/// Refusals that cost their user nothing (those of the limiter, repeats, and those that it is given back for, such as
/// `NO_SEATS`) that are logged at most of one user each minute: one of each place.
pub const COSTLESS_REFUSALS_PER_USER_MINUTE_MAX: usize = 5;
/// Such refusals that are logged at most of all users together, each minute; so many users are remembered at most.
pub const COSTLESS_REFUSALS_MINUTE_MAX: usize = 10_000;
/// Seconds of a minute.
const MINUTE_SECONDS: i64 = 60;

/// Counter: refused attempts that were not logged, since too many waited, the database did not take them, or
/// those that cost nothing exceeded their bounds. One more of the same user and place in its minute is no loss
/// and not counted.
pub const ATTEMPTS_DROPPED: &str = "homeroom_refused_attempts_dropped";

/// One refusal, as the way of an attempt knows it.
#[derive(Clone, Copy)]
pub(super) struct Refusal<'attempt> {
    pub(super) attempt: &'attempt Attempt,
    pub(super) preview: bool,
    pub(super) reason: ErrorReason,
    pub(super) limiter_decision: LimiterDecision,
    /// The user has made this guess before.
    pub(super) is_repeat: bool,
    /// The invitation, if the credential is a living one's.
    pub(super) matched: Option<&'attempt Invitation>,
}

/// What the log says of a limiter's refusal.
pub(super) const fn refused_by(dimension: Dimension) -> LimiterDecision {
    match dimension {
        Dimension::User => LimiterDecision::RefusedUser,
        Dimension::Address => LimiterDecision::RefusedAddress,
        Dimension::CallingService => LimiterDecision::RefusedCallingService,
    }
}

/// How attempts form batches.
const BATCHING: Limits = Limits {
    batch_items_max: ATTEMPTS_BATCH_MAX,
    queue_items_max: ATTEMPTS_QUEUED_MAX,
    batches_max: 1,
    prompt_batches_max: 1,
    slow_after_millis: 100,
    apart_millis: 0,
};

/// Where refused attempts are written.
#[derive(Debug)]
pub struct AttemptLog {
    batches: Batcher<RefusedAttempt, ()>,
    costless: Mutex<Costless>,
}

/// What a minute has logged of refusals that cost their users nothing.
#[derive(Debug, Default)]
struct Costless {
    /// Counted from 1970.
    minute: i64,
    /// In which places each user's are logged.
    by_user: HashMap<UserId, Vec<Option<Place>>>,
    /// How many are logged.
    logged: usize,
}

impl AttemptLog {
    /// Into this database. Call it inside a runtime.
    #[must_use]
    pub fn start(store: Arc<dyn Store>) -> Self {
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

    /// Those that are to be logged, of attempts and whether each is a repeat: what costs its user nothing must not fill
    /// the log.
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

    /// Has them written. Ends once they are, or are dropped.
    async fn write(&self, attempts: Vec<RefusedAttempt>) {
        let count = attempts.len();
        if self.batches.submit(attempts).await.is_err() {
            count_dropped(count);
        }
    }
}

impl Costless {
    /// Returns true if it is among those that are logged this minute: the first of its user in its place.
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

    /// Begins again in another minute. The minute just over is none: calls interleave at its end, and it
    /// would begin again with each. One longer past is another, since the clock was set back.
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

async fn insert(store: &dyn Store, attempts: &[RefusedAttempt]) -> store::Result<()> {
    let mut repository = store.write().await?;
    repository.insert_refused_attempts(attempts).await?;
    repository.commit("refused_attempts").await
}

fn count_dropped(count: usize) {
    metrics::counter!(ATTEMPTS_DROPPED).increment(count as u64);
}

impl Redemptions {
    /// Logs refusals, in a task that shutdown waits for and no answer does.
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
        // R5: of what opens nothing the row tells no more than the answer.
        let matched = refusal
            .matched
            .filter(|_| refusal.reason != ErrorReason::CodeNotUsable);
        let (place, invitation) = match matched {
            Some(invitation) => (
                Some(invitation.place.clone()),
                invitation_name::of(invitation),
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

/// The organization whose administrators may read who made an attempt that opened nothing (I8): the one that the
/// request names, or whose prefix was typed so that it can be nothing else.
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
        // What several prefixes read like is certain of none.
        _ => None,
    }
}

/// A refusal by the limiter: what it said, and what the caller is told.
pub(super) type Overcharged = (LimiterDecision, Error);

#[cfg(test)]
#[path = "attempt_log_tests.rs"]
mod tests;
