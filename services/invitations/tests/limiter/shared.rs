//! Properties of Redis alone: its keys, its scripts, its own clock, and what its processes share.

use std::collections::BTreeSet;

use homeroom_invitations::limiter::{
    Budgets, Limiter,
    redis::{KEY_PREFIX, Redis},
};
use redis::FromRedisValue;

use super::support::{
    AttemptWith as _, BY_USER, Bench, FAILED, Form, PATIENCE, key_ring, manual_clock, redis_url,
    user,
};

async fn ask<T: FromRedisValue>(words: &[&str]) -> T {
    let client = redis::Client::open(redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn r10_keys_hold_nothing_in_clear_and_expire() {
    // given charges in every dimension
    let budgets = Budgets {
        calling_service_attempts_per_minute: Some(100),
        ..Budgets::default()
    };
    let bench = Bench::new(Form::Redis, budgets).await;
    let attempt = user("clear-user-6f1d").at("198.51.100.77");
    bench.fail(&attempt.clone().naming("clear-6f1d"), 5).await;
    bench
        .fail(
            &attempt
                .at("2001:db8:77:88::1")
                .with(|attempt| attempt.user = user("clear-2").user),
            3,
        )
        .await;
    // when all keys and values are read
    let keys: Vec<String> = ask(&["KEYS", &format!("{KEY_PREFIX}*")]).await;
    let mut kinds = BTreeSet::new();
    for key in keys {
        let life: i64 = ask(&["PTTL", &key]).await;
        // another test's key may have expired in between
        let Some(value) = ask::<Option<String>>(&["GET", &key]).await else {
            continue;
        };
        let is_number = |char: char| char.is_ascii_digit() || " -".contains(char);
        assert!(value.chars().all(is_number), "{value}");
        assert!((1..=24 * 3600 * 1000).contains(&life), "{key}: {life} ms");
        let (kind, mac) = key[KEY_PREFIX.len()..].split_once(':').unwrap();
        let is_mac = mac.len() == 32 && mac.chars().all(|char| char.is_ascii_hexdigit());
        assert!(is_mac, "{key}");
        kinds.insert(kind.to_owned());
    }
    let expected = [
        "address",
        "calling-service",
        "organization",
        "service",
        "user",
    ];
    assert!(kinds.iter().eq(&expected), "{kinds:?}");
}

#[tokio::test]
async fn r10_a_redis_that_forgot_the_script_is_sent_it() {
    let bench = Bench::with_defaults(Form::Redis).await;
    bench.fail(&user("ada"), 1).await;
    ask::<String>(&["SCRIPT", "FLUSH"]).await;
    let attempts = vec![user("ada"); 10];
    assert_eq!(bench.allowed_of(&attempts).await, 4);
}

#[tokio::test]
async fn r10_without_a_test_clock_redis_tells_the_time() {
    let redis = Redis::new(&redis_url(), key_ring(), PATIENCE).unwrap();
    let limiter = Limiter::on_redis(redis, Budgets::default(), manual_clock());
    for receipt in limiter.charge(&vec![user("ada"); 5]).await {
        limiter.settle(vec![(receipt.unwrap(), FAILED)]).await;
    }
    let refused = limiter.charge(&[user("ada")]).await.remove(0).unwrap_err();
    let seconds = refused.retry_after.as_secs();
    assert!((690..=720).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn r10_two_processes_share_one_budget() {
    let keys = key_ring();
    let process = || Bench::on(&redis_url(), keys.clone(), Budgets::default());
    let (one, other) = (process(), process());
    one.fail(&user("ada"), 3).await;
    other.fail(&user("ada"), 2).await;
    assert_eq!(one.refusal(&user("ada")).await, BY_USER);
}
