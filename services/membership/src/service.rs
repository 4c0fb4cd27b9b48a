//! The running service: everything is checked before the port is bound, and everything that was begun is
//! finished before it stops.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use homeroom_api::membership::v1::{
    admission_service_server::AdmissionServiceServer, class_service_server::ClassServiceServer,
    event_service_server::EventServiceServer,
    join_request_service_server::JoinRequestServiceServer,
    member_service_server::MemberServiceServer,
    organization_service_server::OrganizationServiceServer, user_service_server::UserServiceServer,
};
use homeroom_kit::{
    SharedClock, SharedRandomness,
    auth::TokenKeysUnavailable,
    database::{OpenError, Options, Url},
    events::EventFeed,
    metrics::{self, MetricsError, MetricsServer},
    request_ids::forgotten_before,
    server::{self, Ending, ServeError, ServerOptions, Services},
    shutdown::Shutdown,
    tuned,
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

use crate::{
    Config, SERVICE,
    app::App,
    grpc::{
        admission_service::AdmissionApi, class_service::ClassApi, event_service::EventApi,
        join_request_service::JoinRequestApi, member_service::MemberApi,
        organization_service::OrganizationApi, user_service::UserApi,
    },
    store,
};

/// How often request ids that may be forgotten are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);
/// Request ids that one transaction forgets at most.
const PRUNE_BATCH: u32 = 1_000;
/// How often join requests whose time is over are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// What is injected: time and chance.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// The time.
    pub clock: SharedClock,
    /// Ids come from it.
    pub random: SharedRandomness,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server refuses its settings.
    #[error(transparent)]
    Server(#[from] ServeError),
    /// The port cannot be bound.
    #[error(
        "cannot listen on {0}: {1}; end what listens there, or choose another address (LISTEN_ADDRESS, or --membership of `homeroom serve`)"
    )]
    Listen(SocketAddr, io::Error),
    /// The database does not answer, or its schema is not this program's.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The keys of access tokens cannot be had.
    #[error(transparent)]
    TokenKeys(#[from] TokenKeysUnavailable),
    /// Metrics cannot be served as they should.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// The service under way. Order its end by the shutdown that it was started with, then wait for
/// [`Service::stopped`].
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    app: App,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Service {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its metrics are read; None: nowhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What it runs on; a test drives its periodic work by it.
    #[must_use]
    pub fn app(&self) -> App {
        self.app.clone()
    }

    /// Waits until the server, its writes and its periodic work have ended.
    pub async fn stopped(self) -> Result<(), ServeError> {
        self.serving
            .await
            .unwrap_or_else(|failure| Err(ServeError::Io(io::Error::other(failure))))
    }
}

fn database_options() -> Options {
    Options {
        application_name: "homeroom-membership".to_owned(),
        ..Options::default()
    }
}

/// Brings the schema up to date.
pub async fn migrate(url: &Url) -> Result<(), OpenError> {
    store::migrate(url, database_options()).await
}

/// Starts the service. Nothing is bound before settings, database and schema are known to be right.
pub async fn start(
    config: Config,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> Result<Service, StartError> {
    let options = ServerOptions {
        tls: config.tls,
        connections_max: config.connections_max,
        insecure_plaintext: config.insecure_plaintext,
        reflection: config.reflection,
        clock: dependencies.clock.clone(),
        random: dependencies.random.clone(),
        ..ServerOptions::new(Some(config.verifier))
    };
    options.check(config.listen)?.fetch_first_keys().await?;
    if config.migrate_at_start {
        migrate(&config.database_url).await?;
    }
    let store = store::connect(&config.database_url, database_options()).await?;
    store.check_ready().await?;
    let app = App::new(
        Arc::clone(&store),
        dependencies.clock,
        dependencies.random,
        config.keys,
    );
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::Listen(config.listen, error))?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Listen(config.listen, error))?;
    let metrics = match config.metrics_listen {
        Some(address) => {
            Some(MetricsServer::bind(address, config.insecure_plaintext, "membership").await?)
        }
        None => None,
    };
    let metrics_address = metrics.as_ref().map(MetricsServer::address);
    let services = services(&app, &shutdown).await;
    let serving = tokio::spawn(run(
        app.clone(),
        listener,
        options,
        services,
        metrics,
        shutdown,
    ));
    Ok(Service {
        address,
        metrics_address,
        app,
        serving,
    })
}

async fn services(app: &App, shutdown: &Shutdown) -> Services {
    let feed = EventFeed::new(
        SERVICE,
        app.store.feed(),
        Arc::new(app.clone()),
        app.paging.clone(),
        shutdown.clone(),
    );
    Services::new()
        .await
        .add_service(tuned!(OrganizationServiceServer::new(OrganizationApi(
            app.clone()
        ))))
        .add_service(tuned!(ClassServiceServer::new(ClassApi(app.clone()))))
        .add_service(tuned!(MemberServiceServer::new(MemberApi(app.clone()))))
        .add_service(tuned!(JoinRequestServiceServer::new(JoinRequestApi(
            app.clone()
        ))))
        .add_service(tuned!(AdmissionServiceServer::new(AdmissionApi::new(
            app.clone()
        ))))
        .add_service(tuned!(UserServiceServer::new(UserApi(app.clone()))))
        .add_service(tuned!(EventServiceServer::new(EventApi(feed))))
}

/// Serves until the shutdown; then finishes the writes, publishes their events, and closes the database,
/// all of it within [`homeroom_kit::shutdown::STOP_SECONDS_MAX`].
async fn run(
    app: App,
    listener: TcpListener,
    options: ServerOptions,
    services: Services,
    metrics: Option<MetricsServer>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    // Periodic work outlives the server: what the last calls wrote is still published.
    let work_ends = Shutdown::new();
    let mut work = JoinSet::new();
    work.spawn(metrics::serve(metrics, work_ends.clone()));
    let store = Arc::clone(&app.store);
    let ends = work_ends.clone();
    work.spawn(async move { store.publish_until(ends).await });
    let pruning = app.clone();
    work.spawn(repeat(PRUNE_INTERVAL, work_ends.clone(), move || {
        let app = pruning.clone();
        async move {
            log_failure(
                "request ids could not be pruned",
                app.prune_request_ids().await,
            );
        }
    }));
    let expiring = app.clone();
    work.spawn(repeat(EXPIRY_INTERVAL, work_ends.clone(), move || {
        let app = expiring.clone();
        async move {
            log_failure(
                "join requests could not be expired",
                app.expire_join_requests().await,
            );
        }
    }));
    let health = services.health();
    let store = Arc::clone(&app.store);
    work.spawn(health.follow(shutdown.clone(), move || {
        let store = Arc::clone(&store);
        async move {
            let checked = store.check_ready().await;
            if let Err(error) = &checked {
                tracing::warn!(%error, "not ready");
            }
            checked.is_ok()
        }
    }));

    let served = server::serve(listener, options, services, shutdown.clone()).await;
    // A server that failed by itself ends everything else too.
    shutdown.begin();
    let mut ending = Ending::of(&shutdown);
    ending.step("writes", app.writes.finished()).await;
    work_ends.begin();
    let worked = async { while work.join_next().await.is_some() {} };
    ending
        .step("periodic work and events to publish", worked)
        .await;
    ending.step("database connections", app.store.close()).await;
    ending.ended(served)
}

fn log_failure(what: &'static str, done: homeroom_kit::Result<u64>) {
    if let Err(error) = done {
        tracing::warn!(%error, "{what}; they wait for the next time");
    }
}

/// Does the work at once and then at each interval, until the shutdown.
async fn repeat<Work, Done>(interval: Duration, shutdown: Shutdown, work: Work)
where
    Work: Fn() -> Done,
    Done: Future<Output = ()>,
{
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => work().await,
        }
    }
}

impl App {
    /// Forgets request ids claimed more than 24 hours ago (R3). Gives how many.
    pub async fn prune_request_ids(&self) -> homeroom_kit::Result<u64> {
        let before: DateTime<Utc> = forgotten_before(self.clock.now());
        let mut pruned = 0;
        loop {
            let mut session = self.store.write().await?;
            let count = session.prune_requests(before, PRUNE_BATCH).await?;
            session.commit("forget_requests").await?;
            pruned += count;
            if count < u64::from(PRUNE_BATCH) {
                return Ok(pruned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use homeroom_kit::{
        auth::{KeyPauses, TokenKeys, Verifier},
        clock::SystemClock,
        keys::KeyRing,
        random::SeededRandomness,
    };

    use super::*;

    #[tokio::test]
    async fn a_start_without_the_keys_of_access_tokens_is_refused() {
        let keys = TokenKeys::of_url("http://127.0.0.1:1/jwks.json").unwrap();
        let keys = keys.with_pauses(KeyPauses {
            start_max: Duration::ZERO,
            ..KeyPauses::default()
        });
        let clock = Arc::new(SystemClock);
        let random = Arc::new(SeededRandomness::new(1));
        let verifier = Verifier::new(keys, "https://platform.example", "homeroom", clock.clone());
        let config = Config::for_tests(
            Url::Sqlite("/nowhere".into()),
            Arc::new(verifier),
            Arc::new(KeyRing::generate(random.as_ref()).unwrap()),
        );
        let dependencies = Dependencies { clock, random };
        let Err(error) = start(config, dependencies, Shutdown::new()).await else {
            panic!("it must not start");
        };
        assert!(matches!(error, StartError::TokenKeys(_)), "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with("JWKS_URL: http://127.0.0.1:1/jwks.json"),
            "{said}"
        );
    }
}
