//! The running service: its parts made and wired, and its end waited for.

use std::{io, net::SocketAddr, sync::Arc};

use homeroom_kit::{
    SharedClock, SharedRandomness,
    auth::TokenKeysUnavailable,
    database,
    metrics::{MetricsError, MetricsServer},
    paging::Paging,
    server::{ServeError, ServerOptions},
    shutdown::Shutdown,
    tasks::Writes,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    app::{
        App,
        audit::AuditTrail,
        check_keys::{self, KeysRefused},
    },
    config::Config,
    domain::public_url::{PublicUrl, PublicUrlMalformed},
    limiter::{
        Limiter, fallback::GuardedLimiter, memory::MemoryLimiter, redis::RedisStore,
        store::StoreAway,
    },
    membership::{Membership, MembershipClient, MembershipUrlMalformed},
    redemption::{Redemptions, ledger::Ledger},
    serving::serve_until,
    store::{self, OpenError},
};

/// The name that database servers' lists show.
const APPLICATION_NAME: &str = "homeroom-invitations";

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not answer, or its schema is not this program's.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The keys are not those of this database's secrets.
    #[error(transparent)]
    Keys(#[from] KeysRefused),
    /// The base of URLs is no public address.
    #[error("PUBLIC_URL {0}")]
    PublicUrl(#[from] PublicUrlMalformed),
    /// The address of membership cannot be understood.
    #[error("MEMBERSHIP_URL {0}")]
    MembershipUrl(#[from] MembershipUrlMalformed),
    /// The address of Redis cannot be understood.
    #[error("REDIS_URL cannot be used: {0}")]
    Redis(#[from] StoreAway),
    /// It may not listen there.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {0}: {1}; end what listens there, or choose another address (LISTEN_ADDRESS, or --invitations of `homeroom serve`)"
    )]
    Bind(SocketAddr, #[source] io::Error),
    /// The keys of access tokens cannot be had.
    #[error(transparent)]
    TokenKeys(#[from] TokenKeysUnavailable),
    /// Metrics cannot be served as they should.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What is injected: the time and randomness.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// The time.
    pub clock: SharedClock,
    /// Randomness, for secrets and ids.
    pub random: SharedRandomness,
}

/// The service, serving.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    app: Arc<App>,
    metrics_address: Option<SocketAddr>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Service {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it runs on; a test drives its periodic work by it.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Where its metrics are read; None: nowhere.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Waits until it has ended: calls answered, writes finished.
    pub async fn stopped(self) -> Result<(), ServeError> {
        self.served
            .await
            .unwrap_or_else(|failure| Err(ServeError::Io(io::Error::other(failure))))
    }
}

/// Starts the service. It listens only once everything else is ready.
pub async fn start(
    config: Config,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> Result<Service, StartError> {
    let mut options = ServerOptions::new(Some(Arc::clone(&config.verifier)));
    options.tls.clone_from(&config.tls);
    options.connections_max = config.connections_max;
    options.insecure_plaintext = config.insecure_plaintext;
    options.reflection = config.reflection;
    options.clock = Arc::clone(&dependencies.clock);
    options.random = Arc::clone(&dependencies.random);
    options.check(config.listen)?.fetch_first_keys().await?;

    let store = store::open(
        &config.database_url,
        database_options(),
        config.migrate_at_start,
    )
    .await?;
    store.check_ready().await?;
    check_keys::check_and_note(store.as_ref(), &config.keys, dependencies.clock.now()).await?;
    let membership: Arc<dyn Membership> = Arc::new(MembershipClient::new(
        &config.membership_url,
        config.membership_tls.as_ref(),
        Arc::clone(&config.signer),
        config.issuer.as_str(),
        config.audience.as_str(),
        Arc::clone(&dependencies.clock),
    )?);
    let writes = Writes::new();
    let redemptions = Redemptions::new(
        Ledger {
            store: Arc::clone(&store),
            clock: Arc::clone(&dependencies.clock),
            random: Arc::clone(&dependencies.random),
        },
        Arc::clone(&membership),
        limiter(&config, &dependencies)?,
        Arc::clone(&config.keys),
        writes.clone(),
    );
    let app = Arc::new(App {
        redemptions: Arc::new(redemptions),
        membership,
        public_url: PublicUrl::parse(config.public_url.as_str())?,
        audit: AuditTrail::start(Arc::clone(&store)),
        store,
        clock: dependencies.clock,
        random: dependencies.random,
        paging: Paging::new(Arc::clone(&config.keys)),
        keys: config.keys,
        writes,
    });
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::Bind(config.listen, error))?;
    let address = listener
        .local_addr()
        .map_err(|error| StartError::Bind(config.listen, error))?;
    let metrics = match config.metrics_listen {
        Some(address) => {
            Some(MetricsServer::bind(address, config.insecure_plaintext, "invitations").await?)
        }
        None => None,
    };
    let metrics_address = metrics.as_ref().map(MetricsServer::address);
    let served = tokio::spawn(serve_until(
        Arc::clone(&app),
        listener,
        options,
        config.pauses,
        metrics,
        shutdown,
    ));
    Ok(Service {
        address,
        app,
        metrics_address,
        served,
    })
}

pub(crate) fn database_options() -> database::Options {
    database::Options {
        application_name: APPLICATION_NAME.to_owned(),
        ..database::Options::default()
    }
}

fn limiter(config: &Config, dependencies: &Dependencies) -> Result<Arc<dyn Limiter>, StartError> {
    let clock = Arc::clone(&dependencies.clock);
    let budgets = config.budgets.clone();
    let Some(url) = &config.redis_url else {
        return Ok(Arc::new(MemoryLimiter::new(budgets, clock)));
    };
    let mut redis = RedisStore::new(url, Arc::clone(&config.keys))?;
    if config.limiter_follows_clock {
        redis = redis.with_test_clock(Arc::clone(&clock));
    }
    let limiter = GuardedLimiter::new(redis, budgets, clock).with_call_max(config.redis_call_max);
    Ok(Arc::new(limiter))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homeroom_kit::{
        auth::{KeyPauses, Signer, TokenKeys, Verifier},
        clock::SystemClock,
        database::Url,
        keys::KeyRing,
        random::SeededRandomness,
    };

    use super::*;
    use crate::migrate;

    const ISSUER: &str = "https://platform.example";
    const AUDIENCE: &str = "homeroom";

    fn signer() -> Signer {
        Signer::generate(&SeededRandomness::new(1)).unwrap()
    }

    /// What the service says on a database that it does not migrate itself.
    async fn refusal(url: &Url) -> OpenError {
        match started(url, signer().keys(None).unwrap().into()).await {
            StartError::Database(error) => error,
            other => panic!("{other}"),
        }
    }

    /// Why the service does not start.
    async fn started(url: &Url, keys: TokenKeys) -> StartError {
        let random = Arc::new(SeededRandomness::new(1));
        let clock = Arc::new(SystemClock);
        let mut config = Config::for_tests(
            url.clone(),
            None,
            SocketAddr::from(([127, 0, 0, 1], 1)),
            Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone())),
            Arc::new(KeyRing::generate(random.as_ref()).unwrap()),
            Arc::new(signer()),
            ISSUER,
            AUDIENCE,
        );
        config.migrate_at_start = false;
        let dependencies = Dependencies { clock, random };
        match start(config, dependencies, Shutdown::new()).await {
            Err(error) => error,
            Ok(_) => panic!("it must not start"),
        }
    }

    #[tokio::test]
    async fn a_start_without_the_keys_of_access_tokens_is_refused() {
        let keys = TokenKeys::of_url("http://127.0.0.1:1/jwks.json").unwrap();
        let keys = keys.with_pauses(KeyPauses {
            start_max: Duration::ZERO,
            ..KeyPauses::default()
        });
        let error = started(&Url::Sqlite("/nowhere".into()), keys).await;
        assert!(matches!(error, StartError::TokenKeys(_)), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("JWKS_URL: http://127.0.0.1:1/jwks.json")
        );
    }

    #[tokio::test]
    async fn a_database_that_is_not_migrated_is_refused_before_anything_is_bound() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("invitations.db"));
        let error = refusal(&url).await;
        assert!(matches!(error, OpenError::NotMigrated { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("has `invitations migrate` been run?")
        );
    }

    #[tokio::test]
    async fn the_other_services_database_is_refused_by_start_and_by_migrate() {
        static MEMBERSHIP: sqlx::migrate::Migrator =
            sqlx::migrate!("../membership/migrations/sqlite");
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("membership.db"));
        let pools = database::connect_sqlite(&url, database_options())
            .await
            .unwrap();
        database::migrate(&pools, &MEMBERSHIP).await.unwrap();
        pools.close().await;
        for error in [refusal(&url).await, migrate(&url).await.unwrap_err()] {
            assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
            assert!(error.to_string().contains("another service's database?"));
        }
    }
}
