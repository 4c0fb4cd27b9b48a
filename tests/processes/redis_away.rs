//! The limiter's Redis as operators see it: a gauge while it is away, and readiness, which does not
//! depend on it.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use homeroom_api::invitations::v1::{RedeemRequest, RedemptionOutcome, Token};
use homeroom_tests::{
    Claims, Clients, Engine,
    databases::Databases,
    free_address, person,
    probes::{is_ready, metric},
    processes::{Processes, Service},
    reason,
    redis_pair::RedisPair,
};

use crate::masters::Cluster;

/// The gauge.
const AWAY: &str = "homeroom_limiter_redis_away";
/// The possible refusals of a guess.
const DECIDED: [&str; 2] = ["CODE_NOT_USABLE", "TOO_MANY_ATTEMPTS"];
/// The time within which a service must notice that Redis is away, or back.
const NOTICE_SECONDS: u64 = 60;
/// The longest time after a failover for which short credentials may still lead to the queue.
const COUNTS_AGAIN_MAX: Duration = Duration::from_secs(5);
/// Longer than two readiness checks of a service, which happen every two seconds.
const READINESS_LOOKS: Duration = Duration::from_secs(5);
/// The number of attempts with a dead master: a third of the keys of this many users is on it.
const ATTEMPTS: usize = 60;

/// A platform whose users guess, each once.
struct Guesses {
    platform: Clients,
    count: usize,
}

impl Guesses {
    fn new(processes: &Processes) -> Self {
        let platform = processes.user_with(Claims {
            scopes: &["homeroom.act_as"],
            ..Claims::of("lms")
        });
        Self { platform, count: 0 }
    }

    /// Makes one guess as another user, and checks that it gets a decision, whatever the state of
    /// Redis.
    async fn guess(&mut self) {
        self.count += 1;
        let request = RedeemRequest {
            credential: "HAMILTON-NOTHING".to_owned(),
            user: Some(person(&format!("guesser-{}", self.count))),
            ..Default::default()
        };
        let refused = self.platform.redeem_with(request).await.unwrap_err();
        let reason = reason(&refused);
        assert!(DECIDED.contains(&reason.as_str()), "{refused:?}");
    }
}

async fn with_redis(url: String, metrics: std::net::SocketAddr) -> Processes {
    let mut databases = Databases::create(Engine::Sqlite).await;
    databases.redis = Some(url);
    let mut processes = Processes::on(databases);
    for (name, value) in [
        ("METRICS_LISTEN_ADDRESS", metrics.to_string().as_str()),
        ("RUST_LOG", "off"),
    ] {
        processes = processes.with_setting(Service::Invitations, name, value);
    }
    processes.launch_both().await;
    processes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_the_gauge_says_1_while_redis_is_away_and_0_after() {
    // Given a service whose Redis answers,
    let mut redis = RedisPair::start().await;
    let metrics = free_address();
    let processes = with_redis(redis.url(), metrics).await;
    let mut guesses = Guesses::new(&processes);
    let mut says = async |expected: f64, what: &str| {
        let wait = async {
            while metric(metrics, AWAY).await != Some(expected) {
                guesses.guess().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(NOTICE_SECONDS), wait)
            .await
            .unwrap_or_else(|_| panic!("{what}: the gauge does not say {expected}"));
    };
    says(0.0, "Redis answers").await;
    // when Redis is killed, then the gauge reports it,
    redis.kill();
    says(1.0, "Redis was killed").await;
    // and also when it is back.
    redis.start_again().await;
    says(0.0, "Redis is back").await;
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_within_5_seconds_of_a_failover_phrases_let_in_again_without_a_restart() {
    // Given a service whose Redis swaps roles with its replica,
    let mut redis = RedisPair::start().await;
    let processes = with_redis(redis.url(), free_address()).await;
    let of_any_number = Token {
        max_uses: Some(0),
        ..Default::default()
    };
    let phrase = processes.school().await.token(of_any_number).await.phrase;
    let count = Cell::new(0);
    let redeem = async || {
        count.set(count.get() + 1);
        let student = processes.user(&format!("student-{}", count.get()));
        student.redeem(&phrase).await.unwrap().outcome()
    };
    let let_in = async |within: Duration| {
        let began = Instant::now();
        while redeem().await != RedemptionOutcome::Admitted {
            assert!(began.elapsed() < within, "they queue still");
        }
        assert!(began.elapsed() < within);
    };
    // On a busy machine the first calls may exceed the limiter's time.
    let_in(Duration::from_secs(NOTICE_SECONDS)).await;
    redis.fail_over().await;
    // when the address still leads to the demoted server, then nobody is refused, and students
    // queue,
    assert_eq!(redeem().await, RedemptionOutcome::PendingApproval);
    // and once it leads to the new primary, students are admitted again.
    redis.lead_to_the_primary();
    let_in(COUNTS_AGAIN_MAX).await;
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_readiness_stays_serving_beside_a_dead_master_of_a_cluster() {
    // Given a service whose limiter is on three masters,
    let mut cluster = Cluster::start();
    let processes = with_redis(cluster.url(), free_address()).await;
    let invitations = processes.address(Service::Invitations);
    let mut guesses = Guesses::new(&processes);
    guesses.guess().await;
    assert!(is_ready(invitations).await);
    // when one of them dies,
    cluster.kill(0);
    // then attempts still get a decision, and the service stays ready beyond the next readiness
    // check.
    let looked_again = tokio::time::Instant::now() + READINESS_LOOKS;
    let mut attempts = 0;
    while attempts < ATTEMPTS || tokio::time::Instant::now() < looked_again {
        guesses.guess().await;
        attempts += 1;
        assert!(is_ready(invitations).await, "after {attempts} attempts");
    }
    processes.stop().await;
}
