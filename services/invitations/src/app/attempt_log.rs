//! The log of refused attempts: written after the answer, in batches, and never at the answer's cost.
//!
//! What is not written in time is dropped and counted. The work is the same whether a credential is
//! unknown, reset, revoked, off or deleted, and so is the row (R5).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::UserId, names::Place};
use homeroom_kit::{Error, random::new_id_at, status::code_of};
use tonic::Code;

use super::{
    App,
    attempt::Attempt,
    audit::printable,
    invitation_name,
    look_up::{Profiles, named_organization},
};
use crate::{
    domain::{invitation::Invitation, redemption::Outcome},
    limiter::Dimension,
    store::{self, LimiterDecision, RefusedAttempt},
};

/// Refused attempts that wait to be written at most; further ones are dropped.
pub const ATTEMPTS_QUEUED_MAX: usize = 10_000;
/// Refused attempts that one transaction writes at most.
pub const ATTEMPTS_BATCH_MAX: usize = 500;
/// Attempts of one user that the limiter refused and that are logged at most, each minute.
pub const LIMITER_REFUSALS_PER_USER_MINUTE_MAX: u32 = 1;
/// Users whose attempts the limiter refused and that are logged at most, each minute.
pub const LIMITER_REFUSED_USERS_MINUTE_MAX: usize = 10_000;
/// Seconds of a minute.
const MINUTE_SECONDS: i64 = 60;

/// Counter: refused attempts that were not logged, since too many waited or the database did not take them.
pub const ATTEMPTS_DROPPED: &str = "homeroom_refused_attempts_dropped";

/// The invitation that a living credential is of.
#[derive(Debug, Clone)]
pub(super) struct Meant {
    place: Place,
    name: String,
}

impl Meant {
    pub(super) fn of(invitation: &Invitation) -> Self {
        Self {
            place: invitation.place.clone(),
            name: invitation_name::of(invitation),
        }
    }
}

/// One refusal, as the way of an attempt knows it.
pub(super) struct Refusal<'attempt> {
    pub(super) attempt: &'attempt Attempt,
    pub(super) preview: bool,
    pub(super) reason: ErrorReason,
    pub(super) limiter_decision: LimiterDecision,
    /// The invitation, if the credential is a living one's.
    pub(super) meant: Option<Meant>,
}

/// Whether a reason is a decision, and not that something is away or under way.
pub(super) fn is_decision(reason: ErrorReason) -> bool {
    matches!(
        code_of(reason),
        Code::NotFound | Code::FailedPrecondition | Code::ResourceExhausted
    )
}

/// What the log says of a limiter's refusal.
pub(super) const fn refused_by(dimension: Dimension) -> LimiterDecision {
    match dimension {
        Dimension::User => LimiterDecision::RefusedUser,
        Dimension::Address => LimiterDecision::RefusedAddress,
        Dimension::CallingService => LimiterDecision::RefusedCallingService,
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
pub struct AttemptLog(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    attempts: VecDeque<RefusedAttempt>,
    /// A task writes them.
    being_written: bool,
    /// The minute of `limited`, counted from 1970.
    minute: i64,
    /// How many attempts of each user the limiter has refused in it, as far as they are logged.
    limited: HashMap<UserId, u32>,
}

impl AttemptLog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes attempts up; whether somebody is to begin writing now.
    fn add(&self, attempts: Vec<RefusedAttempt>) -> bool {
        let mut waiting = self.lock();
        let mut dropped = 0;
        for attempt in attempts {
            // What costs its user nothing must not fill the log.
            let costs_nothing =
                !attempt.limiter_decision.goes_on() || Outcome::Refused(attempt.reason).refunds();
            if costs_nothing && !waiting.is_news(&attempt) {
                continue;
            }
            if waiting.attempts.len() < ATTEMPTS_QUEUED_MAX {
                waiting.attempts.push_back(attempt);
            } else {
                dropped += 1;
            }
        }
        let begin = !waiting.attempts.is_empty() && !waiting.being_written;
        waiting.being_written |= begin;
        drop(waiting);
        count_dropped(dropped);
        begin
    }

    /// What to write next; where there is nothing, writing ends.
    fn next_batch(&self) -> Vec<RefusedAttempt> {
        let mut waiting = self.lock();
        let count = waiting.attempts.len().min(ATTEMPTS_BATCH_MAX);
        if count == 0 {
            waiting.being_written = false;
        }
        waiting.attempts.drain(..count).collect()
    }
}

impl Waiting {
    /// Whether an attempt that costs its user nothing is among those of the user that are logged this minute.
    fn is_news(&mut self, attempt: &RefusedAttempt) -> bool {
        let minute = attempt.create_time.timestamp().div_euclid(MINUTE_SECONDS);
        if self.minute != minute {
            self.minute = minute;
            self.limited.clear();
        }
        if let Some(count) = self.limited.get_mut(&attempt.user) {
            *count = count.saturating_add(1);
            return *count <= LIMITER_REFUSALS_PER_USER_MINUTE_MAX;
        }
        if self.limited.len() >= LIMITER_REFUSED_USERS_MINUTE_MAX {
            count_dropped(1);
            return false;
        }
        self.limited.insert(attempt.user.clone(), 1);
        true
    }
}

/// Lets the next attempt begin to write again, whatever became of this writer.
struct Writer<'log>(&'log AttemptLog);

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().being_written = false;
        }
    }
}

fn count_dropped(count: u64) {
    if count > 0 {
        metrics::counter!(ATTEMPTS_DROPPED).increment(count);
    }
}

impl App {
    /// Logs refusals, in a task that shutdown waits for and no answer does.
    pub(super) fn log_refusals(self: &Arc<Self>, refusals: Vec<Refusal<'_>>, profiles: &Profiles) {
        if refusals.is_empty() {
            return;
        }
        let now = self.clock.now();
        let attempts = refusals
            .into_iter()
            .map(|refusal| self.refused_attempt(refusal, profiles, now))
            .collect();
        if !self.attempt_log.add(attempts) {
            return;
        }
        let app = Arc::clone(self);
        self.writes
            .spawn(async move { app.write_refused_attempts().await });
    }

    fn refused_attempt(
        &self,
        refusal: Refusal<'_>,
        profiles: &Profiles,
        now: DateTime<Utc>,
    ) -> RefusedAttempt {
        let attempt = refusal.attempt;
        // R5: of what opens nothing the row tells no more than the answer.
        let meant = refusal
            .meant
            .filter(|_| refusal.reason != ErrorReason::CodeNotUsable);
        let (place, invitation) = match meant {
            Some(meant) => (Some(meant.place), meant.name),
            None => (
                named_organization(attempt, profiles)
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
            id: new_id_at(now, self.random.as_ref()),
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

    async fn write_refused_attempts(&self) {
        let _writer = Writer(&self.attempt_log);
        loop {
            let batch = self.attempt_log.next_batch();
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.insert_refused_attempts(&batch).await {
                tracing::warn!(%error, attempts = batch.len(), "refused attempts are not logged");
                count_dropped(batch.len() as u64);
            }
        }
    }

    async fn insert_refused_attempts(&self, attempts: &[RefusedAttempt]) -> store::Result<()> {
        let mut repository = self.store.write().await?;
        repository.insert_refused_attempts(attempts).await?;
        repository.commit("refused_attempts").await
    }
}

/// A refusal by the limiter: what it said, and what the caller is told.
pub(super) type Overcharged = (LimiterDecision, Error);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn attempt(user: usize, seconds: i64, limiter_decision: LimiterDecision) -> RefusedAttempt {
        RefusedAttempt {
            id: Uuid::nil(),
            place: None,
            invitation: String::new(),
            user: UserId::parse(&format!("user-{user}")).unwrap(),
            calling_service: "lms".to_owned(),
            preview: false,
            reason: ErrorReason::CodeNotUsable,
            limiter_decision,
            create_time: DateTime::from_timestamp(seconds, 0).unwrap(),
        }
    }

    fn waiting(log: &AttemptLog) -> usize {
        log.lock().attempts.len()
    }

    #[test]
    fn attempts_wait_up_to_the_bound_and_further_ones_are_dropped() {
        let log = AttemptLog::default();
        let many = |count| vec![attempt(1, 0, LimiterDecision::Allowed); count];
        assert!(log.add(many(ATTEMPTS_QUEUED_MAX - 1)), "somebody begins");
        assert!(!log.add(many(1)), "and only one");
        assert_eq!(waiting(&log), ATTEMPTS_QUEUED_MAX);
        log.add(many(3));
        assert_eq!(waiting(&log), ATTEMPTS_QUEUED_MAX);
        assert_eq!(log.next_batch().len(), ATTEMPTS_BATCH_MAX);
        while !log.next_batch().is_empty() {}
        assert!(log.add(many(1)), "and again after the end");
    }

    #[test]
    fn r10_of_a_users_attempts_that_the_limiter_refused_one_a_minute_is_logged() {
        let log = AttemptLog::default();
        let refused = |user, seconds| attempt(user, seconds, LimiterDecision::RefusedUser);
        let times = LIMITER_REFUSALS_PER_USER_MINUTE_MAX as usize + 5;
        log.add((0..times).map(|_| refused(1, 60)).collect());
        assert_eq!(waiting(&log), 1);
        log.add(vec![refused(2, 119), refused(1, 119)]);
        assert_eq!(waiting(&log), 2, "another user's is another");
        log.add(vec![refused(1, 120), refused(1, 179)]);
        assert_eq!(waiting(&log), 3, "the next minute begins again");
        log.add(vec![attempt(1, 179, LimiterDecision::Guarded); 2]);
        assert_eq!(waiting(&log), 5, "what was looked at is always logged");
    }

    #[test]
    fn r10_the_users_remembered_for_a_minute_are_bounded() {
        let log = AttemptLog::default();
        for user in 0..=LIMITER_REFUSED_USERS_MINUTE_MAX {
            log.add(vec![attempt(user, 0, LimiterDecision::RefusedAddress)]);
            log.next_batch();
        }
        assert_eq!(log.lock().limited.len(), LIMITER_REFUSED_USERS_MINUTE_MAX);
    }

    #[test]
    fn only_decisions_are_logged() {
        for (reason, logged) in [
            (ErrorReason::CodeNotUsable, true),
            (ErrorReason::EmailUnverified, true),
            (ErrorReason::NoSeats, true),
            (ErrorReason::TooManyAttempts, true),
            (ErrorReason::UseInProgress, false),
            (ErrorReason::MembershipUnavailable, false),
            (ErrorReason::DatabaseUnavailable, false),
            (ErrorReason::Unspecified, false),
        ] {
            assert_eq!(is_decision(reason), logged, "{reason:?}");
        }
    }
}
