//! The periodic workers: each runs again at once while there is more to do, and otherwise after a
//! jittered pause.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    SharedRandomness,
    random::below,
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
                let more = match writes.run(run_once(Arc::clone(&app))).await {
                    Ok(more) => more,
                    Err(error) => {
                        tracing::warn!(%error, worker = name, "a worker tries again later");
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
