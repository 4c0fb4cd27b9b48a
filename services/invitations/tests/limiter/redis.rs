//! Properties of Redis alone: its keys, its scripts, its own clock, and its absence.

use std::{net::SocketAddr, sync::Arc};

use chrono::TimeDelta;
use homeroom_invitations::limiter::{
    Budgets, Dimension, Effect, Limiter as _, Receipt, Settlement,
    breaker::{BREAKER_ERRORS_MAX, BREAKER_PAUSE_MAX_MILLIS},
    fallback::GuardedLimiter,
    redis::{KEY_PREFIX, RedisStore},
};
use homeroom_kit::clock::ManualClock;
use tokio::net::{TcpListener, TcpStream};

use super::support::{
    AttemptWith as _, Bench, Form, Outcome, key_ring, manual_clock, redis_url, user,
};

async fn connection() -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis_url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap()
}

async fn local_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn give_back(limiter: &GuardedLimiter, receipt: Receipt, effect: Effect) {
    let settlement = Settlement::GiveBack { receipt, effect };
    limiter.settle(vec![settlement]).await;
}

async fn keep(limiter: &GuardedLimiter, receipt: Receipt) {
    limiter
        .settle(vec![Settlement::Keep {
            receipt,
            found: false,
        }])
        .await;
}

/// Returns a limiter whose Redis is at `address`, with the real time limit.
fn limiter_at(address: SocketAddr) -> (Arc<ManualClock>, GuardedLimiter) {
    let clock = manual_clock();
    let store = RedisStore::new(&format!("redis://{address}/"), key_ring()).unwrap();
    (
        clock.clone(),
        GuardedLimiter::new(store, Budgets::default(), clock),
    )
}

async fn charge_one(limiter: &GuardedLimiter, id: &str) -> Outcome {
    limiter.charge(&[user(id)]).await.remove(0).into()
}

#[tokio::test]
async fn r10_keys_hold_nothing_in_clear_and_expire() {
    // given charges in every dimension
    let bench = Bench::new(
        Form::Redis,
        Budgets {
            calling_service_attempts_per_minute: Some(100),
            ..Budgets::default()
        },
    );
    let attempt = user("clear-user-6f1d")
        .at("198.51.100.77")
        .naming("clear-organization-6f1d", 0);
    bench.fail(&attempt, 5).await;
    bench
        .charge(&user("clear-user-6f1d-2").at("2001:db8:77:88::1"))
        .await
        .receipt();
    // when all keys and values are read
    let mut connection = connection().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{KEY_PREFIX}*"))
        .query_async(&mut connection)
        .await
        .unwrap();
    for kind in [
        "user:",
        "address:",
        "organization:",
        "service:",
        "calling-service:",
    ] {
        assert!(
            keys.iter()
                .any(|key| key.starts_with(&format!("{KEY_PREFIX}{kind}"))),
            "{kind}"
        );
    }
    for key in keys {
        let (value, life): (Option<String>, i64) = redis::pipe()
            .get(&key)
            .pttl(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        // another test's key may have expired in between
        let Some(value) = value else { continue };
        assert!(
            value
                .chars()
                .all(|char| char.is_ascii_digit() || char == ' ' || char == '-'),
            "{value}"
        );
        assert!(
            (-2..=49 * 3600 * 1000).contains(&life) && life != -1,
            "{key} lives {life} ms"
        );
        let mac = key.rsplit(':').next().unwrap();
        assert!(
            mac.len() == 32 && mac.chars().all(|char| char.is_ascii_hexdigit()),
            "{key}"
        );
        for clear in ["clear", "198.51", "2001:db8", "platform"] {
            assert!(!key.contains(clear), "{key}");
        }
    }
}

#[tokio::test]
async fn r10_a_redis_that_forgot_the_script_is_sent_it() {
    let bench = Bench::new(Form::Redis, Budgets::default());
    bench.fail(&user("ada"), 1).await;
    let mut connection = connection().await;
    let _: () = redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query_async(&mut connection)
        .await
        .unwrap();
    let attempts = vec![user("ada"); 10];
    let outcomes = bench.charge_all(&attempts).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.is_allowed())
            .count(),
        4
    );
}

#[tokio::test]
async fn r10_without_a_test_clock_redis_tells_the_time() {
    let address = redis_url();
    let store = RedisStore::new(&address, key_ring()).unwrap();
    let limiter = GuardedLimiter::new(store, Budgets::default(), manual_clock())
        .with_call_max(std::time::Duration::from_secs(20));
    for _ in 0..5 {
        keep(&limiter, charge_one(&limiter, "ada").await.receipt()).await;
    }
    let (dimension, seconds) = charge_one(&limiter, "ada").await.refusal();
    assert_eq!(dimension, Dimension::User);
    assert!((690..=720).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn r10_two_processes_share_one_budget() {
    let keys = key_ring();
    let clock = manual_clock();
    let limiter = || {
        let store = RedisStore::new(&redis_url(), keys.clone())
            .unwrap()
            .with_test_clock(clock.clone());
        GuardedLimiter::new(store, Budgets::default(), clock.clone())
            .with_call_max(std::time::Duration::from_secs(20))
    };
    let (one, other) = (limiter(), limiter());
    for _ in 0..2 {
        assert!(charge_one(&one, "ada").await.is_allowed());
        assert!(charge_one(&other, "ada").await.is_allowed());
    }
    assert!(charge_one(&one, "ada").await.is_allowed());
    assert!(!charge_one(&other, "ada").await.is_allowed());
}

#[tokio::test]
async fn r10_without_redis_short_credentials_queue_and_half_the_budgets_hold() {
    // given no server at the address
    let (listener, address) = local_listener().await;
    drop(listener);
    let (_clock, limiter) = limiter_at(address);
    // then attempts pass, and short credentials queue, vouched for or not
    let first = charge_one(&limiter, "ada").await;
    assert!(first.is_guarded());
    let vouched: Outcome = limiter
        .charge(&[user("grace").vouched()])
        .await
        .remove(0)
        .into();
    assert!(vouched.is_guarded());
    // and a charge that is given back is restored in the process
    give_back(&limiter, first.receipt(), Effect::Admitted).await;
    for _ in 0..5 {
        let failed = charge_one(&limiter, "ada").await;
        assert!(failed.is_guarded());
        keep(&limiter, failed.receipt()).await;
    }
    assert_eq!(
        charge_one(&limiter, "ada").await.refusal(),
        (Dimension::User, 30 * 60)
    );
    // and Redis is no longer asked
    charge_one(&limiter, "joan").await;
    assert!(limiter.redis_is_away());
}

#[tokio::test]
async fn u3_without_redis_a_repeat_costs_nothing_and_nobody_is_said_to_be_cleared() {
    let (listener, address) = local_listener().await;
    drop(listener);
    let (_clock, limiter) = limiter_at(address);
    for press in 0..10 {
        let outcome: Outcome = limiter
            .charge(&[user("ada").typing(1)])
            .await
            .remove(0)
            .into();
        let receipt = outcome.receipt();
        assert_eq!(receipt.is_repeat(), press > 0);
        keep(&limiter, receipt).await;
    }
    for _ in 0..4 {
        keep(&limiter, charge_one(&limiter, "ada").await.receipt()).await;
    }
    assert!(!charge_one(&limiter, "ada").await.is_allowed());
    // Redis may still know her, but this process does not
    let ada = user("ada").user;
    assert!(!limiter.clear(&ada).await);
    assert!(charge_one(&limiter, "ada").await.is_allowed());
}

#[tokio::test]
async fn r10_a_redis_that_hangs_is_given_up_after_five_calls() {
    // given a server that accepts connections and never answers
    let (_listener, address) = local_listener().await;
    let (_clock, limiter) = limiter_at(address);
    for call in 0..BREAKER_ERRORS_MAX {
        assert!(!limiter.redis_is_away(), "call {call}");
        assert!(
            charge_one(&limiter, &format!("student-{call}"))
                .await
                .is_guarded()
        );
    }
    assert!(limiter.redis_is_away());
    // then a call no longer waits: a thousand are answered, each of which would have waited 50 ms
    for number in 0..1_000 {
        assert!(
            charge_one(&limiter, &format!("late-{number}"))
                .await
                .is_guarded()
        );
    }
}

#[tokio::test]
async fn r10_a_redis_that_is_back_is_used_again() {
    // given a Redis considered unreachable, and a receipt of the fallback
    let (listener, address) = local_listener().await;
    drop(listener);
    let (clock, limiter) = limiter_at(address);
    let limiter = limiter.with_call_max(std::time::Duration::from_secs(20));
    let mut receipts = Vec::new();
    for number in 0..BREAKER_ERRORS_MAX {
        receipts.push(
            charge_one(&limiter, &format!("student-{number}"))
                .await
                .receipt(),
        );
    }
    assert!(limiter.redis_is_away());
    // when it is back at the same address
    let listener = TcpListener::bind(address).await.unwrap();
    let redis_address = redis_url()
        .trim_start_matches("redis://")
        .split('/')
        .next()
        .and_then(|authority| authority.rsplit('@').next().map(str::to_owned))
        .unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&redis_address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    // then a probe finds it, and no credential queues any more
    for probe in 0..20 {
        clock.advance(TimeDelta::milliseconds(BREAKER_PAUSE_MAX_MILLIS));
        charge_one(&limiter, &format!("probe-{probe}")).await;
        if !limiter.redis_is_away() {
            break;
        }
    }
    assert!(!charge_one(&limiter, "ada").await.is_guarded());
    // and the fallback's receipts are still settled
    for receipt in receipts {
        give_back(&limiter, receipt, Effect::Nothing).await;
    }
    assert!(!limiter.redis_is_away());
}
