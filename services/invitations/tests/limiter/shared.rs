//! Properties of Redis alone: its keys, its scripts, its own clock, and what its processes share.

use homeroom_invitations::limiter::{Budgets, Limiter, redis::Redis};
use redis::FromRedisValue;

use super::support::{
    AttemptWith as _, BY_USER, Bench, FAILED, Form, PATIENCE, key_of, key_ring, manual_clock,
    redis_url, user,
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
    let keys = key_ring();
    let bench = Bench::on(&redis_url(), keys.clone(), budgets);
    let named = user("ada").at("198.51.100.77").naming("hamilton");
    bench.fail(&named, 5).await;
    bench.fail(&user("grace").at("2001:db8:77:88::1"), 3).await;
    // then each counter has a key of its kind and a MAC, and numbers that expire
    for (kind, name) in [
        ("user", "ada"),
        ("address", "198.51.100.77"),
        ("address", "2001:db8:77:88::"),
        ("organization", "hamilton"),
        ("service", ""),
        ("calling-service", "learning-platform"),
    ] {
        let key = key_of(&keys, kind, name);
        assert!(name.is_empty() || !key.contains(name), "{key}");
        let value: String = ask(&["GET", &key]).await;
        let is_number = |char: char| char.is_ascii_digit() || " -".contains(char);
        assert!(value.chars().all(is_number), "{kind}: {value}");
        let life: i64 = ask(&["PTTL", &key]).await;
        assert!((1..=24 * 3600 * 1000).contains(&life), "{kind}: {life} ms");
    }
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
