//! Writes that finish even if their caller has gone (P12).

use std::{future::Future, panic};

use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::trace;

/// Runs the work in the log span and the trace of the call that began it.
fn of_this_call<F: Future>(work: F) -> impl Future<Output = F::Output> {
    trace::within(trace::current(), work.in_current_span())
}

/// The writes under way in this process.
#[derive(Debug, Clone, Default)]
pub struct Writes(TaskTracker);

impl Writes {
    /// Returns a set without writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a write to its end in its own task, even if the caller stops waiting.
    pub async fn run<F>(&self, write: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.0.spawn(of_this_call(write)).await {
            Ok(output) => output,
            Err(failure) => match failure.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                // Only the end of the runtime cancels a write, and then nobody waits any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Starts a task without waiting for it; the shutdown waits.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(of_this_call(task));
    }

    /// Returns the number of writes under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.len()
    }

    /// Waits for the writes under way, without a time limit.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn p12_a_write_finishes_though_its_caller_has_gone() {
        let writes = Writes::new();
        let (go, wait) = oneshot::channel::<()>();
        let (done, finished) = oneshot::channel();
        let mut caller = Box::pin(writes.run(async move {
            wait.await.unwrap();
            done.send(42).unwrap();
        }));
        assert!(futures::poll!(&mut caller).is_pending());
        drop(caller);
        go.send(()).unwrap();
        assert_eq!(finished.await, Ok(42));
        writes.finished().await;
    }
}
