//! A service as a process: its settings and command line, its start, the tasks beside its server,
//! and its end.

mod command;
mod settings;
mod workers;

use std::{io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use tokio::{net::TcpListener, task::JoinHandle};

pub use command::{Failure, Setting, command, migrate, read_database, run, serve};
pub use settings::Settings;
pub use workers::Workers;

use crate::{
    SharedClock, SharedRandomness,
    auth::TokenKeysUnavailable,
    database::OpenError,
    metrics::{self, MetricsError, MetricsServer},
    server::{self, Ending, ServeError, ServerOptions, Services},
    shutdown::Shutdown,
    tasks::Writes,
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

/// The work of a service besides answering calls.
#[async_trait]
pub trait Background: Send + Sync + 'static {
    /// Returns the writes under way.
    fn writes(&self) -> &Writes;

    /// Checks that the database answers and has this program's schema.
    async fn check_ready(&self) -> Result<(), OpenError>;

    /// Closes the connections to the database.
    async fn close(&self);
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

/// A service that listens and does not serve yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    options: ServerOptions,
    metrics: Option<MetricsServer>,
}

impl Listening {
    /// Binds the ports of the service `name`. Must be called once everything else is ready.
    pub async fn open(
        name: &'static str,
        settings: &Settings,
        options: ServerOptions,
    ) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(name, settings.listen, error);
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = match settings.metrics_listen {
            Some(address) => {
                Some(MetricsServer::bind(address, settings.insecure_plaintext, name).await?)
            }
            None => None,
        };
        Ok(Self {
            listener,
            address,
            options,
            metrics,
        })
    }

    /// Serves until the shutdown; then ends the remaining parts in the order of their dependencies,
    /// all within [`STOP_SECONDS_MAX`](crate::shutdown::STOP_SECONDS_MAX).
    pub fn serve<App: Background>(
        self,
        services: Services,
        workers: Workers<App>,
        shutdown: Shutdown,
    ) -> Service<App> {
        let app = workers.app();
        Service {
            address: self.address,
            metrics_address: self.metrics.as_ref().map(MetricsServer::address),
            app: Arc::clone(&app),
            served: tokio::spawn(self.run(app, services, workers, shutdown)),
        }
    }

    async fn run<App: Background>(
        self,
        app: Arc<App>,
        services: Services,
        workers: Workers<App>,
        shutdown: Shutdown,
    ) -> Result<(), ServeError> {
        // Workers stop with the calls, metrics once nothing is written any more.
        let all_written = Shutdown::new();
        let metrics = tokio::spawn(metrics::serve(self.metrics, all_written.clone()));
        let checked = Arc::clone(&app);
        let health = tokio::spawn(services.health().follow(shutdown.clone(), move || {
            let app = Arc::clone(&checked);
            async move {
                let checked = app.check_ready().await;
                if let Err(error) = &checked {
                    tracing::warn!(%error, "not ready");
                }
                checked.is_ok()
            }
        }));

        let served = server::serve(self.listener, self.options, services, shutdown.clone()).await;

        // A server that failed by itself ends everything else too.
        shutdown.begin();
        let mut ending = Ending::of(&shutdown);
        ending.step("workers", workers.ended()).await;
        // Unfinished writes are completed at the next start.
        ending.step("writes", app.writes().finished()).await;
        all_written.begin();
        for (what, task) in [("health", health), ("metrics", metrics)] {
            let ended = async {
                if let Err(failure) = task.await {
                    tracing::error!(%failure, what, "a background task failed");
                }
            };
            ending.step(what, ended).await;
        }
        ending.step("database connections", app.close()).await;
        ending.ended(served)
    }
}
