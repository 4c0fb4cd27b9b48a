//! Kills processes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Injection;
use crate::{fault::Fault, service::Which};

/// The number of failpoints that are armed at once.
const POINTS_ARMED: usize = 10;
/// The time after which other failpoints are armed, if none was reached.
const ARMED_MILLIS: u64 = 500;
/// The time after which others are armed, if a failpoint that was armed alone was not reached. It is longer than the
/// intervals between the searches of workers.
const ARMED_ALONE_MILLIS: u64 = 4_000;
/// The number of times that a failpoint is armed beside others; if one of them was always reached before it, it is
/// armed alone.
const ARMED_BESIDE_MAX: u64 = 8;
/// The percentage of restarts in which the failpoints are armed from the beginning.
const ARMED_AT_START_PERCENT: usize = 20;

impl Injection<'_> {
    /// Kills one service after the other at one of its failpoints: those with the fewest kills so
    /// far are armed, and the first that is reached counts.
    pub(super) async fn kill_at_points(&mut self) {
        let whole = self.until;
        let half = whole.saturating_duration_since(Instant::now()) / 2;
        for (which, until) in [
            (Which::Invitations, Instant::now() + half),
            (Which::Membership, whole),
        ] {
            self.until = until;
            self.kill_one_at_points(which).await;
            self.stage.launch_what_ended().await;
        }
    }

    async fn kill_one_at_points(&mut self, which: Which) {
        let fault = Fault::Kill;
        let prefix = format!("{}.", which.name());
        // Failpoints that were armed and not reached wait until the others had their turn.
        let mut missed: BTreeMap<String, u64> = BTreeMap::new();
        // The number of times that each failpoint was armed, since nothing was killed at it.
        let mut armed: BTreeMap<String, u64> = BTreeMap::new();
        let mut broken = false;
        // Failpoints that were reached while the schools were opened may not be reached in a round.
        let mut opening = self.stage.services[which as usize].points().await;
        while self.goes_on() {
            let service = &mut self.stage.services[which as usize];
            let met = service.points().await;
            let again = met
                .iter()
                .filter(|(point, hits)| opening.get(*point).is_none_or(|before| *hits > before));
            let again: Vec<String> = again.map(|(point, _)| point.clone()).collect();
            self.tally.reachable_points.extend(again);
            self.tally.known_points.extend(met.into_keys());
            let turns = |point: &String| {
                let killed = self.tally.points.get(point).copied().unwrap_or(0);
                killed + missed.get(point).copied().unwrap_or(0)
            };
            let known = self.tally.known_points.iter();
            let mut points: Vec<String> = known
                .filter(|point| point.starts_with(&prefix))
                .cloned()
                .collect();
            points.sort_by_key(turns);
            points.truncate(POINTS_ARMED);
            let never = self.tally.points_not_killed_at();
            let rare = points.iter().find(|point| {
                let times = armed.get(*point).copied().unwrap_or(0);
                never.contains(&point.as_str()) && times >= ARMED_BESIDE_MAX
            });
            let mut wait_millis = ARMED_MILLIS;
            if let Some(rare) = rare.cloned() {
                points = vec![rare];
                wait_millis = ARMED_ALONE_MILLIS;
                armed.clear();
            }
            for point in &points {
                *armed.entry(point.clone()).or_default() += 1;
                service.command(&format!("arm {point} abort 1")).await;
            }
            let ended = service
                .ends_within(Duration::from_millis(wait_millis))
                .await;
            if !ended {
                service.disarm().await;
                for point in &points {
                    *missed.entry(point.clone()).or_default() += 1;
                }
            }
            if !service.is_running() {
                opening.clear();
                broken = true;
                self.settling.broken();
            }
            for point in service.take_aborts() {
                self.tally.add(fault, 1);
                self.tally.reachable_points.insert(point.clone());
                *self.tally.points.entry(point).or_default() += 1;
            }
            if ended && self.dice.chance(ARMED_AT_START_PERCENT) {
                // Failpoints that are reached only during the start have their turn here.
                let commands: Vec<String> = points
                    .iter()
                    .map(|point| format!("arm {point} abort 1"))
                    .collect();
                service.start_armed(&commands);
                continue;
            }
            service.launch().await;
            if broken {
                broken = false;
                self.settling.healthy();
                self.pause(20, 150).await;
            }
        }
        // Nothing stays armed, because every running process is restarted.
        let service = &mut self.stage.services[which as usize];
        service.kill().await;
        for point in service.take_aborts() {
            self.tally.add(fault, 1);
            *self.tally.points.entry(point).or_default() += 1;
        }
    }

    /// Kills a process at a random moment, sometimes both.
    pub(super) async fn kill_anywhere(&mut self) {
        while self.goes_on() {
            self.pause(50, 400).await;
            let both = self.dice.chance(15);
            let first = self.dice.below(2);
            self.settling.broken();
            for index in [first, 1 - first]
                .into_iter()
                .take(if both { 2 } else { 1 })
            {
                let killed = self.stage.services[index].kill().await;
                self.tally.add(Fault::SigkillAnywhere, u64::from(killed));
            }
            self.stage.launch_what_ended().await;
            self.settling.healthy();
        }
    }
}
