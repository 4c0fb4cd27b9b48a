//! The limiter's counters in the process, for a single process, and for times when Redis is unreachable.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use homeroom_kit::clock::{SharedClock, micros};

use super::{
    attempt::GuessScope,
    budget::DAY_MICROS,
    counter::{Counter, Reply, Step},
    state::{Bucket, Guard},
    user_log::UserLog,
};

/// The maximum number of users whose failures one process remembers; the least recently touched one is forgotten first.
pub const USERS_MAX: usize = 100_000;
/// The maximum number of addresses and calling services that one process remembers, likewise.
pub const BUCKETS_MAX: usize = 100_000;
/// The maximum number of organizations whose guards one process remembers, likewise.
pub const GUARDS_MAX: usize = 20_000;

/// The states of counters by name, each with the time of its last step, in the order of these times.
type States<S> = LruCache<(&'static str, String), (i64, S)>;

/// The counters. Those of one kind cannot displace those of another.
#[derive(Debug)]
pub(crate) struct Memory {
    clock: SharedClock,
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    users: States<UserLog>,
    buckets: States<Bucket>,
    guards: States<Guard>,
    /// The guard of the whole service. It is kept apart, so that no number of organizations displaces it.
    service: Guard,
}

impl Memory {
    pub(crate) fn new(clock: SharedClock) -> Self {
        let tables = Tables {
            users: LruCache::new(USERS_MAX),
            buckets: LruCache::new(BUCKETS_MAX),
            guards: LruCache::new(GUARDS_MAX),
            service: Guard::default(),
        };
        Self {
            clock,
            tables: Mutex::new(tables),
        }
    }

    pub(crate) fn run(&self, counter: &Counter, step: Step) -> Reply {
        let now = micros(self.clock.now());
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let name = counter.name();
        match counter {
            Counter::User { guess, budget, .. } => change(&mut tables.users, name, now, |log| {
                log.step(step, *guess, *budget, now)
            }),
            Counter::Address {
                rate,
                additions_max,
                ..
            } => change(&mut tables.buckets, name, now, |bucket| {
                bucket.step(step, *rate, *additions_max, now)
            }),
            Counter::CallingService { rate, .. } => {
                change(&mut tables.buckets, name, now, |bucket| {
                    bucket.step(step, *rate, 0, now)
                })
            }
            Counter::Guard {
                scope,
                rate,
                in_flight_max,
            } => {
                let step = |guard: &mut Guard| guard.step(step, *rate, *in_flight_max, now);
                match scope {
                    GuessScope::Service => step(&mut tables.service),
                    GuessScope::Organization(_) => change(&mut tables.guards, name, now, step),
                }
            }
        }
    }
}

/// Changes one state, and forgets those that were not touched for a day: they have no effect any more.
fn change<S: Default, R>(
    states: &mut States<S>,
    name: (&'static str, String),
    now: i64,
    step: impl FnOnce(&mut S) -> R,
) -> R {
    while let Some((_, (touched, _))) = states.iter().next()
        && touched + DAY_MICROS <= now
    {
        states.remove_lru();
    }
    let (_, mut state) = states.remove(&name).unwrap_or_default();
    let reply = step(&mut state);
    states.insert(name, (now, state));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(states: &mut States<()>, user: u32, now: i64) {
        change(states, ("user", user.to_string()), now, |()| ());
    }

    fn users(states: &States<()>) -> Vec<&str> {
        states.iter().map(|((_, user), _)| user.as_str()).collect()
    }

    #[test]
    fn r10_memory_holds_its_maximum_and_then_forgets_what_was_touched_longest_ago() {
        let mut states = States::new(2);
        for user in [1, 2, 1, 3] {
            touch(&mut states, user, 0);
        }
        assert_eq!(users(&states), ["1", "3"]);
    }

    #[test]
    fn r10_memory_forgets_what_was_not_touched_for_a_day() {
        let mut states = States::new(10);
        for (user, now) in [(1, 0), (2, 1), (3, DAY_MICROS)] {
            touch(&mut states, user, now);
        }
        assert_eq!(users(&states), ["2", "3"]);
    }
}
