//! PostgreSQL and Redis: crashes, promotions, a full disk.

use std::time::Duration;

use tokio::time::timeout;

use super::Injection;
use crate::{fault::Fault, history::facts::Reader};

/// Far more pages than a full disk has left.
const PROBE: &str =
    "CREATE TABLE probe AS SELECT repeat('x', 500) AS text FROM generate_series(1, 4000)";
/// How long the probe may take.
const PROBE_SECONDS: u64 = 5;

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
            // Not before the replica is there again: a commit waits for it.
            self.stage
                .postgres_pair
                .as_mut()
                .unwrap()
                .renew_replica()
                .await;
            self.settling.healthy();
        }
    }

    pub(super) async fn fill_disk(&mut self) {
        while self.goes_on() {
            self.pause(300, 1500).await;
            self.settling.broken();
            let small = self.stage.small_disk.as_mut().unwrap();
            small.disk.fill();
            self.pause(300, 2000).await;
            let failed = self.a_write_fails().await;
            self.tally.add(Fault::DiskFull, u64::from(failed));
            let small = self.stage.small_disk.as_mut().unwrap();
            small.disk.free();
            // Without room for its log it may have ended by itself, or be starting again.
            small.postgres.start_again().await;
            self.stage.launch_what_ended().await;
            self.settling.healthy();
        }
    }

    /// Whether a table of the driver's own, of some pages, cannot be written.
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

    pub(super) async fn break_redis(&mut self, fault: Fault) {
        while self.goes_on() {
            self.pause(100, 600).await;
            self.settling.broken();
            match fault {
                Fault::RedisKill => {
                    self.stage.redis.kill().await;
                    self.pause(50, 800).await;
                    self.stage.redis.start_again().await;
                }
                Fault::RedisStop => {
                    self.stage.redis.stop();
                    self.pause(50, 1500).await;
                    self.stage.redis.resume();
                }
                Fault::RedisFlush => self.stage.redis.flush().await,
                _ => {
                    let pair = self.stage.redis_pair.as_mut().unwrap();
                    pair.promote().await;
                    pair.renew_replica().await;
                }
            }
            self.tally.add(fault, 1);
            self.settling.healthy();
        }
    }
}
