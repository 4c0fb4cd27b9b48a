//! The running service: everything is checked before the port is bound, and everything that was begun is finished
//! before it stops.

use std::{sync::Arc, time::Duration};

use homeroom_kit::{
    database::{OpenError, Options, Url},
    metrics::gauged,
    request_ids::forgotten_before,
    service::{self, Dependencies, StartError, Workers},
    shutdown::Shutdown,
};

use crate::{Config, SERVICE, app::App, grpc, store};

/// The interval between searches for request ids that may be forgotten, and for data past its retention.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);
/// Maximum number of request ids that one transaction forgets.
const PRUNE_BATCH: u32 = 1_000;
/// The interval between searches for overdue join requests.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);
/// The interval between counts for the metrics.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// Gauge: the seats of all organizations, those `used` and those `licensed`.
const SEATS: &str = "homeroom_seats";
/// Gauge: the join requests of all organizations that wait for a decision.
const JOIN_REQUESTS_WAITING: &str = "homeroom_join_requests_waiting";

/// The running service.
pub type Service = service::Service<App>;

/// Brings the schema up to date.
pub async fn migrate(url: &Url) -> Result<(), OpenError> {
    let store = store::open(url, Options::default(), true).await?;
    store.close().await;
    Ok(())
}

/// Starts the service. Nothing is bound before settings, database and schema are checked.
pub async fn start(
    config: Config,
    dependencies: Dependencies,
    shutdown: Shutdown,
) -> Result<Service, StartError> {
    let settings = &config.service;
    let options = settings.check(&dependencies).await?;
    let (url, migrate) = (&settings.database_url, settings.migrate_at_start);
    let store = store::open(url, Options::default(), migrate).await?;
    store.check_ready().await?;
    let keys = Arc::clone(&settings.keys);
    let app = App::new(store, dependencies.clock, dependencies.random, keys);
    let app = Arc::new(app);
    let services = grpc::services(&app, &shutdown).await;
    let workers = workers(&app, &config, &shutdown);
    service::start(SERVICE, settings, options, services, workers, shutdown).await
}

fn workers(app: &Arc<App>, config: &Config, shutdown: &Shutdown) -> Workers<App> {
    let mut workers = Workers::new(app, &app.store, &app.writes, &app.random, shutdown);
    workers.spawn("prune", PRUNE_INTERVAL, |app| async move {
        Ok(app.prune_request_ids_once().await? >= u64::from(PRUNE_BATCH))
    });
    let events_days = config.service.retention_events_days;
    workers.prune_events(PRUNE_INTERVAL, events_days, &app.clock);
    if let Some(days) = config.retention_join_requests_days {
        workers.spawn("persons", PRUNE_INTERVAL, move |app| async move {
            app.forget_persons_once(days).await
        });
    }
    workers.spawn("expiry", EXPIRY_INTERVAL, |app| async move {
        app.expire_join_requests().await.map(|_| false)
    });
    workers.spawn("counts", COUNT_INTERVAL, |app| async move {
        app.count_seats().await.map(|()| false)
    });
    workers
}

impl App {
    /// Counts seats and waiting requests for the metrics.
    async fn count_seats(&self) -> homeroom_kit::Result<()> {
        let mut repository = self.store.read().await?;
        let seats = repository.all_seats().await?;
        repository.release();
        metrics::gauge!(SEATS, "state" => "used").set(gauged(seats.used));
        metrics::gauge!(SEATS, "state" => "licensed").set(gauged(seats.limit));
        metrics::gauge!(JOIN_REQUESTS_WAITING).set(gauged(seats.waiting));
        Ok(())
    }

    /// Forgets request ids claimed more than 24 hours ago (R3), in limited numbers. Returns their number.
    pub async fn prune_request_ids_once(&self) -> homeroom_kit::Result<u64> {
        let before = forgotten_before(self.clock.now());
        let mut session = self.store.write().await?;
        let pruned = session.request_ids().prune_request_ids(before, PRUNE_BATCH);
        let pruned = pruned.await?;
        session.commit("forget_requests").await?;
        Ok(pruned)
    }
}

#[cfg(test)]
mod tests {
    use homeroom_kit::{
        auth::{TokenKeys, Verifier},
        clock::SystemClock,
        keys::KeyRing,
        random::SeededRandomness,
        service::Settings,
    };

    use super::*;

    #[tokio::test]
    async fn a_start_without_the_keys_of_access_tokens_is_refused() {
        let keys = TokenKeys::of_url("http://127.0.0.1:1/jwks.json").unwrap();
        let keys = keys.with_second(Duration::ZERO);
        let clock = Arc::new(SystemClock);
        let random = Arc::new(SeededRandomness::new(1));
        let verifier = Verifier::new(keys, "https://platform.example", "homeroom", clock.clone());
        let config = Settings::local(
            Url::Sqlite("/nowhere".into()),
            Arc::new(verifier),
            Arc::new(KeyRing::generate(random.as_ref()).unwrap()),
        );
        let dependencies = Dependencies { clock, random };
        let Err(error) = start(config.into(), dependencies, Shutdown::new()).await else {
            panic!("it must not start");
        };
        assert!(matches!(error, StartError::TokenKeys(_)), "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with("http://127.0.0.1:1/jwks.json (JWKS_URL"),
            "{said}"
        );
    }
}
