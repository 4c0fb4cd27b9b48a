//! Redis changes places with its replica, hangs or refuses the login: the limiter counts again by itself (R10).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom_invitations::limiter::{
    Budgets, Limiter as _, fallback::GuardedLimiter, redis::RedisStore,
};
use homeroom_kit::{clock::SystemClock, keys::KeyRing};

use super::{
    masters::Cluster,
    redis_pair::RedisPair,
    support::{Outcome, key_of, key_ring, user},
};

/// The maximum time after the failover's end until the limiter counts on the new primary.
const COUNTS_AGAIN_MAX: Duration = Duration::from_secs(5);
/// The maximum time of a call: longer than any takes on a busy machine, and shorter than redis-rs waits.
const CALL_MAX: Duration = Duration::from_millis(300);
/// The time for which a test waits for an effect.
const PATIENCE: Duration = Duration::from_secs(30);
/// The minimum time between two connections while a server stays demoted, in milliseconds.
const CONNECTIONS_APART_MILLIS: u128 = 200;
/// The number of connections to wait for while a server stays demoted.
const CONNECTIONS: usize = 5;

/// The number of users who attempt once a new master counts.
const USERS: usize = 20;

/// A limiter in real time, and users who attempt once each. None is ever refused.
struct Attempts {
    limiter: GuardedLimiter,
    keys: Arc<KeyRing>,
    count: usize,
}

impl Attempts {
    fn on(url: &str) -> Self {
        let keys = key_ring();
        let store = RedisStore::new(url, keys.clone()).unwrap();
        let limiter = GuardedLimiter::new(store, Budgets::default(), Arc::new(SystemClock));
        Self {
            limiter: limiter.with_call_max(CALL_MAX),
            keys,
            count: 0,
        }
    }

    /// Lets another user attempt. Returns true if Redis counted it, so that short credentials do not queue.
    async fn counted(&mut self) -> bool {
        self.count += 1;
        self.attempt().await
    }

    async fn attempt(&self) -> bool {
        let attempt = user(&self.user());
        let outcome: Outcome = self.limiter.charge(&[attempt]).await.remove(0).into();
        !outcome.is_guarded()
    }

    /// Returns the user who attempted last.
    fn user(&self) -> String {
        format!("student-{}", self.count)
    }

    /// Lets users attempt until Redis counts, up to the maximum time.
    async fn count_again(&mut self, what: &str) {
        let began = Instant::now();
        while !self.counted().await {
            assert!(
                began.elapsed() < COUNTS_AGAIN_MAX,
                "{what}: {} attempts, none counted",
                self.count
            );
            tokio::task::yield_now().await;
        }
        assert!(began.elapsed() < COUNTS_AGAIN_MAX, "{what}");
        println!("{what}: counts again after {:?}", began.elapsed());
    }

    /// Lets users whose keys the first master keeps attempt until it counts one, and then others, each once.
    async fn count_again_at_the_first(&mut self, cluster: &Cluster, what: &str) {
        let began = Instant::now();
        let mut left = USERS;
        while left > 0 {
            assert!(began.elapsed() < COUNTS_AGAIN_MAX, "{what}: none counted");
            self.count += 1;
            let key = key_of(&self.keys, "user", &self.user());
            if Cluster::first_owner(cluster.slot(&key)) != 0 {
                continue;
            }
            let is_counted = self.attempt().await;
            assert!(
                is_counted || left == USERS,
                "{what}: one counted, another not"
            );
            if is_counted {
                left -= 1;
                let found: u32 = cluster.ask(0, &["EXISTS", &key]);
                assert_eq!(found, 1, "{what}: counted elsewhere");
            }
        }
        println!("{what}: all count after {:?}", began.elapsed());
    }

    /// Requires that the primary holds the counters of the user who attempted last.
    async fn require_at_primary(&self, redis: &RedisPair) {
        let found: u32 = redis
            .ask(&["EXISTS", &key_of(&self.keys, "user", &self.user())])
            .await;
        assert_eq!(found, 1, "counted elsewhere");
    }
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
        attempts.count_again(time).await;
        attempts.require_at_primary(&redis).await;
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
        let apart =
            usize::try_from(began.elapsed().as_millis() / CONNECTIONS_APART_MILLIS).unwrap();
        let (accepted, most) = (redis.accepted(), 2 + apart);
        assert!(accepted <= most, "{accepted} connections, at most {most}");
        assert!(began.elapsed() < PATIENCE, "{accepted} connections");
        tokio::task::yield_now().await;
    }
    // and counts once the address follows
    redis.lead_to_the_primary();
    attempts.count_again("after a long time").await;
    attempts.require_at_primary(&redis).await;
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
    attempts.count_again("in place of the stopped").await;
    attempts.require_at_primary(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_after_a_refused_login_redis_counts_again_within_5_seconds() {
    let redis = RedisPair::start().await;
    let set_password = async |words: &[&str]| drop(redis.ask::<String>(words).await);
    counts_once_the_password_is_right(&redis.url(), set_password).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_after_a_refused_login_a_cluster_counts_again_within_5_seconds() {
    let cluster = Cluster::start();
    let set_password = async |words: &[&str]| {
        for master in 0..3 {
            cluster.ask::<String>(master, words);
        }
    };
    counts_once_the_password_is_right(&cluster.url(), set_password).await;
}

async fn counts_once_the_password_is_right(url: &str, run: impl AsyncFn(&[&str])) {
    let set_password = async |password: &str| {
        run(&[
            "ACL",
            "SETUSER",
            "limiter",
            "resetpass",
            password,
            "on",
            "~*",
            "+@all",
        ])
        .await;
    };
    // given a user of Redis whose password differs from the limiter's
    set_password(">another").await;
    let mut attempts = Attempts::on(&url.replace("redis://", "redis://limiter:right@"));
    while !attempts.limiter.redis_is_away() {
        assert!(!attempts.counted().await);
    }
    // when the password is corrected, then attempts are counted
    set_password(">right").await;
    attempts.count_again("after a refused login").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_after_a_failover_in_a_cluster_the_new_master_counts_within_5_seconds() {
    let mut cluster = Cluster::start();
    cluster.add_replica();
    let mut attempts = Attempts::on(&cluster.url());
    assert!(attempts.counted().await);
    // when the first master changes places with its replica, there and back
    for time in ["there", "and back"] {
        cluster.fail_over();
        // then all are counted by the current master
        attempts.count_again_at_the_first(&cluster, time).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_dead_master_of_a_cluster_is_left_for_its_replica_within_5_seconds() {
    loses_its_first_master("KILL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_master_of_a_cluster_that_stands_still_is_left_for_its_replica_within_5_seconds() {
    loses_its_first_master("STOP").await;
}

async fn loses_its_first_master(signal: &'static str) {
    // given attempts that go on while the first master is lost, none of which is ever refused
    let mut cluster = Cluster::start();
    cluster.add_replica();
    let mut attempts = Attempts::on(&cluster.url());
    assert!(attempts.counted().await);
    let losing = tokio::task::spawn_blocking(move || {
        cluster.lose_the_first(signal);
        cluster
    });
    while !losing.is_finished() {
        attempts.counted().await;
    }
    // when its replica has taken over, then all are counted there
    let cluster = losing.await.unwrap();
    attempts.count_again_at_the_first(&cluster, signal).await;
}
