//! Drives unfinished work to its end after a sequence, then checks everything.

use std::time::Duration;

use chrono::TimeDelta;
use homeroom_audit::{Invariant, Options, Severity, audit};
use homeroom_kit::{clock::Clock as _, failpoints};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    plan::{Which, Work},
    run::Run,
    world::Acknowledged,
};

/// The seconds by which the clock advances in each round: longer than the longest delay between two
/// tries.
const ROUND_SECONDS: i64 = 61;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The rounds after which unsettled work counts as stuck.
const ROUNDS_MAX: u32 = 30;
/// The milliseconds after which a write under way counts as stuck.
const QUIET_MILLIS_MAX: u32 = 15_000;

/// Counts unfinished work: redemptions, fences and erasures.
const UNSETTLED: &str = "SELECT \
    (SELECT count(*) FROM redemptions WHERE state = 'RESERVED') AS reserved, \
    (SELECT count(*) FROM invitations WHERE fence_epoch < epoch) AS fences, \
    (SELECT count(*) FROM erasures WHERE done_time IS NULL) AS erasures";

/// Selects how a redemption ended and what membership stored for it.
const OF_REDEMPTION: &str = "SELECT r.state, r.outcome, coalesce(a.outcome, '') AS answer \
    FROM redemptions AS r LEFT JOIN membership.admissions AS a USING (redemption_id) \
    WHERE redemption_id = $1";

impl Run<'_> {
    /// Drives all work to its end and checks the result.
    pub async fn settle_and_judge(&mut self) {
        failpoints::disarm();
        self.trace.push("settle".to_owned());
        self.settle().await;
        let acknowledged = std::mem::take(&mut self.world.acknowledged);
        for known in &acknowledged {
            self.judge_acknowledged(known).await;
        }
        self.audit().await;
    }

    async fn settle(&mut self) {
        self.stage.clock.go_beyond(ROUND_SECONDS);
        for _ in 0..ROUNDS_MAX {
            self.quiet().await;
            for work in [Work::RaiseFences, Work::Recover, Work::Erase, Work::Expire] {
                self.work_whole(work).await;
            }
            while self.work_whole(Work::Follow).await > 0 {}
            let row = sqlx::query(UNSETTLED)
                .fetch_one(&mut self.stage.judge)
                .await
                .unwrap();
            let left = ["reserved", "fences", "erasures"].map(|what| row.get::<i64, _>(what));
            if left == [0; 3] {
                return;
            }
            self.stage.clock.step(ROUND_SECONDS);
        }
        self.findings
            .push("I4: redemptions, fences or erasures never settle".to_owned());
    }

    /// Runs background work without faults. Returns how much there was.
    async fn work_whole(&mut self, work: Work) -> u64 {
        match self.stage.work(work).await {
            Ok(Ok(done)) => done,
            failed => {
                self.findings.push(format!(
                    "{work:?} fails though nothing is broken: {failed:?}"
                ));
                0
            }
        }
    }

    /// Waits until no write is under way in either service.
    async fn quiet(&mut self) {
        let mut quiet = 0;
        for _ in 0..QUIET_MILLIS_MAX {
            let (membership, invitations) = (self.stage.membership(), self.stage.invitations());
            if membership.writes.under_way() + invitations.writes.under_way() > 0 {
                quiet = 0;
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            // A dropped call may still be on its way, so each service answers one more call first.
            quiet += 1;
            if quiet > 1 || !self.has_left_calls() {
                return;
            }
            self.knock().await;
        }
        self.findings
            .push("writes are under way for ever".to_owned());
    }

    /// Checks that the databases hold what callers were told.
    async fn judge_acknowledged(&mut self, known: &Acknowledged) {
        let id = known.redemption.rsplit('/').next().unwrap_or_default();
        let row = sqlx::query(OF_REDEMPTION)
            .bind(id)
            .fetch_optional(&mut self.stage.judge)
            .await
            .unwrap();
        let Some(row) = row else {
            // A redemption of a person who was a member already is kept for a day.
            let made = Uuid::try_parse(id).ok().and_then(|id| id.get_timestamp());
            let made = made.map_or(i64::MAX, |made| made.to_unix().0.cast_signed());
            let age = self.stage.clock.now().timestamp().saturating_sub(made);
            if known.outcome == "ALREADY_MEMBER" && age > DAY_SECONDS {
                return;
            }
            self.findings.push(format!("I7: {known:?} is gone"));
            return;
        };
        let (state, outcome, answer): (String, String, String) =
            (row.get("state"), row.get("outcome"), row.get("answer"));
        let right = match known.outcome {
            "ADMITTED" => state == "COMMITTED" && answer == "ADMITTED",
            "PENDING_APPROVAL" => matches!(answer.as_str(), "QUEUED" | "ALREADY_PENDING"),
            "ALREADY_MEMBER" => state == "RELEASED" && answer == "ALREADY_MEMBER",
            _ => false,
        };
        if !right || outcome != known.outcome {
            self.findings.push(format!(
                "I7: {known:?} was answered, but it is {state} with {outcome}, and membership says '{answer}'"
            ));
        }
    }

    async fn audit(&mut self) {
        let back = self.stage.back_seconds;
        let options = Options {
            quiescent: true,
            // If the clock went back, the order of two rows cannot be told from their times.
            clock_tolerance: (back > 0).then(|| TimeDelta::seconds(back)),
            ..Options::at(self.stage.clock.now())
        };
        let (membership, invitations) = (
            self.stage.url(Which::Membership),
            self.stage.url(Which::Invitations),
        );
        let report = audit(&membership, &invitations, &options).await.unwrap();
        for invariant in Invariant::ALL {
            for finding in report.findings(invariant) {
                if finding.severity == Severity::Violation {
                    self.findings.push(format!(
                        "{}: {} ({}): {:?}",
                        invariant.id(),
                        finding.what,
                        finding.count,
                        finding.rows
                    ));
                }
            }
        }
    }
}
