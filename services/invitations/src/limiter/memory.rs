//! The limiter's state in the process: for one process alone, and for when Redis is away.

use std::{
    collections::{BTreeMap, HashMap},
    convert::identity,
    fmt,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use homeroom_kit::clock::{SharedClock, micros};

use super::{
    Attempt, Budgets, GuessScope, Issuer, Limiter, Settlement, Verdict,
    budgeted::{BudgetedLimiter, Command, Operation, Store, StoreAway, Subject},
    state::{Bucket, Guard, Reply, UserLog},
};

/// Users whose failures one process remembers; the one touched longest ago is forgotten first.
pub const USERS_MAX: usize = 100_000;
/// Addresses and calling services that one process remembers, likewise.
pub const BUCKETS_MAX: usize = 100_000;
/// Organizations whose guards one process remembers, likewise.
pub const GUARDS_MAX: usize = 20_000;

/// A limiter that keeps its state in the process.
#[derive(Debug)]
pub struct MemoryLimiter(BudgetedLimiter<MemoryStore>);

impl MemoryLimiter {
    /// A limiter with `budgets`, by `clock`, of at most [`USERS_MAX`], [`BUCKETS_MAX`] and [`GUARDS_MAX`] subjects.
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

    async fn settle(&self, settlements: Vec<Settlement>) -> Vec<GuessScope> {
        self.0
            .settle(settlements)
            .await
            .map_or_else(never, identity)
    }
}

/// The process's own memory is never away.
fn never<T>(_: StoreAway) -> Vec<T> {
    Vec::new()
}

/// The state, by subject. Subjects of one kind cannot push out those of another.
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
    /// Apart, so that no number of organizations pushes it out.
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
            Operation::ChargeUser(budget) => self.user(subject, now, |log| log.charge(budget, now)),
            Operation::RefundUser { mark } => self.user(subject, now, |log| log.refund(mark, now)),
            Operation::ChargeBucket(rate) => {
                self.bucket(subject, now, |bucket| bucket.charge(rate, now))
            }
            Operation::RefundBucket { mark, rate } => {
                self.bucket(subject, now, |bucket| bucket.refund(mark, rate, now))
            }
            Operation::AddToBucket { most } => {
                self.bucket(subject, now, |bucket| bucket.add(most, now))
            }
            Operation::EnterGuard { in_flight_max } => {
                self.guard(subject, now, |guard| guard.enter(in_flight_max, now))
            }
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
        now: i64,
        act: impl FnOnce(&mut Bucket) -> Reply,
    ) -> Reply {
        self.buckets.change(subject, now, act, Bucket::expires)
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

/// A map of at most `max` entries that forgets what expired, and the entry touched longest ago.
struct Recent<K, V> {
    max: usize,
    touches: u64,
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K, V> fmt::Debug for Recent<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recent")
            .field("max", &self.max)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, V: Default> Recent<K, V> {
    fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            touches: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Changes the value of `key`; it is dropped at once when it then says nothing beyond `now`.
    fn change<R>(
        &mut self,
        key: &K,
        now: i64,
        act: impl FnOnce(&mut V) -> R,
        expires: impl Fn(&V) -> i64,
    ) -> R {
        let mut value = V::default();
        if let Some((touch, known)) = self.entries.remove(key) {
            self.order.remove(&touch);
            value = known;
        }
        let result = act(&mut value);
        if expires(&value) > now {
            self.make_room(now, expires);
            self.touches += 1;
            self.order.insert(self.touches, key.clone());
            self.entries.insert(key.clone(), (self.touches, value));
        }
        result
    }

    /// Drops the oldest entry if it has expired, and in any case as many as make room for one more.
    fn make_room(&mut self, now: i64, expires: impl Fn(&V) -> i64) {
        while let Some(oldest) = self.order.first_entry() {
            let is_over = self
                .entries
                .get(oldest.get())
                .is_none_or(|(_, value)| expires(value) <= now);
            if !is_over && self.entries.len() < self.max {
                return;
            }
            let key = oldest.remove();
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(max: usize) -> Recent<u32, i64> {
        Recent::new(max)
    }

    fn touch(map: &mut Recent<u32, i64>, key: u32, expires: i64, now: i64) {
        map.change(&key, now, |value| *value = expires, |value| *value);
    }

    #[test]
    fn r10_memory_holds_its_maximum_and_then_forgets_what_was_touched_longest_ago() {
        // given a full map in which 1 is older than 2, but touched since
        let mut map = recent(2);
        touch(&mut map, 1, 100, 0);
        touch(&mut map, 2, 100, 0);
        touch(&mut map, 1, 100, 0);
        // when one more comes
        touch(&mut map, 3, 100, 0);
        // then 2 is forgotten
        let mut keys: Vec<_> = map.entries.keys().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3]);
        assert_eq!(map.order.len(), 2);
    }

    #[test]
    fn r10_memory_forgets_what_expired() {
        let mut map = recent(10);
        touch(&mut map, 1, 5, 0);
        touch(&mut map, 2, 5, 0);
        touch(&mut map, 3, 100, 5);
        assert_eq!(map.entries.len(), 1);
        // and drops at once what says nothing
        touch(&mut map, 3, 5, 5);
        assert!(map.entries.is_empty() && map.order.is_empty());
    }
}
