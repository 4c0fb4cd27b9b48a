//! Delivers to an endpoint, lane by lane.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use homeroom_kit::{random::below, shutdown::Shutdown};
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};

use super::{
    lanes::Lanes,
    relay::Relay,
    schedule::{Outcome, SPREAD_PERMILLE_MAX, pause},
    send::send,
    store::Delivery,
};
use crate::Failure;

/// The interval at which due deliveries are looked for, in milliseconds: what another process has queued, and what has
/// waited for its next attempt.
const LOOK_MILLIS: u64 = 500;
/// The most deliveries of a lane before other lanes have their turn.
const TURN_DELIVERIES_MAX: usize = 32;
/// The pause after a failure of the database, in seconds.
const AFTER_FAILURE_SECONDS: u64 = 1;

impl Relay {
    /// Delivers until the shutdown, and then finishes what is under way.
    pub(crate) async fn deliver(self: Arc<Self>, shutdown: Shutdown) -> Result<(), JoinError> {
        let mut lanes = Lanes::default();
        let mut turns = JoinSet::new();
        while !shutdown.has_begun() {
            if !lanes.are_full() {
                match self.store.heads(&self.endpoint.id).await {
                    Ok(heads) => {
                        for lane in lanes.begin(heads, self.clock.now()) {
                            turns.spawn(Arc::clone(&self).serve(lane, shutdown.clone()));
                        }
                    }
                    Err(error) => self.report(&error.into()).await,
                }
            }
            tokio::select! {
                () = shutdown.wait() => {}
                () = self.recorded.notified(), if !lanes.are_full() => {}
                Some(ended) = turns.join_next() => lanes.end(&ended?),
                () = sleep(Duration::from_millis(LOOK_MILLIS)) => {}
            }
        }
        while let Some(ended) = turns.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Delivers from a lane until nothing is due or its turn is over; returns the lane.
    async fn serve(self: Arc<Self>, lane: String, shutdown: Shutdown) -> String {
        for _ in 0..TURN_DELIVERIES_MAX {
            match self.deliver_next(&lane).await {
                Ok(true) if !shutdown.has_begun() => {}
                Ok(_) => break,
                Err(error) => {
                    self.report(&error).await;
                    break;
                }
            }
        }
        lane
    }

    /// Makes one attempt; returns true if the next delivery of the lane may follow.
    async fn deliver_next(&self, lane: &str) -> Result<bool, Failure> {
        let endpoint = &self.endpoint;
        let Some(delivery) = self.store.head(&endpoint.id, lane).await? else {
            return Ok(false);
        };
        let now = self.clock.now();
        if delivery.next_attempt_time() > now {
            return Ok(false);
        }
        let (id, body) = (&delivery.event_id, delivery.body.clone());
        let outcome = send(&self.client, endpoint, id, body, now).await;
        let now = self.clock.now();
        match outcome {
            Outcome::Delivered => {
                self.store.forget(delivery.id).await?;
                Ok(true)
            }
            Outcome::Gone => {
                self.store.disable(&endpoint.id, now).await?;
                let endpoint = &endpoint.id;
                tracing::error!(
                    endpoint,
                    "the endpoint answered 410 Gone: nothing is delivered until `homeroom webhooks enable`"
                );
                Ok(false)
            }
            Outcome::Failed { cause, retry_after } => {
                let failed_before = usize::try_from(delivery.failed_attempts)?;
                let spread = below(&*self.random, SPREAD_PERMILLE_MAX + 1);
                let pause = pause(failed_before, retry_after, &endpoint.retry_seconds, spread);
                let next = pause.map(|pause| now + pause);
                self.fail(&delivery, &cause, next, now).await?;
                Ok(next.is_none())
            }
        }
    }

    async fn fail(
        &self,
        delivery: &Delivery,
        cause: &str,
        next: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let endpoint = &self.endpoint.id;
        let deleted = self.store.fail(endpoint, delivery, cause, next, now);
        let deleted = deleted.await?;
        if deleted > 0 {
            tracing::warn!(
                endpoint,
                deleted,
                "dead letters were deleted, since there are too many"
            );
        }
        let (event, kind) = (&delivery.event_id, &delivery.event_type);
        let attempts = delivery.failed_attempts + 1;
        match next {
            Some(next) => {
                tracing::info!(endpoint, event, kind, attempts, %next, cause, "a delivery failed");
            }
            None => {
                tracing::warn!(
                    endpoint,
                    event,
                    kind,
                    attempts,
                    cause,
                    "a delivery is given up"
                );
            }
        }
        Ok(())
    }

    async fn report(&self, error: &Failure) {
        let endpoint = &self.endpoint.id;
        tracing::error!(endpoint, %error, "the relay's database fails");
        sleep(Duration::from_secs(AFTER_FAILURE_SECONDS)).await;
    }
}
