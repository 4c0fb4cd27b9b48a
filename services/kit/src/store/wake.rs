//! Wakes the readers of events that this process has committed.

use tokio::sync::watch;

/// Notifies waiting readers of new events. A notification before a reader waits is not lost.
#[derive(Debug, Clone, Default)]
pub struct Wake(watch::Sender<u64>);

impl Wake {
    /// Notifies every reader that waits.
    pub fn notify(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Begins to listen: later notifications are not missed.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Receives the notifications of a [`Wake`].
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Waits for a notification since the last call.
    pub async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            // The wake is gone, so no further notification can come.
            std::future::pending::<()>().await;
        }
    }
}
