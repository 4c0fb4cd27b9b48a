//! Breaking things, again and again while the load runs.

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

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    dice::Dice,
    fault::Fault,
    load::Scene,
    settling::Settling,
    stage::{Ground, Stage},
};

/// What was injected and took effect.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Of each fault, by name.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Kills at each failpoint.
    pub(crate) points: BTreeMap<String, u64>,
    /// Failpoints that were come by.
    pub(crate) known_points: BTreeSet<String>,
    /// Those of them that were come by while faults were injected, and not at the opening alone.
    #[serde(default)]
    pub(crate) reachable_points: BTreeSet<String>,
}

impl Tally {
    pub(crate) fn of(&self, fault: Fault) -> u64 {
        self.faults.get(fault.name()).copied().unwrap_or(0)
    }

    /// Failpoints that rounds reach and that no process was killed at.
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

/// One round's injection.
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

    /// Injects faults of one kind until the time is over, and heals what it broke. What is wrong
    /// already, if anything.
    pub(crate) async fn run(mut self, fault: Fault) -> Option<String> {
        // The load is under way first.
        self.pause(200, 400).await;
        let mut wrong = None;
        match fault {
            Fault::KillInvitations | Fault::KillMembership => self.kill_at_points(fault).await,
            Fault::SigkillAnywhere => self.kill_anywhere().await,
            Fault::PostgresCrash => self.crash_postgres().await,
            Fault::PostgresPromotion => self.promote_postgres().await,
            Fault::ReadOnly => wrong = self.refuse_writes().await,
            Fault::DiskFull => wrong = self.fill_disk().await,
            Fault::DiskFullSqlite => wrong = self.fill_disk_of_sqlite().await,
            Fault::RedisKill | Fault::RedisStop | Fault::RedisFlush | Fault::RedisPromotion => {
                self.break_redis(fault).await;
            }
            Fault::RedisFailover => wrong = self.fail_over_redis().await,
            Fault::RequestLost
            | Fault::ReplyLost
            | Fault::Delayed
            | Fault::Repeated
            | Fault::Late
            | Fault::Deadline => self.break_calls(fault).await,
            Fault::Cut | Fault::OneWay | Fault::Partition => self.break_connections(fault).await,
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

/// The servers that a round of this fault runs on.
pub(crate) fn ground_of(fault: Fault, round: u64) -> Ground {
    match fault {
        Fault::PostgresPromotion | Fault::ReadOnly => Ground::PostgresPair,
        Fault::DiskFull => Ground::SmallDisk,
        Fault::DiskFullSqlite => Ground::SmallDiskSqlite,
        Fault::RedisPromotion | Fault::RedisFailover => Ground::RedisPair,
        // Every third on the other engine.
        Fault::KillInvitations
        | Fault::KillMembership
        | Fault::SigkillAnywhere
        | Fault::ErrorsAtCommits
            if round % 3 == 2 =>
        {
            Ground::Sqlite
        }
        _ => Ground::Single,
    }
}

/// How long the load runs under a fault of this kind, where a round is so long.
pub(crate) fn length_of(fault: Fault, round: Duration) -> Duration {
    match fault {
        Fault::PostgresPromotion => round.mul_f64(1.5),
        _ => round,
    }
}
