//! The log of refused attempts: written after the answer, in batches, and never at the answer's cost.
//!
//! What is not written in time is dropped and counted. The work is the same whether a credential is
//! unknown, reset, revoked, off or deleted, and so is the row (R5).

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
    status::code_of,
};
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
    store::{self, LimiterDecision, RefusedAttempt, Store},
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

/// How attempts form batches.
const BATCHING: Limits = Limits {
    batch_items_max: ATTEMPTS_BATCH_MAX,
    queue_items_max: ATTEMPTS_QUEUED_MAX,
    batches_max: 1,
};

/// Where refused attempts are written.
#[derive(Debug)]
pub struct AttemptLog {
    batches: Batcher<RefusedAttempt, ()>,
    costless: Mutex<Costless>,
}

/// What a minute has seen of attempts that cost their users nothing.
#[derive(Debug, Default)]
struct Costless {
    /// Counted from 1970.
    minute: i64,
    /// How many attempts of each user there were, as far as they are logged.
    by_user: HashMap<UserId, u32>,
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

    /// Those that are to be logged: what costs its user nothing must not fill the log.
    fn worth_logging(&self, mut attempts: Vec<RefusedAttempt>) -> Vec<RefusedAttempt> {
        let mut costless = self.lock();
        attempts.retain(|attempt| {
            let costs =
                attempt.limiter_decision.goes_on() && !Outcome::Refused(attempt.reason).refunds();
            costs || costless.is_news(attempt)
        });
        attempts
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
    /// Whether it is among those of its user that are logged this minute.
    fn is_news(&mut self, attempt: &RefusedAttempt) -> bool {
        let minute = attempt.create_time.timestamp().div_euclid(MINUTE_SECONDS);
        if self.minute != minute {
            self.minute = minute;
            self.by_user.clear();
        }
        if let Some(count) = self.by_user.get_mut(&attempt.user) {
            *count = count.saturating_add(1);
            return *count <= LIMITER_REFUSALS_PER_USER_MINUTE_MAX;
        }
        if self.by_user.len() >= LIMITER_REFUSED_USERS_MINUTE_MAX {
            count_dropped(1);
            return false;
        }
        self.by_user.insert(attempt.user.clone(), 1);
        true
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
        let attempts = self.attempt_log.worth_logging(attempts);
        if attempts.is_empty() {
            return;
        }
        let app = Arc::clone(self);
        self.writes
            .spawn(async move { app.attempt_log.write(attempts).await });
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

    /// A log that writes nowhere, and tells how many each of its batches held.
    fn log() -> (AttemptLog, Arc<Mutex<Vec<usize>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sizes = Arc::clone(&written);
        let batches = Batcher::start(BATCHING, move |attempts: Vec<RefusedAttempt>| {
            sizes.lock().unwrap().push(attempts.len());
            async move { vec![(); attempts.len()] }
        });
        let log = AttemptLog {
            batches,
            costless: Mutex::default(),
        };
        (log, written)
    }

    #[tokio::test]
    async fn attempts_wait_up_to_the_bound_and_further_ones_are_dropped() {
        let (log, written) = log();
        let many = |count| vec![attempt(1, 0, LimiterDecision::Allowed); count];
        let mut waiting = Box::pin(log.write(many(ATTEMPTS_QUEUED_MAX - 1)));
        assert!(futures::poll!(&mut waiting).is_pending());
        let mut last = Box::pin(log.write(many(1)));
        assert!(futures::poll!(&mut last).is_pending(), "one more may wait");
        log.write(many(1)).await;
        assert!(written.lock().unwrap().is_empty(), "it did not wait");
        futures::join!(waiting, last);
        let written = written.lock().unwrap();
        assert_eq!(written.iter().sum::<usize>(), ATTEMPTS_QUEUED_MAX);
        assert_eq!(written.iter().max(), Some(&ATTEMPTS_BATCH_MAX));
    }

    #[tokio::test]
    async fn r10_of_a_users_attempts_that_the_limiter_refused_one_a_minute_is_logged() {
        let (log, _) = log();
        let logged = |attempts| log.worth_logging(attempts).len();
        let refused = |user, seconds| attempt(user, seconds, LimiterDecision::RefusedUser);
        let times = LIMITER_REFUSALS_PER_USER_MINUTE_MAX as usize + 5;
        assert_eq!(logged((0..times).map(|_| refused(1, 60)).collect()), 1);
        let another = logged(vec![refused(2, 119), refused(1, 119)]);
        assert_eq!(another, 1, "another user's is another");
        let next = logged(vec![refused(1, 120), refused(1, 179)]);
        assert_eq!(next, 1, "the next minute begins again");
        let looked_at = logged(vec![attempt(1, 179, LimiterDecision::Guarded); 2]);
        assert_eq!(looked_at, 2, "what was looked at is always logged");
    }

    #[tokio::test]
    async fn r10_the_users_remembered_for_a_minute_are_bounded() {
        let (log, _) = log();
        let of = |user| vec![attempt(user, 0, LimiterDecision::RefusedAddress)];
        for user in 0..LIMITER_REFUSED_USERS_MINUTE_MAX {
            assert_eq!(log.worth_logging(of(user)).len(), 1);
        }
        let further = log.worth_logging(of(LIMITER_REFUSED_USERS_MINUTE_MAX));
        assert_eq!(further, []);
        assert_eq!(log.lock().by_user.len(), LIMITER_REFUSED_USERS_MINUTE_MAX);
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
