//! Breaks databases and Redis: crashes, promotions, full disks, and servers that refuse writes.

use std::time::{Duration, Instant};

use homeroom_kit::database::Url;
use homeroom_tests::{probes, redis_servers::RedisPair};
use tokio::time::{sleep, timeout};

use super::Injection;
use crate::{fault::Fault, history::facts::Reader};

/// Writes far more pages than a full disk has left.
const PROBE: &str =
    "CREATE TABLE probe AS SELECT repeat('x', 500) AS text FROM generate_series(1, 4000)";
/// The time within which the probe must end.
const PROBE_SECONDS: u64 = 5;
/// The time within which services must report that they are not ready, if nothing can be written.
const NOT_READY_SECONDS: u64 = 10;
/// The time within which they must be ready again once everything can be written.
const BACK_SECONDS: u64 = 5;
/// The time within which the limiter must count again after a failover of Redis, in seconds.
const COUNTS_AGAIN_SECONDS: u64 = 5;
/// The interval between two checks of that.
const LOOK_AGAIN_MILLISECONDS: u64 = 20;

impl Injection<'_> {
    pub(super) async fn crash_postgres(&mut self) {
        while self.goes_on() {
            self.pause(100, 700).await;
            self.settling.broken();
            self.stage.postgres.crash().await;
            self.tally.add(Fault::PostgresCrash, 1);
            self.pause(0, 300).await;
            self.stage.postgres.start_again().await;
            self.stage.launch_what_ended().await;
            self.settling.healthy();
        }
    }

    pub(super) async fn promote_postgres(&mut self) {
        while self.goes_on() {
            self.pause(300, 1500).await;
            self.settling.broken();
            let pair = self.stage.postgres_pair.as_mut().unwrap();
            pair.promote().await;
            self.tally.add(Fault::PostgresPromotion, 1);
            self.stage.launch_what_ended().await;
            // A commit waits for the replica, so it must be there again first.
            self.stage
                .postgres_pair
                .as_mut()
                .unwrap()
                .renew_replica()
                .await;
            self.settling.healthy();
        }
    }

    /// Points the databases' address to the standby or makes new sessions read-only, in turn.
    /// Connections that were made meanwhile stay open afterwards.
    pub(super) async fn refuse_writes(&mut self) -> Option<String> {
        let mut to_standby = self.dice.chance(50);
        let mut wrong = None;
        while self.goes_on() && wrong.is_none() {
            self.pause(300, 1500).await;
            self.settling.broken();
            let pair = self.stage.postgres_pair.as_ref().unwrap();
            if to_standby {
                pair.proxy().set_upstream(pair.replica().address());
            } else {
                self.alter_databases("SET default_transaction_read_only = on")
                    .await;
            }
            pair.proxy().cut();
            wrong = self.are_ready(false, NOT_READY_SECONDS).await;
            let took_effect = u64::from(wrong.is_none());
            if to_standby {
                pair.proxy().set_upstream(pair.primary().address());
            } else {
                self.alter_databases("RESET default_transaction_read_only")
                    .await;
            }
            wrong = wrong.or(self.are_ready(true, BACK_SECONDS).await);
            self.tally.add(Fault::ReadOnly, took_effect);
            self.settling.healthy();
            to_standby = !to_standby;
        }
        wrong
    }

    /// Alters this round's databases on the primary itself.
    async fn alter_databases(&self, change: &str) {
        let primary = self.stage.postgres_pair.as_ref().unwrap().primary();
        let server = Url::Postgres(primary.url("postgres"));
        let mut server = Reader::open(&server).await.unwrap();
        for url in &self.stage.urls {
            let Url::Postgres(url) = url else { continue };
            let database = url.rsplit('/').next().unwrap();
            let statement = format!("ALTER DATABASE {database} {change}");
            server.execute(&statement).await.unwrap();
        }
        server.close().await;
    }

    pub(super) async fn fill_disk_of_sqlite(&mut self) -> Option<String> {
        let mut wrong = None;
        while self.goes_on() && wrong.is_none() {
            self.pause(300, 1500).await;
            self.settling.broken();
            self.stage.sqlite_disk.as_ref().unwrap().fill();
            wrong = self.are_ready(false, NOT_READY_SECONDS).await;
            self.tally
                .add(Fault::DiskFullSqlite, u64::from(wrong.is_none()));
            // A longer fault, so that transactions fail and not only readiness checks.
            self.pause(300, 2000).await;
            self.stage.sqlite_disk.as_ref().unwrap().free();
            wrong = wrong.or(self.are_ready(true, BACK_SECONDS).await);
            self.settling.healthy();
        }
        wrong
    }

    /// Waits until both services report this. Returns a violation if they do not in time.
    async fn are_ready(&self, ready: bool, seconds: u64) -> Option<String> {
        let until = Instant::now() + Duration::from_secs(seconds);
        for service in &self.stage.services {
            while probes::is_ready(service.settings.address).await != ready {
                if Instant::now() > until {
                    return Some(format!(
                        "readiness follows the database: {} does not say {ready} within {seconds} s",
                        service.settings.which.name()
                    ));
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        None
    }

    pub(super) async fn fill_disk(&mut self) -> Option<String> {
        let mut wrong = None;
        while self.goes_on() && wrong.is_none() {
            self.pause(300, 1500).await;
            self.settling.broken();
            let small = self.stage.small_disk.as_mut().unwrap();
            small.disk.fill();
            self.pause(300, 2000).await;
            let failed = self.a_write_fails().await;
            self.tally.add(Fault::DiskFull, u64::from(failed));
            let small = self.stage.small_disk.as_mut().unwrap();
            small.disk.free();
            // Without room for its log, PostgreSQL may have ended by itself, or may be starting
            // again.
            small.postgres.start_again().await;
            self.stage.launch_what_ended().await;
            wrong = self.are_ready(true, BACK_SECONDS).await;
            self.settling.healthy();
        }
        wrong
    }

    /// Returns true if a table of the driver, of some pages, cannot be written.
    async fn a_write_fails(&self) -> bool {
        let wrote = async {
            let mut reader = Reader::open(&self.stage.urls[0]).await?;
            reader.execute(PROBE).await?;
            reader.execute("DROP TABLE probe").await?;
            reader.close().await;
            Ok::<(), sqlx::Error>(())
        };
        let longest = Duration::from_secs(PROBE_SECONDS);
        timeout(longest, wrote)
            .await
            .is_ok_and(|wrote| wrote.is_err())
    }

    /// Breaks Redis in each way in turn. Returns a violation if the limiter does not count on the
    /// new primary after a failover.
    pub(super) async fn break_redis(&mut self) -> Option<String> {
        for turn in 0.. {
            self.pause(100, 600).await;
            if !self.goes_on() {
                break;
            }
            self.settling.broken();
            let pause = self.dice.millis(50, 1_500);
            let redis = &mut self.stage.redis;
            match turn % 5 {
                0 => {
                    redis.kill();
                    sleep(pause / 2).await;
                    redis.start_again().await;
                }
                1 => {
                    redis.stop();
                    sleep(pause).await;
                    redis.resume();
                }
                2 => redis.flush().await,
                3 => {
                    redis.promote().await;
                    redis.renew_replica().await;
                }
                // The two change places, and the address follows a little later.
                _ => {
                    redis.fail_over().await;
                    sleep(pause).await;
                    redis.lead_to_the_primary();
                    if !counts_on(redis).await {
                        return Some(format!(
                            "R10: the limiter did not count within {COUNTS_AGAIN_SECONDS} s of a failover of Redis"
                        ));
                    }
                }
            }
            self.tally.add(Fault::RedisAway, 1);
            self.settling.healthy();
        }
        None
    }
}

/// Returns true once the limiter, which the load calls all the time, runs its scripts on the
/// primary.
async fn counts_on(redis: &RedisPair) -> bool {
    let scripts_run = async || {
        let statistics: String = redis.ask(&["INFO", "commandstats"]).await;
        let calls = statistics.lines().filter_map(|line| {
            let (_, calls) = line.strip_prefix("cmdstat_eval")?.split_once("calls=")?;
            calls.split(',').next()?.parse::<u64>().ok()
        });
        calls.sum::<u64>()
    };
    let before = scripts_run().await;
    let until = Instant::now() + Duration::from_secs(COUNTS_AGAIN_SECONDS);
    while scripts_run().await == before {
        if Instant::now() > until {
            return false;
        }
        sleep(Duration::from_millis(LOOK_AGAIN_MILLISECONDS)).await;
    }
    true
}
