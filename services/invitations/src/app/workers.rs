//! The background workers: recovery, the follower, pending fences, codes to fold, the sweep and pruning. Each runs
//! again at once while there is more to do, and otherwise after a jittered pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{Result, metrics::gauged, service::Workers, shutdown::Shutdown};

use super::{
    App,
    retention::{PRUNE_BATCH, RETENTION_BATCH, Retention},
};
use crate::redemption::{
    attempt_log::ATTEMPTS_DROPPED,
    drive::{RECOVERY_BATCH, STUCK_AFTER_TRIES, SWEEP_BATCH},
    follow::{FEED_PAGE_EVENTS, MEMBERSHIP_FEED},
};

/// The pauses of the workers while there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The pause between looks for redemptions that membership has not answered (P13).
    pub recovery: Duration,
    /// The pause between reads of membership's feed (P5).
    pub follower: Duration,
    /// The pause between looks for pending fences (P7).
    pub fences: Duration,
    /// The pause between looks for queued redemptions that the feed is silent about (P5), erasures under way (R13) and
    /// codes that are not folded (B4), and between counts for operators (P13).
    pub sweep: Duration,
    /// The pause between deletions of request ids older than 24 hours (R3) and of data past its retention (F9).
    pub prune: Duration,
}

/// Gauge: redemptions that recovery has tried often and that membership has not answered (P13).
pub const REDEMPTIONS_STUCK: &str = "homeroom_redemptions_stuck";
/// Gauge: redemptions that membership has not answered, including stuck ones.
pub const REDEMPTIONS_RESERVED: &str = "homeroom_redemptions_reserved";
/// Gauge: events of membership's feed that could not be followed and were skipped.
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

/// Starts every worker but those of [`retain`]. After `shutdown` each finishes its current work and ends.
#[must_use]
pub fn start(app: &Arc<App>, pauses: Pauses, shutdown: &Shutdown) -> Workers<App> {
    let mut workers = Workers::new(app, &app.store, &app.writes, &app.random, shutdown);
    let was_away = Arc::new(AtomicBool::new(true));
    workers.spawn("recovery", pauses.recovery, |app| async move {
        let recovered = app.redemptions.recover_once().await?;
        // Redemptions that failed wait for their own next try, and are not tried again at once.
        Ok(recovered.taken == RECOVERY_BATCH as usize && recovered.settled > 0)
    });
    workers.spawn("follower", pauses.follower, move |app| {
        let was_away = Arc::clone(&was_away);
        async move { follow(&app, &was_away).await }
    });
    workers.spawn("fences", pauses.fences, |app| async move {
        app.raise_pending_fences().await.map(|_| false)
    });
    workers.spawn("erasures", pauses.sweep, |app| async move {
        app.finish_erasures_once().await.map(|_| false)
    });
    workers.spawn("sweep", pauses.sweep, |app| async move {
        Ok(app.redemptions.sweep_once().await? == SWEEP_BATCH as usize)
    });
    workers.spawn("codes", pauses.sweep, |app| async move {
        app.fold_codes_once().await.map(|_| false)
    });
    workers.spawn("counts", pauses.sweep, |app| async move {
        tell_what_is_wrong(&app).await.map(|()| false)
    });
    workers.spawn("prune", pauses.prune, |app| async move {
        Ok(app.prune_request_ids_once().await? >= u64::from(PRUNE_BATCH))
    });
    workers
}

/// Starts the workers that delete what is past its retention (F9), except events.
pub fn retain(workers: &mut Workers<App>, pause: Duration, retention: Retention) {
    workers.spawn("retention", pause, move |app| async move {
        Ok(app.prune_logs_once(&retention).await? >= u64::from(RETENTION_BATCH))
    });
    if let Some(days) = retention.redemptions_days {
        workers.spawn("persons", pause, move |app| async move {
            app.forget_persons_once(days).await
        });
    }
}

/// Counts the problems that an operator should know of, for the metrics and the log.
async fn tell_what_is_wrong(app: &App) -> Result<()> {
    let reserved = app.redemptions.ledger.count_tried(0).await?;
    metrics::gauge!(REDEMPTIONS_RESERVED).set(gauged(reserved));
    let ledger = &app.redemptions.ledger;
    let stuck = ledger.count_tried(STUCK_AFTER_TRIES).await?;
    metrics::gauge!(REDEMPTIONS_STUCK).set(gauged(stuck));
    if stuck > 0 {
        tracing::error!(stuck, tries = STUCK_AFTER_TRIES, "redemptions are stuck");
    }
    let mut repository = app.store.read().await?;
    let skipped = repository.count_skipped_events(MEMBERSHIP_FEED).await?;
    metrics::gauge!(EVENTS_SKIPPED).set(gauged(skipped));
    // A counter that has not been exposed before it rises shows no increase.
    metrics::counter!(ATTEMPTS_DROPPED).increment(0);
    if skipped > 0 {
        tracing::error!(
            skipped,
            "events of membership's feed were skipped: see skipped_events"
        );
    }
    Ok(())
}

/// Follows the feed. Returns true if there is more of it. The follower is the first to notice that membership is back,
/// and then makes waiting redemptions due at once.
async fn follow(app: &Arc<App>, was_away: &AtomicBool) -> Result<bool> {
    match app.redemptions.follow_once().await {
        Ok(followed) => {
            if was_away.swap(false, Ordering::Relaxed) {
                app.redemptions.ledger.retry_now().await?;
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
