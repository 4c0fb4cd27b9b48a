//! The order to stop: given once, seen by every task, and carried out within one limit.

use std::{
    future::Future,
    io,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// The time that a service has from the order to stop to its end, in seconds: less than the 30
/// seconds after which Kubernetes and our compose file kill it.
pub const STOP_SECONDS_MAX: u64 = 28;

/// Tells every task of a process to finish.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    order: CancellationToken,
    // Set by the first order.
    since: Arc<OnceLock<Instant>>,
}

impl Shutdown {
    /// Returns a shutdown that only [`Shutdown::begin`] orders.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a shutdown that SIGTERM or SIGINT orders. Fails if the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let ordered = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is under way"),
                _ = interrupt.recv() => tracing::info!("SIGINT: finishing what is under way"),
                () = ordered.wait() => {}
            }
            ordered.begin();
        });
        Ok(shutdown)
    }

    /// Orders the shutdown.
    pub fn begin(&self) {
        self.since.get_or_init(Instant::now);
        self.order.cancel();
    }

    /// Returns true if it has been ordered.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.order.is_cancelled()
    }

    /// Waits for the order.
    pub async fn wait(&self) {
        self.order.cancelled().await;
    }

    /// Returns the result of `work` if it ends before the order; otherwise drops the work and
    /// returns `None`.
    pub async fn unless_begun<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.wait() => None,
        }
    }

    /// Returns a separate shutdown for tasks that end after those of this one, with the same time
    /// limit.
    #[must_use]
    pub fn followed_by(&self) -> Self {
        Self {
            order: CancellationToken::new(),
            since: Arc::clone(&self.since),
        }
    }

    /// Returns the rest of [`STOP_SECONDS_MAX`] since the order; all of it before the order.
    pub(crate) fn time_left(&self) -> Duration {
        let most = Duration::from_secs(STOP_SECONDS_MAX);
        let since = self.since.get();
        since.map_or(most, |since| most.saturating_sub(since.elapsed()))
    }
}

/// Runs a program to its end on its own runtime, without waiting for threads that still block then,
/// such as a name look-up.
#[must_use]
pub fn run(program: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(program);
    runtime.shutdown_background();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_sees_the_order() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.has_begun());
        let waits = shutdown.clone();
        let waiter = tokio::spawn(async move { waits.wait().await });
        shutdown.begin();
        waiter.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.has_begun());
    }

    #[tokio::test]
    async fn work_that_is_not_done_at_the_order_is_dropped() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.unless_begun(async { 42 }).await, Some(42));
        shutdown.begin();
        assert_eq!(shutdown.unless_begun(async { 42 }).await, Some(42));
        let endless = shutdown.unless_begun(std::future::pending::<()>());
        assert_eq!(endless.await, None);
    }

    #[tokio::test]
    async fn the_limit_counts_from_the_first_order() {
        let most = Duration::from_secs(STOP_SECONDS_MAX);
        let shutdown = Shutdown::new();
        let second = shutdown.followed_by();
        assert_eq!(second.time_left(), most);
        shutdown.begin();
        assert!(!second.has_begun());
        let left = shutdown.time_left();
        assert!(left < most);
        second.begin();
        assert!(second.time_left() < left);
    }

    #[test]
    fn the_end_of_a_program_waits_for_no_thread_that_blocks() {
        let (hold, release) = std::sync::mpsc::channel::<()>();
        let code = run(async move {
            tokio::task::spawn_blocking(move || release.recv());
            ExitCode::SUCCESS
        });
        assert_eq!(code, ExitCode::SUCCESS);
        drop(hold);
    }
}
