//! What this process itself knows of users' failures, whatever happens to Redis.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use homeroom_api::ids::UserId;
use homeroom_kit::clock::{SharedClock, micros};

use super::{
    budget::UserBudget,
    memory::USERS_MAX,
    recent::Recent,
    state::{Reply, UserLog},
    user_log::Effect,
};

/// Every attempt that this process let through, by user, under a user's whole budget.
///
/// Redis forgets when it is flushed, killed or promoted, and the fallback knows only what came while
/// Redis was away. This log forgets neither, so that a user's guesses in any 24 hours stay within the
/// daily budget for as long as the process lives.
pub(super) struct ProcessLog {
    clock: SharedClock,
    budget: UserBudget,
    users: Mutex<Recent<UserId, UserLog>>,
}

impl fmt::Debug for ProcessLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProcessLog").finish_non_exhaustive()
    }
}

impl ProcessLog {
    /// Of at most [`USERS_MAX`] users.
    pub(super) fn new(budget: UserBudget, clock: SharedClock) -> Self {
        Self {
            clock,
            budget,
            users: Mutex::new(Recent::new(USERS_MAX)),
        }
    }

    /// Charges one attempt.
    pub(super) fn charge(&self, user: &UserId) -> Reply {
        self.change(user, |log, now| log.charge(self.budget, now))
    }

    /// How long until a charge would pass, in microseconds; 0: at once.
    pub(super) fn wait_micros(&self, user: &UserId) -> i64 {
        self.change(user, |log, now| log.peek(self.budget, now))
    }

    /// The attempt of `mark` was no guess.
    pub(super) fn refund(&self, user: &UserId, mark: i64) {
        // How often is Redis's affair: here it is about guesses alone.
        self.change(user, |log, now| log.refund(mark, Effect::Nothing, 0, now));
    }

    /// The attempt of `mark` is a failure.
    pub(super) fn keep(&self, user: &UserId, mark: i64) {
        self.change(user, |log, now| log.keep(mark, now));
    }

    fn change<R>(&self, user: &UserId, act: impl FnOnce(&mut UserLog, i64) -> R) -> R {
        let now = micros(self.clock.now());
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.change(user, now, |log| act(log, now), UserLog::expires)
    }
}
