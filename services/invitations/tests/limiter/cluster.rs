//! The limiter on a Redis Cluster (R10): its masters share the keys, slots move, a master dies.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use homeroom_invitations::limiter::{
    Attempt, Budgets, Dimension, Effect, Limiter as _, Settlement,
    fallback::GuardedLimiter,
    redis::{KEY_PREFIX, RedisStore},
};
use homeroom_kit::keys::KeyRing;

use super::{
    masters::Cluster,
    support::{AttemptWith as _, Outcome, key_of, key_ring, manual_clock, user},
};

/// The maximum time of a call while all masters are alive: the suite is not about speed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The maximum time of a call while one is dead.
const SHORT_PATIENCE: Duration = Duration::from_secs(4);
/// The number of users, so many that every master keeps some.
const USERS: usize = 40;

fn limiter(cluster: &Cluster, keys: &Arc<KeyRing>, call_max: Duration) -> GuardedLimiter {
    let any_number = 100_000;
    limiter_of(cluster, keys, call_max, any_number)
}

fn limiter_of(
    cluster: &Cluster,
    keys: &Arc<KeyRing>,
    call_max: Duration,
    calls_per_minute: u32,
) -> GuardedLimiter {
    let clock = manual_clock();
    let store = RedisStore::patient(&cluster.url(), keys.clone(), call_max)
        .unwrap()
        .with_test_clock(clock.clone());
    let budgets = Budgets {
        calling_service_attempts_per_minute: Some(calls_per_minute),
        ..Budgets::default()
    };
    GuardedLimiter::new(store, budgets, clock).with_call_max(call_max)
}

async fn charge(limiter: &GuardedLimiter, attempt: &Attempt) -> Outcome {
    let mut verdicts = limiter.charge(std::slice::from_ref(attempt)).await;
    verdicts.remove(0).into()
}

/// Attempts, and fails if the attempt is allowed. Returns true if it was allowed.
async fn fails(limiter: &GuardedLimiter, attempt: &Attempt) -> bool {
    let Outcome::Allowed { receipt, .. } = charge(limiter, attempt).await else {
        return false;
    };
    limiter
        .settle(vec![Settlement::Keep {
            receipt,
            found: false,
        }])
        .await;
    true
}

fn student(number: usize) -> Attempt {
    user(&format!("student-{number}"))
        .at(&format!("203.0.113.{number}"))
        .naming(&format!("school-{}", number % 7), 1_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_every_kind_of_key_is_spread_over_the_masters() {
    let cluster = Cluster::start();
    let keys = key_ring();
    // There are so few attempts that the calling service does not regain them, and lose its key, before the key is
    // read.
    let limiter = limiter_of(&cluster, &keys, PATIENCE, 1_000);
    // when users fail in every dimension
    for number in 0..USERS {
        for _ in 0..3 {
            assert!(fails(&limiter, &student(number)).await);
        }
    }
    assert!(fails(&limiter, &user("nobody")).await);
    // then each kind of key is there, and each master keeps users, addresses and organizations
    let mut kinds = BTreeSet::new();
    for master in 0..3 {
        let found: Vec<String> = cluster.ask(master, &["KEYS", &format!("{KEY_PREFIX}*")]);
        let found: BTreeSet<String> = found
            .iter()
            .map(|key| {
                key[KEY_PREFIX.len()..]
                    .split(':')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(
            found.contains("user") && found.contains("address"),
            "{found:?}"
        );
        kinds.extend(found);
    }
    let expected = [
        "address",
        "calling-service",
        "organization",
        "service",
        "user",
    ];
    assert!(kinds.iter().map(String::as_str).eq(expected), "{kinds:?}");
    // and masters that have lost the script are sent it
    for master in 0..3 {
        let _: String = cluster.ask(master, &["SCRIPT", "FLUSH"]);
    }
    for number in 0..USERS {
        assert!(fails(&limiter, &student(number)).await);
        assert!(fails(&limiter, &student(number)).await);
        let refused = charge(&limiter, &student(number)).await.refusal();
        assert_eq!(refused, (Dimension::User, 12 * 60));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_slots_move_while_calls_go_on_and_no_verdict_is_wrong() {
    let cluster = Arc::new(Cluster::start());
    let keys = key_ring();
    let limiter = Arc::new(limiter(&cluster, &keys, PATIENCE));
    // given users who fail twice each, and go on
    for number in 0..USERS {
        assert!(fails(&limiter, &student(number)).await);
        assert!(fails(&limiter, &student(number)).await);
    }
    let is_done = Arc::new(AtomicBool::new(false));
    let slots: Vec<usize> = (0..USERS)
        .map(|number| cluster.slot(&key_of(&keys, "user", &format!("student-{number}"))))
        .collect();
    // when the slot of every user moves to the next master meanwhile, and those of the services too
    let mover = {
        let (cluster, is_done, keys) = (cluster.clone(), is_done.clone(), keys.clone());
        tokio::task::spawn_blocking(move || {
            let others = [("service", ""), ("calling-service", "learning-platform")]
                .map(|(kind, value)| cluster.slot(&key_of(&keys, kind, value)));
            let slots: BTreeSet<usize> = slots.into_iter().chain(others).collect();
            for slot in slots {
                let from = Cluster::first_owner(slot);
                let pause = || std::thread::sleep(Duration::from_millis(10));
                cluster.move_slot(slot, from, (from + 1) % 3, pause);
            }
            is_done.store(true, Ordering::Release);
        })
    };
    // then each fails three times more, whenever that is, and not a fourth time
    let mut left = [3; USERS];
    let (mut calls, mut round) = (0, 0);
    while !is_done.load(Ordering::Acquire) || left.iter().any(|left| *left > 0) {
        let students: Vec<usize> = (0..USERS).collect();
        for some in students.chunks(8) {
            let outcomes = join_all(some.iter().map(async |number| {
                // Only some fail in each round, so that the failures are spread over the move.
                let fails = (round + number) % 5 == 0;
                let attempt = student(*number);
                let outcome = charge(&limiter, &attempt).await;
                (*number, fails, outcome)
            }))
            .await;
            for (number, fails, outcome) in outcomes {
                calls += 1;
                assert_eq!(
                    outcome.is_allowed(),
                    left[number] > 0,
                    "{number}: {outcome:?}"
                );
                let Outcome::Allowed {
                    receipt,
                    guess_guarded,
                } = outcome
                else {
                    continue;
                };
                assert!(!guess_guarded, "no call went to the fallback");
                let settlement = if fails {
                    left[number] -= 1;
                    Settlement::Keep {
                        receipt,
                        found: false,
                    }
                } else {
                    Settlement::GiveBack {
                        receipt,
                        effect: Effect::Nothing,
                    }
                };
                limiter.settle(vec![settlement]).await;
            }
        }
        round += 1;
        assert!(!limiter.redis_is_away());
    }
    mover.await.unwrap();
    println!("{calls} calls while slots moved, none in error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_beside_a_dead_master_nobody_is_refused_and_short_credentials_queue() {
    let mut cluster = Cluster::start();
    let limiter = limiter(&cluster, &key_ring(), SHORT_PATIENCE);
    let attempts: Vec<Attempt> = (0..USERS).map(student).collect();
    for attempt in &attempts {
        assert!(!charge(&limiter, attempt).await.is_guarded());
    }
    // when a master dies that is not replaced
    cluster.kill(1);
    // then a slice of all users, of whom it keeps some, is decided by the process
    for verdict in limiter.charge(&attempts).await {
        assert!(Outcome::from(verdict).is_guarded());
    }
}
