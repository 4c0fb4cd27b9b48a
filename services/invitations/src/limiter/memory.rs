//! The limiter's state in the process, for a single process, and for times when Redis is unreachable.

use std::{
    convert::identity,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use homeroom_api::ids::UserId;
use homeroom_kit::clock::{SharedClock, micros};

use super::{
    Attempt, Budgets, GuessScope, Issuer, Limiter, Settlement, Verdict,
    budget::Rate,
    budgeted::BudgetedLimiter,
    recent::Recent,
    state::{Bucket, Guard, Reply, UserLog},
    store::{Command, Operation, Store, StoreAway, Subject},
};

/// The maximum number of users whose failures one process remembers; the least recently touched one is forgotten first.
pub const USERS_MAX: usize = 100_000;
/// The maximum number of addresses and calling services that one process remembers, likewise.
pub const BUCKETS_MAX: usize = 100_000;
/// The maximum number of organizations whose guards one process remembers, likewise.
pub const GUARDS_MAX: usize = 20_000;

/// A limiter that keeps its state in the process.
#[derive(Debug)]
pub struct MemoryLimiter(BudgetedLimiter<MemoryStore>);

impl MemoryLimiter {
    /// Returns a limiter with `budgets`, using `clock`, for at most [`USERS_MAX`], [`BUCKETS_MAX`] and [`GUARDS_MAX`]
    /// subjects.
    #[must_use]
    pub fn new(budgets: Budgets, clock: SharedClock) -> Self {
        let store = MemoryStore::new(clock);
        Self(BudgetedLimiter::new(store, budgets, Issuer::Primary))
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn charge(&self, attempts: &[Attempt]) -> Vec<Verdict> {
        self.0.charge(attempts).await.map_or_else(never, identity)
    }

    async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool> {
        self.0.guarded(scopes).await.map_or_else(never, identity)
    }

    async fn clear(&self, user: &UserId) -> bool {
        self.0.clear(user).await.is_ok()
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Vec<GuessScope> {
        self.0
            .settle(settlements)
            .await
            .map_or_else(never, identity)
    }
}

/// Returns an empty list; it is never used, because the process's own memory always answers.
fn never<T>(_: StoreAway) -> Vec<T> {
    Vec::new()
}

/// The state, by subject. Subjects of one kind cannot displace those of another.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    clock: SharedClock,
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    users: Recent<Subject, UserLog>,
    buckets: Recent<Subject, Bucket>,
    guards: Recent<Subject, Guard>,
    /// The guard of the whole service. It is kept apart, so that no number of organizations displaces it.
    service: Guard,
}

impl MemoryStore {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self::bounded(clock, USERS_MAX, BUCKETS_MAX, GUARDS_MAX)
    }

    fn bounded(clock: SharedClock, users: usize, buckets: usize, guards: usize) -> Self {
        Self {
            clock,
            tables: Mutex::new(Tables {
                users: Recent::new(users),
                buckets: Recent::new(buckets),
                guards: Recent::new(guards),
                service: Guard::default(),
            }),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn run(&self, commands: &[Command]) -> Result<Vec<Reply>, StoreAway> {
        let now = micros(self.clock.now());
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(commands
            .iter()
            .map(|command| tables.run(command, now))
            .collect())
    }
}

impl Tables {
    fn run(&mut self, command: &Command, now: i64) -> Reply {
        let subject = &command.subject;
        match command.operation {
            Operation::ChargeUser { guess, budget } => {
                self.user(subject, now, |log| log.charge(guess, budget, now))
            }
            Operation::RefundUser {
                mark,
                guess,
                repeats,
                effect,
                effects_max,
            } => self.user(subject, now, |log| {
                log.refund((mark, guess), repeats, effect, effects_max, now)
            }),
            Operation::KeepUser { mark, guess } => {
                self.user(subject, now, |log| log.keep((mark, guess), now))
            }
            Operation::ClearUser => self.user(subject, now, |log| {
                *log = UserLog::default();
                Reply::DONE
            }),
            Operation::ChargeBucket { rate, held } => {
                self.bucket(subject, rate, now, |bucket| bucket.charge(rate, held, now))
            }
            Operation::PeekBucket(rate) => {
                self.bucket(subject, rate, now, |bucket| bucket.peek(rate, now))
            }
            Operation::RefundBucket { mark, rate } => {
                self.bucket(subject, rate, now, |bucket| bucket.refund(mark, rate, now))
            }
            Operation::KeepBucket { mark, rate } => {
                self.bucket(subject, rate, now, |bucket| bucket.keep(mark, rate, now))
            }
            Operation::AddToBucket { most, rate } => {
                self.bucket(subject, rate, now, |bucket| bucket.add(most, rate, now))
            }
            Operation::EnterGuard { in_flight_max } => {
                self.guard(subject, now, |guard| guard.enter(in_flight_max, now))
            }
            Operation::PeekGuard => self.guard(subject, now, |guard| guard.peek(now)),
            Operation::LeaveGuard { mark } => {
                self.guard(subject, now, |guard| guard.leave(mark, now))
            }
            Operation::KeepGuard { mark, rate } => {
                self.guard(subject, now, |guard| guard.keep(mark, rate, now))
            }
        }
    }

    fn user(
        &mut self,
        subject: &Subject,
        now: i64,
        act: impl FnOnce(&mut UserLog) -> Reply,
    ) -> Reply {
        self.users.change(subject, now, act, UserLog::expires)
    }

    fn bucket(
        &mut self,
        subject: &Subject,
        rate: Rate,
        now: i64,
        act: impl FnOnce(&mut Bucket) -> Reply,
    ) -> Reply {
        self.buckets
            .change(subject, now, act, |bucket| bucket.expires(rate, now))
    }

    fn guard(
        &mut self,
        subject: &Subject,
        now: i64,
        act: impl FnOnce(&mut Guard) -> Reply,
    ) -> Reply {
        if *subject == Subject::Service {
            return act(&mut self.service);
        }
        self.guards
            .change(subject, now, act, |guard| guard.expires(now))
    }
}
