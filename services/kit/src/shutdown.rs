//! The order to stop: given once, seen by everything that runs.

use std::io;

use tokio_util::sync::CancellationToken;

/// Tells every task of a process to finish.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Not ordered yet; only [`Shutdown::begin`] orders it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ordered by SIGTERM or SIGINT. Fails if the handlers cannot be installed.
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
        self.0.cancel();
    }

    /// Whether it has been ordered.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the order.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// Waits for the order, without borrowing.
    pub async fn wait_owned(self) {
        self.0.cancelled_owned().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_sees_the_order() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.has_begun());
        let waiter = tokio::spawn(shutdown.clone().wait_owned());
        shutdown.begin();
        waiter.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.has_begun());
    }
}
