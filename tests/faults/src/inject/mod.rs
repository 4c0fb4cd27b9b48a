//! Injects faults repeatedly while the load runs.

mod calls;
mod connections;
mod kills;
mod others;
mod servers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom_tests::dice::Dice;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    fault::Fault,
    load::Scene,
    settling::Settling,
    stage::{Ground, Stage},
};

/// The injected faults that took effect.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The number of each fault, by name.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Kills at each failpoint.
    pub(crate) points: BTreeMap<String, u64>,
    /// Failpoints that were reached.
    pub(crate) known_points: BTreeSet<String>,
    /// Failpoints that were reached while faults were injected, not only while the schools were
    /// opened.
    #[serde(default)]
    pub(crate) reachable_points: BTreeSet<String>,
}

impl Tally {
    pub(crate) fn of(&self, fault: Fault) -> u64 {
        self.faults.get(fault.name()).copied().unwrap_or(0)
    }

    /// Returns the failpoints that rounds reach and at which no process was killed.
    pub(crate) fn points_not_killed_at(&self) -> Vec<&str> {
        let reachable = self.reachable_points.iter();
        reachable
            .filter(|point| !self.points.contains_key(*point))
            .map(String::as_str)
            .collect()
    }

    pub(crate) fn add(&mut self, fault: Fault, count: u64) {
        *self.faults.entry(fault.name().to_owned()).or_default() += count;
    }
}

pub(crate) struct Injection<'round> {
    pub(crate) stage: &'round mut Stage,
    pub(crate) settling: &'round Settling,
    pub(crate) scene: Arc<Scene>,
    pub(crate) tally: &'round mut Tally,
    pub(crate) dice: Dice,
    pub(crate) until: Instant,
}

impl Injection<'_> {
    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    async fn pause(&self, least: usize, most: usize) {
        sleep(self.dice.millis(least, most)).await;
    }

    /// Injects faults of one kind until the time is over, and repairs everything. Returns a
    /// violation that it noticed, if any.
    pub(crate) async fn run(mut self, fault: Fault) -> Option<String> {
        // The load starts first.
        self.pause(200, 400).await;
        let mut wrong = None;
        match fault {
            Fault::Kill => self.kill_at_points().await,
            Fault::SigkillAnywhere => self.kill_anywhere().await,
            Fault::PostgresCrash => self.crash_postgres().await,
            Fault::PostgresPromotion => self.promote_postgres().await,
            Fault::ReadOnly => wrong = self.refuse_writes().await,
            Fault::DiskFull => wrong = self.fill_disk().await,
            Fault::DiskFullSqlite => wrong = self.fill_disk_of_sqlite().await,
            Fault::RedisAway => wrong = self.break_redis().await,
            Fault::RequestLost
            | Fault::ReplyLost
            | Fault::Delayed
            | Fault::Repeated
            | Fault::Late
            | Fault::Deadline => self.break_calls(fault).await,
            Fault::Cut | Fault::Partition => self.break_connections(fault).await,
            Fault::ErrorsAtCommits => self.fail_commits().await,
            Fault::ClockSteps => self.step_clocks().await,
            Fault::PoisonedEvent => wrong = self.poison_feed().await,
            Fault::Overload => self.overload().await,
        }
        self.stage.proxies.heal().await;
        for service in &mut self.stage.services {
            service.disarm().await;
        }
        self.stage.launch_what_ended().await;
        self.settling.healthy();
        wrong
    }
}

/// Returns the servers on which a round of this fault runs.
pub(crate) fn ground_of(fault: Fault, round: u64) -> Ground {
    match fault {
        Fault::PostgresPromotion | Fault::ReadOnly => Ground::PostgresPair,
        Fault::DiskFull => Ground::SmallDisk,
        Fault::DiskFullSqlite => Ground::SmallDiskSqlite,
        // Every third round runs on the other engine.
        Fault::Kill | Fault::SigkillAnywhere | Fault::ErrorsAtCommits if round % 3 == 2 => {
            Ground::Sqlite
        }
        _ => Ground::Single,
    }
}

/// Returns the time for which the load runs under a fault of this kind, given the length of a
/// round.
pub(crate) fn length_of(fault: Fault, round: Duration) -> Duration {
    match fault {
        Fault::PostgresPromotion => round.mul_f64(1.5),
        _ => round,
    }
}
