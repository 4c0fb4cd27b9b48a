//! The limiter on a Redis Cluster (R10): its masters share the keys, slots move, a master dies.

use std::collections::BTreeSet;

use homeroom_invitations::limiter::{Attempt, Budgets, Effect, End, redis::KEY_PREFIX};
use tokio::sync::watch;

use super::{
    redis_servers::RedisCluster,
    support::{AttemptWith as _, BY_USER, Bench, FAILED, key_of, key_ring, user},
};

/// The number of users, so many that every master keeps some.
const USERS: usize = 40;

fn student(number: usize) -> Attempt {
    user(&format!("student-{number}"))
        .at(&format!("203.0.113.{number}"))
        .naming(&format!("school-{}", number % 7))
}

fn budgets() -> Budgets {
    Budgets {
        calling_service_attempts_per_minute: Some(100_000),
        ..Budgets::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_every_master_keeps_some_keys_and_is_sent_the_script_again() {
    let cluster = RedisCluster::start().await;
    let bench = Bench::on(&cluster.url(), key_ring(), budgets());
    // when users fail in every dimension
    for number in 0..USERS {
        bench.fail(&student(number), 3).await;
    }
    // then each master keeps users and addresses
    for master in 0..3 {
        let pattern = format!("{KEY_PREFIX}*");
        let found: Vec<String> = cluster.ask(master, &["KEYS", &pattern]).await;
        for kind in ["address", "user"] {
            let prefix = format!("{KEY_PREFIX}{kind}:");
            assert!(
                found.iter().any(|key| key.starts_with(&prefix)),
                "{found:?}"
            );
        }
        // and one that has lost the script is sent it
        cluster.ask::<String>(master, &["SCRIPT", "FLUSH"]).await;
    }
    for number in 0..USERS {
        bench.fail(&student(number), 2).await;
        assert_eq!(bench.refusal(&student(number)).await, BY_USER);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_slots_move_while_calls_go_on_and_no_verdict_is_wrong() {
    let cluster = RedisCluster::start().await;
    let keys = key_ring();
    let bench = Bench::on(&cluster.url(), keys.clone(), budgets());
    // given users who fail twice each, and go on
    let students: Vec<Attempt> = (0..USERS).map(student).collect();
    for student in &students {
        bench.fail(student, 2).await;
    }
    // when the slot of every user moves to the next master meanwhile, and that of the calling service too
    let (done, is_done) = watch::channel(false);
    let moving = async {
        let mut named: Vec<String> = (0..USERS)
            .map(|number| key_of(&keys, "user", &format!("student-{number}")))
            .collect();
        named.push(key_of(&keys, "calling-service", "learning-platform"));
        let mut slots = BTreeSet::new();
        for key in named {
            slots.insert(cluster.slot(&key).await);
        }
        for slot in slots {
            let from = RedisCluster::first_owner(slot);
            cluster.move_slot(slot, from, (from + 1) % 3).await;
        }
        done.send_replace(true);
    };
    // then each fails three times more, whenever that is, and not a fourth time
    let attempting = async {
        let mut left = [3; USERS];
        let mut round = 0;
        while !*is_done.borrow() || left.iter().any(|left| *left > 0) {
            // Some at once: of too many, redis-rs answers none while it reads the map of slots.
            for (first, some) in (0..USERS).step_by(8).zip(students.chunks(8)) {
                let verdicts = bench.charge_all(some).await;
                for (number, verdict) in (first..).zip(verdicts) {
                    assert_eq!(verdict.is_ok(), left[number] > 0, "{number}: {verdict:?}");
                    let Ok(receipt) = verdict else { continue };
                    assert!(!receipt.guess_guarded, "no call went to the fallback");
                    // Only some fail in each round, so that the failures are spread over the move.
                    let fails = (round + number) % 5 == 0;
                    left[number] -= usize::from(fails);
                    let given_back = End::GiveBack(Effect::Nothing);
                    let end = if fails { FAILED } else { given_back };
                    bench.settle(receipt, end).await;
                }
            }
            round += 1;
        }
    };
    tokio::join!(moving, attempting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_beside_a_dead_master_nobody_is_refused_and_short_credentials_queue() {
    let mut cluster = RedisCluster::start().await;
    let bench = Bench::on(&cluster.url(), key_ring(), budgets());
    let attempts: Vec<Attempt> = (0..USERS).map(student).collect();
    for attempt in &attempts {
        assert!(!bench.queues(attempt).await);
    }
    // when a master dies that is not replaced
    cluster.kill(1).await;
    // then a slice of all users, of whom it keeps some, is decided by the process
    for receipt in bench.charge_all(&attempts).await {
        assert!(receipt.unwrap().guess_guarded);
    }
}
