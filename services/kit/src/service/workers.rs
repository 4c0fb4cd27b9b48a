//! The periodic workers: each runs again at once while there is more to do, and otherwise after a
//! jittered pause.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::task::JoinSet;

use crate::{
    SharedClock, SharedRandomness,
    random::below,
    retention::kept_since,
    shutdown::Shutdown,
    status::Result,
    store::{Session, Store},
    tasks::Writes,
};

/// True if there is more to do at once.
type More = bool;

/// The workers of a service. They end after the shutdown, once their current run is finished.
#[derive(Debug)]
pub struct Workers<App> {
    pub(super) app: Arc<App>,
    pub(super) store: Store<Session>,
    pub(super) writes: Writes,
    random: SharedRandomness,
    shutdown: Shutdown,
    tasks: JoinSet<()>,
}

impl<App: Send + Sync + 'static> Workers<App> {
    /// Returns a set without workers of the application on this database, whose runs are among its writes under way.
    #[must_use]
    pub fn new<R>(
        app: &Arc<App>,
        store: &Store<R>,
        writes: &Writes,
        random: &SharedRandomness,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            store: store.of_kit(),
            writes: writes.clone(),
            random: Arc::clone(random),
            shutdown: shutdown.clone(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts a worker.
    pub fn spawn<F, R>(&mut self, name: &'static str, pause: Duration, run_once: R)
    where
        R: Fn(Arc<App>) -> F + Send + 'static,
        F: Future<Output = Result<More>> + Send + 'static,
    {
        let (app, writes) = (Arc::clone(&self.app), self.writes.clone());
        let random = Arc::clone(&self.random);
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            while !shutdown.has_begun() {
                // A run is never cancelled half-way (P12).
                let run = AssertUnwindSafe(writes.run(run_once(Arc::clone(&app))));
                let more = match run.catch_unwind().await {
                    Ok(Ok(more)) => more,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, worker = name, "a worker tries again later");
                        false
                    }
                    Err(_panic) => {
                        tracing::error!(worker = name, "a worker panicked, and tries again later");
                        false
                    }
                };
                if !more {
                    tokio::select! {
                        () = shutdown.wait() => {}
                        () = tokio::time::sleep(jittered(pause, &random)) => {}
                    }
                }
            }
        });
    }

    /// Starts the worker that deletes events past their retention of so many days (F9); `None` keeps them for ever.
    pub fn prune_events(&mut self, pause: Duration, days: Option<u32>, clock: &SharedClock) {
        let Some(days) = days else { return };
        let (store, clock) = (Arc::new(self.store.of_kit()), Arc::clone(clock));
        self.spawn("events", pause, move |_| {
            let (store, before) = (Arc::clone(&store), kept_since(clock.now(), days));
            async move { Ok(store.prune_events(before).await?) }
        });
    }

    /// Waits until all of them have ended.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Returns three to five quarters of the pause, so that processes do not run in step.
fn jittered(pause: Duration, random: &SharedRandomness) -> Duration {
    let half = u32::try_from(pause.as_millis() / 2).unwrap_or(u32::MAX);
    let random = below(random.as_ref(), half.saturating_add(1));
    pause.mul_f64(0.75) + Duration::from_millis(u64::from(random))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{random::SeededRandomness, tests::database::store};

    #[tokio::test]
    async fn p13_a_worker_that_panics_runs_again() {
        let (store, _folder) = store().await;
        let (shutdown, runs) = (Shutdown::new(), Arc::new(AtomicU32::new(0)));
        let random: SharedRandomness = Arc::new(SeededRandomness::new(1));
        let mut workers = Workers::new(&runs, &store, &Writes::new(), &random, &shutdown);
        workers.spawn("test", Duration::from_millis(1), move |runs| {
            let shutdown = shutdown.clone();
            async move {
                assert!(runs.fetch_add(1, Ordering::Relaxed) > 0, "the first run");
                shutdown.begin();
                Ok(false)
            }
        });
        let ended = tokio::time::timeout(Duration::from_secs(10), workers.ended());
        ended.await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
