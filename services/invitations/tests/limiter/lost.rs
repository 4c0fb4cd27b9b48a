//! The limiter while Redis does not answer, is replaced, hangs or refuses the login: nobody is refused, and it counts
//! again by itself within 5 seconds (R10).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom_invitations::limiter::{
    Attempt, Budgets, Dimension, Effect, End, Limiter, Receipt, Refused,
    breaker::BREAKER_ERRORS_MAX, budget::BUDGET_MAX, redis::Redis,
};
use homeroom_kit::{clock::SystemClock, keys::KeyRing};
use tokio::net::TcpListener;

use super::{
    free_address,
    redis_servers::{RedisCluster, RedisPair},
    support::{AttemptWith as _, FAILED, key_of, key_ring, user},
};

/// The maximum time until the limiter counts again, once Redis can.
const COUNTS_AGAIN_MAX: Duration = Duration::from_secs(5);
/// The maximum time of a call: longer than any takes on a busy machine, and shorter than redis-rs waits.
const CALL_MAX: Duration = Duration::from_millis(300);
/// The time for which a test waits for an effect.
const PATIENCE: Duration = Duration::from_secs(30);
/// The minimum time between two connections while a server stays demoted, in milliseconds.
const CONNECTIONS_APART_MILLIS: u128 = 200;
/// The number of connections to wait for while a server stays demoted.
const CONNECTIONS: usize = 4;
/// The number of users who attempt once a new master counts.
const USERS: usize = 20;

/// A limiter in real time, and users who attempt once each. None is ever refused.
struct Attempts {
    limiter: Limiter,
    keys: Arc<KeyRing>,
    count: usize,
}

impl Attempts {
    fn on(url: &str) -> Self {
        let keys = key_ring();
        let redis = Redis::new(url, keys.clone(), CALL_MAX).unwrap();
        // Nothing is settled, so any number may be under way.
        let budgets = Budgets {
            service_in_flight_attempts_max: BUDGET_MAX,
            ..Budgets::default()
        };
        Self {
            limiter: Limiter::on_redis(redis, budgets, Arc::new(SystemClock)),
            keys,
            count: 0,
        }
    }

    async fn charge(&self, attempt: &Attempt) -> Result<Receipt, Refused> {
        let attempts = std::slice::from_ref(attempt);
        self.limiter.charge(attempts).await.remove(0)
    }

    async fn settle(&self, attempt: &Attempt, end: End) -> Receipt {
        let receipt = self.charge(attempt).await.unwrap();
        self.limiter.settle(vec![(receipt, end)]).await;
        self.charge(attempt).await.unwrap()
    }

    /// Lets another user attempt. Returns true if Redis counted it, so that short credentials do not queue.
    async fn counted(&mut self) -> bool {
        self.count += 1;
        let attempt = user(&format!("student-{}", self.count));
        !self.charge(&attempt).await.unwrap().guess_guarded
    }

    /// Returns the key of the user who attempted last.
    fn key(&self) -> String {
        key_of(&self.keys, "user", &format!("student-{}", self.count))
    }

    /// Lets users attempt until Redis counts, up to the maximum time.
    async fn count_again(&mut self, what: &str) {
        let began = Instant::now();
        while !self.counted().await {
            let attempts = self.count;
            assert!(
                began.elapsed() < COUNTS_AGAIN_MAX,
                "{what}: {attempts} attempts, none counted"
            );
            tokio::task::yield_now().await;
        }
        println!("{what}: counts again after {:?}", began.elapsed());
    }

    /// Does the same, and requires that the primary holds the counters.
    async fn count_again_at(&mut self, redis: &RedisPair, what: &str) {
        self.count_again(what).await;
        let found: u32 = redis.ask(&["EXISTS", &self.key()]).await;
        assert_eq!(found, 1, "{what}: counted elsewhere");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_without_redis_short_credentials_queue_and_half_the_budgets_hold() {
    // given no server at the address
    let attempts = Attempts::on(&format!("redis://{}/", free_address()));
    let ada = user("ada").typing(1);
    // then attempts pass, and short credentials queue, vouched for or not
    for attempt in [user("mary"), user("grace").vouched()] {
        assert!(attempts.charge(&attempt).await.unwrap().guess_guarded);
    }
    // and a charge that is given back is restored in the process
    let admitted = End::GiveBack(Effect::Admitted);
    assert!(
        !attempts
            .settle(&user("joan").typing(1), admitted)
            .await
            .is_repeat
    );
    // and a repeat costs nothing
    assert!(attempts.settle(&ada, FAILED).await.is_repeat);
    for text in 2..=5 {
        assert!(
            attempts
                .settle(&user("ada").typing(text), FAILED)
                .await
                .is_repeat
        );
    }
    let refused = attempts.charge(&user("ada")).await.unwrap_err();
    assert_eq!(refused.dimension, Dimension::User);
    let seconds = refused.retry_after.as_secs();
    assert!((29 * 60..=30 * 60).contains(&seconds), "{seconds} s");
    // and nobody is said to be cleared: Redis may still know her, but this process does not
    assert!(!attempts.limiter.clear(&ada.user).await);
    assert!(attempts.charge(&user("ada")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_redis_that_hangs_is_given_up_after_five_calls() {
    // given a server that accepts connections and never answers
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut attempts = Attempts::on(&format!("redis://{address}/"));
    let began = Instant::now();
    for call in 0..BREAKER_ERRORS_MAX {
        assert!(!attempts.limiter.redis_is_away(), "call {call}");
        assert!(!attempts.counted().await);
    }
    assert!(attempts.limiter.redis_is_away());
    assert!(began.elapsed() >= CALL_MAX * BREAKER_ERRORS_MAX);
    // then calls no longer wait
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(!attempts.counted().await);
    }
    assert!(began.elapsed() < CALL_MAX * 500, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_redis_that_is_back_is_used_again_within_5_seconds() {
    let mut redis = RedisPair::start().await;
    let mut attempts = Attempts::on(&redis.url());
    assert!(attempts.counted().await);
    // given a Redis that is considered unreachable, and receipts of the process
    redis.kill();
    let mut receipts = Vec::new();
    while !attempts.limiter.redis_is_away() {
        receipts.push(attempts.charge(&user("ada")).await.unwrap());
    }
    // when it is back, then a probe finds it
    redis.start_again().await;
    attempts.count_again_at(&redis, "it is back").await;
    // and the process's receipts are still settled
    let end = End::GiveBack(Effect::Nothing);
    let ended = receipts.into_iter().map(|receipt| (receipt, end));
    assert_eq!(attempts.limiter.settle(ended.collect()).await, []);
    assert!(!attempts.limiter.redis_is_away());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_after_a_planned_failover_redis_counts_again_within_5_seconds() {
    // given a limiter that counts on the primary
    let mut redis = RedisPair::start().await;
    let mut attempts = Attempts::on(&redis.url());
    assert!(attempts.counted().await);
    // when it changes places with its replica, there and back, and the address follows
    for time in ["there", "and back"] {
        redis.fail_over().await;
        assert!(!attempts.counted().await, "the address leads elsewhere");
        redis.lead_to_the_primary();
        // then attempts are counted on the new primary
        attempts.count_again_at(&redis, time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_server_that_stays_demoted_is_connected_to_now_and_then() {
    // given a primary that was demoted, and an address that still leads to it
    let mut redis = RedisPair::start().await;
    let mut attempts = Attempts::on(&redis.url());
    assert!(attempts.counted().await);
    redis.fail_over().await;
    // when attempts go on, then the limiter connects again and again, but not with every attempt
    let began = Instant::now();
    while redis.accepted() < CONNECTIONS {
        assert!(!attempts.counted().await);
        let apart = usize::try_from(began.elapsed().as_millis() / CONNECTIONS_APART_MILLIS);
        let (accepted, most) = (redis.accepted(), 2 + apart.unwrap());
        assert!(accepted <= most, "{accepted} connections, at most {most}");
        assert!(began.elapsed() < PATIENCE, "{accepted} connections");
        tokio::task::yield_now().await;
    }
    // and counts once the address follows
    redis.lead_to_the_primary();
    attempts.count_again_at(&redis, "after a long time").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_connection_to_a_server_that_stands_still_is_left_for_its_replacement() {
    let mut redis = RedisPair::start().await;
    let mut attempts = Attempts::on(&redis.url());
    assert!(attempts.counted().await);
    // when the primary hangs with its connections open, and the address leads to its replica
    redis.replace_the_stopped().await;
    // then one attempt waits in vain, and soon the replica counts
    assert!(!attempts.counted().await);
    attempts
        .count_again_at(&redis, "in place of the stopped")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_after_a_refused_login_redis_and_a_cluster_count_again_within_5_seconds() {
    let (redis, cluster) = (RedisPair::start().await, RedisCluster::start().await);
    let set_password = async |password: &str| {
        let reset = ["ACL", "SETUSER", "limiter", "resetpass"];
        let words = [reset, [password, "on", "~*", "+@all"]].concat();
        redis.ask::<String>(&words).await;
        for master in 0..3 {
            cluster.ask::<String>(master, &words).await;
        }
    };
    // given a user of Redis whose password differs from the limiter's
    set_password(">another").await;
    let mut both = [redis.url(), cluster.url()]
        .map(|url| Attempts::on(&url.replace("redis://", "redis://limiter:right@")));
    for attempts in &mut both {
        while !attempts.limiter.redis_is_away() {
            assert!(!attempts.counted().await);
        }
    }
    // when the password is corrected, then attempts are counted
    set_password(">right").await;
    for attempts in &mut both {
        attempts.count_again("after a refused login").await;
    }
}

/// Makes a test of each way to replace a master of a cluster by its replica.
macro_rules! replaced {
    ($($name:ident: $how:literal,)+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() { replaces_a_master($how).await; })+
    };
}

replaced! {
    r10_after_a_failover_in_a_cluster_the_new_master_counts_within_5_seconds: "FAILOVER",
    r10_a_dead_master_of_a_cluster_is_left_for_its_replica_within_5_seconds: "KILL",
    r10_a_master_of_a_cluster_that_stands_still_is_left_for_its_replica_within_5_seconds: "STOP",
}

async fn replaces_a_master(how: &'static str) {
    // given attempts that go on while the first master is replaced, none of which is ever refused
    let mut cluster = RedisCluster::start().await;
    cluster.add_replica().await;
    let mut attempts = Attempts::on(&cluster.url());
    attempts.count_again("at the beginning").await;
    let go_on = async {
        loop {
            attempts.counted().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = cluster.replace_the_first(how) => {}
        () = go_on => {}
    }
    // when its replica has taken over, then one of its users is soon counted there, and then all are
    let began = Instant::now();
    let mut left = USERS;
    while left > 0 {
        assert!(began.elapsed() < COUNTS_AGAIN_MAX, "{how}: {left} left");
        let is_counted = attempts.counted().await;
        let key = attempts.key();
        if RedisCluster::first_owner(cluster.slot(&key).await) == 0 {
            assert!(is_counted || left == USERS, "one counted, another not");
            left -= usize::from(is_counted);
            let found: bool = cluster.ask(0, &["EXISTS", &key]).await;
            assert!(found || !is_counted, "{how}: counted elsewhere");
        }
    }
    println!("{how}: all count after {:?}", began.elapsed());
}
