//! The limiter's Redis as operators see it: a gauge while it is away, and readiness, which does not
//! depend on it.

use std::time::Duration;

use homeroom_tests::{
    Claims, Clients, Engine,
    databases::Databases,
    free_address,
    probes::{is_ready, metric},
    processes::{Processes, Service},
    redis_servers::RedisPair,
};
use serde_json::json;

/// The gauge.
const AWAY: &str = "homeroom_limiter_redis_away";
/// The possible refusals of a guess.
const DECIDED: [&str; 2] = ["CODE_NOT_USABLE", "TOO_MANY_ATTEMPTS"];
/// The time within which a service must notice that Redis is away, or back.
const NOTICE_SECONDS: u64 = 60;

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
        let user = json!({"user": format!("guesser-{}", self.count)});
        let guess = json!({"credential": "HAMILTON-NOTHING", "user": user});
        let redeem = "RedemptionService.Redeem";
        let refused = self.platform.refused(redeem, guess).await;
        assert!(DECIDED.contains(&refused.as_str()), "{refused}");
    }
}

async fn with_redis(url: String, metrics: std::net::SocketAddr) -> Processes {
    let mut databases = Databases::create(Engine::Sqlite).await;
    databases.redis = Some(url);
    let mut processes = Processes::on(databases)
        .with_setting(Service::Invitations, "RUST_LOG", "off")
        .with_setting(
            Service::Invitations,
            "METRICS_LISTEN_ADDRESS",
            &metrics.to_string(),
        );
    processes.launch_both().await;
    processes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_the_gauge_says_1_while_redis_is_away_and_0_after_and_the_service_stays_ready() {
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
    // when Redis is killed, then the gauge reports it, and the service stays ready,
    redis.kill();
    says(1.0, "Redis was killed").await;
    assert!(is_ready(processes.address(Service::Invitations)).await);
    // and also when it is back.
    redis.start_again().await;
    says(0.0, "Redis is back").await;
    processes.stop().await;
}
