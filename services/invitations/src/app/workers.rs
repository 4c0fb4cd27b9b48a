//! What runs by itself: recovery, the follower, fences left pending, the sweep and pruning. Each
//! runs again at once while there is more to do, and otherwise after a jittered pause.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Result, random::below, shutdown::Shutdown};
use tokio::task::JoinSet;

use super::{
    App,
    retention::{PRUNE_BATCH, RETENTION_BATCH},
};
use crate::redemption::{
    drive::{RECOVERY_BATCH, STUCK_AFTER_TRIES, SWEEP_BATCH},
    follow::FEED_PAGE_EVENTS,
};

/// How often each worker looks when there was nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// Redemptions that membership has not been heard of (P13).
    pub recovery: Duration,
    /// Membership's feed (P5).
    pub follower: Duration,
    /// Fences left pending (P7), and erasures (R13).
    pub fences: Duration,
    /// Queued redemptions that the feed says nothing about (P5), and what is counted for operators (P13).
    pub sweep: Duration,
    /// Request ids older than 24 hours (R3), and logs kept long enough.
    pub prune: Duration,
}

/// Gauge: redemptions that recovery has tried often and membership has not answered for (P13).
pub const REDEMPTIONS_STUCK: &str = "homeroom_redemptions_stuck";
/// Gauge: redemptions that membership has not answered for, the stuck ones among them.
pub const REDEMPTIONS_RESERVED: &str = "homeroom_redemptions_reserved";
/// Gauge: events of membership's feed that could not be followed and were passed over.
pub const EVENTS_SKIPPED: &str = "homeroom_events_skipped";

impl Default for Pauses {
    fn default() -> Self {
        Self {
            recovery: Duration::from_millis(500),
            follower: Duration::from_secs(1),
            fences: Duration::from_secs(1),
            sweep: Duration::from_mins(1),
            prune: Duration::from_mins(10),
        }
    }
}

/// Whether there is more to do at once.
type More = bool;

/// Starts every worker; each ends after `shutdown`, with what it has in hand done.
#[must_use]
pub fn start(app: &Arc<App>, pauses: Pauses, shutdown: &Shutdown) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let was_away = Arc::new(AtomicBool::new(true));
    spawn(
        &mut workers,
        app,
        "recovery",
        pauses.recovery,
        shutdown,
        |app| async move {
            let recovered = app.redemptions.recover_once().await?;
            // What failed waits for its own time: no more at once.
            Ok(recovered.taken == RECOVERY_BATCH as usize && recovered.settled > 0)
        },
    );
    spawn(
        &mut workers,
        app,
        "follower",
        pauses.follower,
        shutdown,
        move |app| {
            let was_away = Arc::clone(&was_away);
            async move { follow(&app, &was_away).await }
        },
    );
    spawn(
        &mut workers,
        app,
        "fences",
        pauses.fences,
        shutdown,
        |app| async move { app.raise_pending_fences().await.map(|_| false) },
    );
    spawn(
        &mut workers,
        app,
        "erasures",
        pauses.sweep,
        shutdown,
        |app| async move { app.finish_erasures_once().await.map(|_| false) },
    );
    spawn(
        &mut workers,
        app,
        "sweep",
        pauses.sweep,
        shutdown,
        |app| async move { Ok(app.redemptions.sweep_once().await? == SWEEP_BATCH as usize) },
    );
    spawn(
        &mut workers,
        app,
        "counts",
        pauses.sweep,
        shutdown,
        |app| async move { tell_what_is_wrong(&app).await.map(|()| false) },
    );
    spawn(
        &mut workers,
        app,
        "prune",
        pauses.prune,
        shutdown,
        |app| async move { Ok(app.prune_request_ids_once().await? >= u64::from(PRUNE_BATCH)) },
    );
    spawn(
        &mut workers,
        app,
        "retention",
        pauses.prune,
        shutdown,
        |app| async move { Ok(app.prune_logs_once().await? >= u64::from(RETENTION_BATCH)) },
    );
    workers
}

/// Counts what an operator should know of, for the metrics and, where it is wrong, for the log.
async fn tell_what_is_wrong(app: &App) -> Result<()> {
    let reserved = app.redemptions.count_reserved().await?;
    metrics::gauge!(REDEMPTIONS_RESERVED).set(gauged(reserved));
    let stuck = app.redemptions.count_stuck().await?;
    metrics::gauge!(REDEMPTIONS_STUCK).set(gauged(stuck));
    if stuck > 0 {
        tracing::error!(stuck, tries = STUCK_AFTER_TRIES, "redemptions are stuck");
    }
    let skipped = app.redemptions.count_skipped_events().await?;
    metrics::gauge!(EVENTS_SKIPPED).set(gauged(skipped));
    if skipped > 0 {
        tracing::error!(
            skipped,
            "events of membership's feed were skipped: see skipped_events"
        );
    }
    Ok(())
}

/// A count as a gauge holds it: exact up to 4 billion, and no larger than that.
fn gauged(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The follower hears first that membership is back: then nothing waits for its next try.
async fn follow(app: &Arc<App>, was_away: &AtomicBool) -> Result<More> {
    match app.redemptions.follow_once().await {
        Ok(followed) => {
            if was_away.swap(false, Ordering::Relaxed) {
                app.redemptions.retry_now().await?;
            }
            Ok(followed.events == FEED_PAGE_EVENTS as usize)
        }
        Err(error) => {
            if error.reason() == ErrorReason::MembershipUnavailable {
                was_away.store(true, Ordering::Relaxed);
            }
            Err(error)
        }
    }
}

fn spawn<F, R>(
    workers: &mut JoinSet<()>,
    app: &Arc<App>,
    name: &'static str,
    pause: Duration,
    shutdown: &Shutdown,
    run_once: R,
) where
    R: Fn(Arc<App>) -> F + Send + 'static,
    F: Future<Output = Result<More>> + Send + 'static,
{
    let app = Arc::clone(app);
    let shutdown = shutdown.clone();
    workers.spawn(async move {
        while !shutdown.has_begun() {
            // A run is never cancelled half-way (P12).
            let more = match app.writes.run(run_once(Arc::clone(&app))).await {
                Ok(more) => more,
                Err(error) => {
                    tracing::warn!(%error, worker = name, "a worker tries again later");
                    false
                }
            };
            if !more {
                tokio::select! {
                    () = shutdown.wait() => {}
                    () = tokio::time::sleep(jittered(pause, &app)) => {}
                }
            }
        }
    });
}

/// Three quarters of the pause to five quarters of it, so that processes do not keep step.
fn jittered(pause: Duration, app: &App) -> Duration {
    let half = u32::try_from(pause.as_millis() / 2).unwrap_or(u32::MAX);
    let random = below(app.random.as_ref(), half.saturating_add(1));
    pause.mul_f64(0.75) + Duration::from_millis(u64::from(random))
}
