//! The last steps of a service after the order to stop.

use std::{future::Future, time::Instant};

use super::ServeError;
use crate::shutdown::Shutdown;

/// The last steps of a service, all within one limit: a step that hangs is abandoned and reported.
#[derive(Debug)]
pub struct Ending {
    limit: Instant,
    unfinished: Vec<&'static str>,
}

impl Ending {
    /// Begins the last steps, within the rest of
    /// [`STOP_SECONDS_MAX`](crate::shutdown::STOP_SECONDS_MAX) since the order.
    #[must_use]
    pub fn of(shutdown: &Shutdown) -> Self {
        Self::until(Instant::now() + shutdown.time_left())
    }

    fn until(limit: Instant) -> Self {
        Self {
            limit,
            unfinished: Vec::new(),
        }
    }

    /// Waits for one step while there is time. A step that is already done is never abandoned.
    pub async fn step(&mut self, what: &'static str, step: impl Future<Output = ()>) {
        let limit = tokio::time::Instant::from_std(self.limit);
        if tokio::time::timeout_at(limit, step).await.is_err() {
            tracing::warn!(what, "left unfinished: the time to stop is over");
            self.unfinished.push(what);
        }
    }

    /// Returns how the service ended, given the result of its server: an error names everything
    /// that was not finished.
    pub fn ended(self, served: Result<(), ServeError>) -> Result<(), ServeError> {
        let unfinished = self.unfinished.join(", ");
        match served {
            Ok(()) if unfinished.is_empty() => {
                tracing::info!("stopped");
                Ok(())
            }
            Ok(()) => Err(ServeError::Unfinished(unfinished)),
            Err(error) if unfinished.is_empty() => Err(error),
            Err(error) => Err(ServeError::AlsoUnfinished(Box::new(error), unfinished)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_left_at_the_limit_and_named() {
        let mut ending = Ending::until(Instant::now());
        ending.step("done", std::future::ready(())).await;
        ending.step("writes", std::future::pending()).await;
        ending.step("connections", std::future::pending()).await;
        let said = ending.ended(Ok(())).unwrap_err().to_string();
        assert!(said.contains(": writes, connections"), "{said}");
    }

    #[tokio::test]
    async fn calls_that_did_not_end_are_named_with_what_else_did_not() {
        let calls = || Err(ServeError::NotDrained(Duration::from_secs(20)));
        let mut ending = Ending::until(Instant::now());
        ending.step("writes", std::future::pending()).await;
        let said = ending.ended(calls()).unwrap_err().to_string();
        assert!(said.contains("calls were still under way 20s"), "{said}");
        assert!(said.ends_with(": writes"), "{said}");
        let alone = Ending::until(Instant::now()).ended(calls()).unwrap_err();
        assert!(matches!(alone, ServeError::NotDrained(_)), "{alone}");
    }
}
