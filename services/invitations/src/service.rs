//! The running service: makes its parts and connects them.

use std::sync::Arc;

use homeroom_kit::{
    database::Options,
    paging::Paging,
    server::ServerOptions,
    service::{self, Dependencies},
    shutdown::Shutdown,
    tasks::Writes,
};

use crate::{
    SERVICE,
    app::{
        App,
        audit::AuditTrail,
        check_keys::{self, KeysRefused},
        workers,
    },
    config::Config,
    grpc,
    limiter::{
        Limiter,
        redis::{Redis, StoreAway},
    },
    membership::{Membership, MembershipClient, MembershipUrlMalformed},
    redemption::{Redemptions, ledger::Ledger},
    store::{self, OpenError},
};

/// The reason why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A reason that keeps every service from starting.
    #[error(transparent)]
    Service(#[from] service::StartError),
    /// The keys do not belong to this database's secrets.
    #[error(transparent)]
    Keys(#[from] KeysRefused),
    /// The address of membership cannot be parsed.
    #[error("MEMBERSHIP_URL {0}")]
    MembershipUrl(#[from] MembershipUrlMalformed),
    /// The address of Redis cannot be parsed.
    #[error("REDIS_URL cannot be used: {0}")]
    Redis(#[from] StoreAway),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Service(error.into())
    }
}

/// The running service.
pub type Service = service::Service<App>;

/// Starts the service. It listens only once everything else is ready.
pub async fn start(
    config: Config,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> Result<Service, StartError> {
    let settings = &config.service;
    let options = ServerOptions {
        trusted_proxies: config.trusted_proxies.clone(),
        ..settings.check(&dependencies).await?
    };
    let (url, migrate) = (&settings.database_url, settings.migrate_at_start);
    let store = store::open(url, Options::default(), migrate).await?;
    store.check_ready().await?;
    check_keys::check_and_note(store.as_ref(), &settings.keys, dependencies.clock.now()).await?;
    let membership: Arc<dyn Membership> = Arc::new(MembershipClient::new(
        &config.membership_url,
        config.membership_tls.as_ref(),
        Arc::clone(&config.signer),
        settings.verifier.issuer(),
        settings.verifier.audience(),
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
        Arc::clone(&settings.keys),
        writes.clone(),
    );
    let app = Arc::new(App {
        redemptions: Arc::new(redemptions),
        membership,
        public_url: config.public_url.clone(),
        audit: AuditTrail::start(Arc::clone(&store)),
        store,
        clock: dependencies.clock,
        random: dependencies.random,
        paging: Paging::new(Arc::clone(&settings.keys)),
        keys: Arc::clone(&settings.keys),
        writes,
    });
    let services = grpc::services(&app, &shutdown).await;
    let pauses = config.pauses;
    let mut workers = workers::start(&app, pauses, &shutdown);
    workers::retain(&mut workers, pauses.prune, config.retention);
    workers.prune_events(pauses.prune, settings.retention_events_days, &app.clock);
    let started = service::start(SERVICE, settings, options, services, workers, shutdown);
    Ok(started.await?)
}

fn limiter(config: &Config, dependencies: &Dependencies) -> Result<Limiter, StartError> {
    let clock = Arc::clone(&dependencies.clock);
    let budgets = config.budgets.clone();
    let Some(url) = &config.redis_url else {
        return Ok(Limiter::in_process(budgets, clock));
    };
    let mut redis = Redis::new(url, Arc::clone(&config.service.keys), config.redis_call_max)?;
    if config.limiter_follows_clock {
        redis = redis.with_test_clock(Arc::clone(&clock));
    }
    Ok(Limiter::on_redis(redis, budgets, clock))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homeroom_kit::{
        auth::{Signer, TokenKeys, Verifier},
        clock::SystemClock,
        database::{self, Url},
        keys::KeyRing,
        random::SeededRandomness,
        service::Settings,
    };

    use super::*;
    use crate::migrate;

    const ISSUER: &str = "https://platform.example";
    const AUDIENCE: &str = "homeroom";

    fn signer() -> Signer {
        Signer::generate(&SeededRandomness::new(1)).unwrap()
    }

    /// Returns the error of the service on a database that it does not migrate itself.
    async fn refusal(url: &Url) -> OpenError {
        match started(url, signer().keys(None).unwrap().into()).await {
            StartError::Service(service::StartError::Database(error)) => error,
            other => panic!("{other}"),
        }
    }

    /// Returns the reason why the service does not start.
    async fn started(url: &Url, keys: TokenKeys) -> StartError {
        let random = Arc::new(SeededRandomness::new(1));
        let clock = Arc::new(SystemClock);
        let verifier = Verifier::new(keys, ISSUER, AUDIENCE, clock.clone());
        let ring = KeyRing::generate(random.as_ref()).unwrap();
        let settings = Settings::local(url.clone(), Arc::new(verifier), Arc::new(ring));
        let nobody = "http://127.0.0.1:1".to_owned();
        let mut config = Config::local(settings, nobody, Arc::new(signer()));
        config.service.migrate_at_start = false;
        let dependencies = Dependencies { clock, random };
        match start(config, dependencies, Shutdown::new()).await {
            Err(error) => error,
            Ok(_) => panic!("it must not start"),
        }
    }

    #[tokio::test]
    async fn a_start_without_the_keys_of_access_tokens_is_refused() {
        let keys = TokenKeys::of_url("http://127.0.0.1:1/jwks.json").unwrap();
        let keys = keys.with_second(Duration::ZERO);
        let error = started(&Url::Sqlite("/nowhere".into()), keys).await;
        let keys = matches!(
            error,
            StartError::Service(service::StartError::TokenKeys(_))
        );
        assert!(keys, "{error}");
        let said = error.to_string();
        assert!(said.starts_with("http://127.0.0.1:1/jwks.json (JWKS_URL"));
    }

    #[tokio::test]
    async fn a_database_that_is_not_migrated_is_refused_before_anything_is_bound() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("invitations.db"));
        let error = refusal(&url).await;
        assert!(matches!(error, OpenError::NotMigrated { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("has `invitations migrate` been run?"));
    }

    #[tokio::test]
    async fn the_other_services_database_is_refused_by_start_and_by_migrate() {
        static MEMBERSHIP: sqlx::migrate::Migrator =
            sqlx::migrate!("../membership/migrations/sqlite");
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("membership.db"));
        let pools = database::connect_sqlite(&url, Options::default()).await;
        let pools = pools.unwrap();
        database::migrate(&pools, &MEMBERSHIP).await.unwrap();
        pools.close().await;
        for error in [refusal(&url).await, migrate(&url).await.unwrap_err()] {
            assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
            assert!(error.to_string().contains("another service's database?"));
        }
    }
}
