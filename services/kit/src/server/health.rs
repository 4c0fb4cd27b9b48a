//! Health (grpc.health.v1): overall, per service, `liveness` and `readiness`.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Mutex;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthService, HealthServer},
    server::HealthReporter,
};

use crate::shutdown::Shutdown;

/// The health service's name for whether the process is alive.
pub const LIVENESS: &str = "liveness";
/// The health service's name for whether the process can serve.
pub const READINESS: &str = "readiness";

/// The interval of readiness checks, in seconds.
const CHECK_SECONDS: u64 = 2;
/// The longest duration of a check, in seconds.
const CHECK_TIMEOUT_SECONDS: u64 = 2;

/// Reports whether the server is ready.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
    ready: Arc<AtomicBool>,
    /// The readiness that was reported last; each report is sent to every watch.
    reported: Arc<Mutex<Option<bool>>>,
}

impl Health {
    pub(super) async fn start() -> (Self, HealthServer<impl HealthService>) {
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        let health = Self {
            reporter,
            names: vec!["", READINESS],
            ready: Arc::default(),
            reported: Arc::default(),
        };
        (health, service)
    }

    pub(super) fn add_service(&mut self, name: &'static str) {
        self.names.push(name);
    }

    /// Returns the names of the services that were added.
    pub(super) fn services(&self) -> &[&'static str] {
        self.names.get(2..).unwrap_or_default()
    }

    /// Reports whether calls can be served: overall, for readiness and for each service.
    pub async fn set_ready(&self, ready: bool) {
        if self.ready.swap(ready, Ordering::SeqCst) != ready {
            tracing::info!(ready, "readiness changed");
        }
        self.report().await;
    }

    /// Reports the last known readiness, unless it was reported.
    pub(super) async fn report(&self) {
        let mut reported = self.reported.lock().await;
        let ready = self.is_ready();
        if *reported == Some(ready) {
            return;
        }
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
        *reported = Some(ready);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Checks readiness every two seconds until the shutdown, after which the server is not ready.
    pub async fn follow<F>(self, shutdown: Shutdown, check: impl Fn() -> F + Send)
    where
        F: Future<Output = bool> + Send,
    {
        let mut ticks = tokio::time::interval(Duration::from_secs(CHECK_SECONDS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.wait() => return self.set_ready(false).await,
                _ = ticks.tick() => {}
            }
            let limit = Duration::from_secs(CHECK_TIMEOUT_SECONDS);
            let ready = tokio::time::timeout(limit, check()).await.unwrap_or(false);
            self.set_ready(ready && !shutdown.has_begun()).await;
        }
    }
}
