//! A service as a process: its settings and command line, its start, the tasks beside its server,
//! and its end.

mod command;
mod settings;
mod workers;

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

pub use command::{Failure, command, migrate, read_database, run, serve};
pub use settings::Settings;
pub use workers::Workers;

use crate::{
    SharedClock, SharedRandomness,
    auth::TokenKeysUnavailable,
    database::OpenError,
    metrics::{MetricsError, MetricsServer},
    server::{self, ServeError, ServerOptions, Services},
    shutdown::Shutdown,
};

/// The injected dependencies: the time and randomness.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// The clock.
    pub clock: SharedClock,
    /// The randomness, for secrets and ids.
    pub random: SharedRandomness,
}

/// The reason why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server refuses its settings.
    #[error(transparent)]
    Server(#[from] ServeError),
    /// The service of this name cannot bind its port.
    #[error(
        "cannot listen on {1}: {2}; end what listens there, or choose another address (LISTEN_ADDRESS, or --{0} of `homeroom serve`)"
    )]
    Listen(&'static str, SocketAddr, #[source] io::Error),
    /// The database does not answer, or its schema is not the one of this program.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The keys of access tokens are not available.
    #[error(transparent)]
    TokenKeys(#[from] TokenKeysUnavailable),
    /// Metrics cannot be served with these settings.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// A running service. Order its end by the shutdown with which it was started, then wait for
/// [`Service::stopped`].
#[derive(Debug)]
pub struct Service<App> {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    app: Arc<App>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl<App> Service<App> {
    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of its metrics, or `None` if they are not served.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns its application; a test drives its periodic work by it.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Waits until it has ended: calls are answered and writes finished.
    pub async fn stopped(self) -> Result<(), ServeError> {
        self.served
            .await
            .unwrap_or_else(|failure| Err(ServeError::Io(io::Error::other(failure))))
    }
}

/// Starts the service `name`: binds its ports, and serves until the shutdown; then ends the
/// remaining parts in the order of their dependencies, all within
/// [`STOP_SECONDS_MAX`](crate::shutdown::STOP_SECONDS_MAX). Must be called once everything else is
/// ready.
pub async fn start<App: Send + Sync + 'static>(
    name: &'static str,
    settings: &Settings,
    options: ServerOptions,
    services: Services,
    workers: Workers<App>,
    shutdown: Shutdown,
) -> Result<Service<App>, StartError> {
    let failed = |error| StartError::Listen(name, settings.listen, error);
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let metrics = match settings.metrics_listen {
        Some(address) => {
            let store = Arc::new(workers.store.of_kit());
            Some(MetricsServer::start(address, name, move || store.connections()).await?)
        }
        None => None,
    };
    Ok(Service {
        address,
        metrics_address: metrics.as_ref().map(MetricsServer::address),
        app: Arc::clone(&workers.app),
        served: tokio::spawn(async move {
            let store = workers.store.of_kit();
            let health = services.health().follow(shutdown.clone(), move || {
                let store = store.of_kit();
                async move {
                    let checked = store.check_ready().await;
                    if let Err(error) = &checked {
                        tracing::warn!(%error, "not ready");
                    }
                    checked.is_ok()
                }
            });
            let health = tokio::spawn(health);
            let served = server::serve(listener, options, services, shutdown.clone()).await;
            // A server that failed by itself ends everything else too.
            shutdown.begin();
            served.and(end(workers, health, metrics, &shutdown).await)
        }),
    })
}

/// Ends everything beside the server, in the time that is left. An error names the step that did
/// not end.
async fn end<App: Send + Sync + 'static>(
    mut workers: Workers<App>,
    health: JoinHandle<()>,
    metrics: Option<MetricsServer>,
    shutdown: &Shutdown,
) -> Result<(), ServeError> {
    let mut step = "workers";
    let ending = async {
        workers.ended().await;
        // Unfinished writes are completed at the next start.
        step = "writes";
        workers.writes.finished().await;
        drop(metrics);
        step = "health";
        health.await.ok();
        step = "database connections";
        workers.store.close().await;
    };
    let ended = tokio::time::timeout(shutdown.time_left(), ending).await;
    ended.map_err(|_| {
        tracing::warn!(step, "left unfinished: the time to stop is over");
        ServeError::Unfinished(step)
    })?;
    tracing::info!("stopped");
    Ok(())
}
