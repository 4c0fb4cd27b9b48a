//! Injects failing commits, clock steps, events that cannot be followed, and overload.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use homeroom_faults::surroundings::{Loss, RpcFault};
use tokio::time::sleep;
use uuid::Uuid;

use super::Injection;
use crate::{fault::Fault, history::facts::Reader, service::Which};

/// The bounds of a clock's steps, in seconds. Invitations signs its tokens for membership by its
/// clock, and they are valid for 5 minutes.
const STEPS_BELOW_SECONDS: [usize; 2] = [86_400, 230];
/// The percentage of replies between the services that are lost while clocks step.
const LOST_PERCENT: usize = 15;
/// The time within which the feed must skip an event that it cannot follow.
const PASS_OVER_SECONDS: u64 = 20;

impl Injection<'_> {
    pub(super) async fn fail_commits(&mut self) {
        while self.goes_on() {
            let which = *self.dice.pick(&Which::BOTH);
            let service = &mut self.stage.services[which as usize];
            let met = service.points().await;
            let (begins, commits): (Vec<String>, Vec<String>) = met
                .into_keys()
                .filter(|point| point.ends_with("_commit") || point.ends_with(".before_begin"))
                .partition(|point| point.ends_with(".before_begin"));
            let begins = if self.dice.chance(30) {
                begins
            } else {
                Vec::new()
            };
            let choice = if begins.is_empty() { commits } else { begins };
            if choice.is_empty() {
                self.pause(50, 100).await;
                continue;
            }
            let point = self.dice.pick(&choice);
            let late = point.ends_with(".before_begin") || self.dice.chance(30);
            let action = if late {
                format!("delay:{}", 50 + self.dice.below(3_000))
            } else {
                "fail".to_owned()
            };
            self.settling.broken();
            let times = 1 + self.dice.below(8);
            service
                .command(&format!("arm {point} {action} 1 {times}"))
                .await;
            let hits = |points: BTreeMap<String, u64>| points.get(point).copied().unwrap_or(0);
            let before = hits(service.points().await);
            sleep(self.dice.millis(50, 300)).await;
            let reached = hits(service.points().await).saturating_sub(before);
            service.disarm().await;
            // A service that did not answer was killed.
            self.stage.launch_what_ended().await;
            self.tally
                .add(Fault::ErrorsAtCommits, reached.min(times as u64));
            self.settling.healthy();
        }
    }

    /// Steps the clocks. Replies are lost meanwhile, so that redemptions in doubt have stored
    /// times.
    pub(super) async fn step_clocks(&mut self) {
        let mut ahead = [0_i64; 2];
        self.settling.broken();
        let dice = self.dice.split();
        self.stage
            .proxies
            .invitations_to_membership
            .decide(move || {
                if dice.chance(LOST_PERCENT) {
                    RpcFault::DropReply(Loss::Unavailable)
                } else {
                    RpcFault::None
                }
            });
        while self.goes_on() {
            let which = self.dice.below(2);
            let bound = STEPS_BELOW_SECONDS[which];
            let target =
                i64::try_from(self.dice.below(2 * bound)).unwrap() - i64::try_from(bound).unwrap();
            if self.step(which, target - ahead[which]).await {
                ahead[which] = target;
                self.tally.add(Fault::ClockSteps, 1);
            } else {
                ahead[which] = 0;
            }
            self.pause(100, 900).await;
        }
        for (which, ahead) in ahead.into_iter().enumerate() {
            self.step(which, -ahead).await;
        }
    }

    /// Steps a clock and returns true if it did. A service that did not answer was killed, and
    /// restarts with the right clock.
    async fn step(&mut self, which: usize, seconds: i64) -> bool {
        let service = &mut self.stage.services[which];
        let answer = service.command(&format!("clock {seconds:+}")).await;
        service.launch().await;
        answer.as_deref() == Some("ok")
    }

    /// Writes events that name no redemption into membership's feed. Each must be skipped and
    /// recorded. The driver deletes them afterwards, since they belong to no join request.
    pub(super) async fn poison_feed(&mut self) -> Option<String> {
        let urls = self.stage.urls.clone();
        let mut membership = Reader::open(&urls[0]).await.unwrap();
        let mut invitations = Reader::open(&urls[1]).await.unwrap();
        let school = self.scene.schools[0].organization.clone();
        let organization = school.trim_start_matches("organizations/");
        let mut wrong = None;
        while self.goes_on() && wrong.is_none() {
            let id = self.dice.request_id().parse::<Uuid>().unwrap();
            let insert = format!(
                "INSERT INTO events (event_id, event_type, organization_id, subject, actor, notify, data, create_time) \
                 VALUES ('{id}', 'join_request.approved', '{organization}', '{school}/joinRequests/{id}', \
                 'nobody', '[]', '{{}}', (SELECT max(create_time) FROM events))"
            );
            membership.execute(&insert).await.unwrap();
            let skipped = format!("SELECT event_id FROM skipped_events WHERE event_id = '{id}'");
            let began = Instant::now();
            while invitations.rows(&skipped).await.unwrap().is_empty() {
                if began.elapsed() > Duration::from_secs(PASS_OVER_SECONDS) {
                    wrong = Some(format!("the feed stands still at the poisoned event {id}"));
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
            membership
                .execute(&format!("DELETE FROM events WHERE event_id = '{id}'"))
                .await
                .unwrap();
            self.tally.add(Fault::PoisonedEvent, 1);
        }
        membership.close().await;
        invitations.close().await;
        wrong
    }

    /// Waits: the load itself is the fault.
    pub(super) async fn overload(&mut self) {
        self.settling.broken();
        while self.goes_on() {
            sleep(Duration::from_millis(100)).await;
        }
        self.tally.add(Fault::Overload, 1);
    }
}
