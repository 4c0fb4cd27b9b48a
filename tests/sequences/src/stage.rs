//! Both services in this process, each in its own runtime, so that either can be killed.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_invitations as invitations;
use homeroom_kit::{
    clock::ManualClock,
    database::Url,
    random::{SharedRandomness, SystemRandomness},
    shutdown::Shutdown,
};
use homeroom_membership as membership;
use homeroom_tests::{Claims, Configured, access_token, configured, databases::Databases};
use invitations::app::workers::Pauses;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};

use crate::{clock::SteppedClock, plan::Which};

/// The most days that the clock may go back behind its start.
const BACK_DAYS: i64 = 365 * 5;
/// The interval of workers, so long that they run only when told to.
const NEVER: Duration = Duration::from_hours(1_000);
/// The failures that the limiter allows, so many that no sequence reaches it.
const BUDGET: u32 = 100_000;
/// The folder for databases in memory, where it exists.
const MEMORY_FOLDER: &str = "/dev/shm";
/// The time within which the tasks of a killed service are dropped.
const KILL_MAX: Duration = Duration::from_secs(10);

/// Creates a folder for databases, in memory if possible.
pub fn folder() -> TempDir {
    let memory = Path::new(MEMORY_FOLDER);
    let within = if memory.is_dir() {
        memory.to_owned()
    } else {
        env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("homeroom-sequences-")
        .tempdir_in(within)
        .unwrap()
}

/// Migrates the databases that stages copy, in a new folder inside `within`.
pub async fn templates(within: &Path) -> TempDir {
    let folder = tempfile::tempdir_in(within).unwrap();
    let [membership, invitations] = Which::BOTH.map(|which| url(folder.path(), which));
    membership::migrate(&membership).await.unwrap();
    invitations::migrate(&invitations).await.unwrap();
    folder
}

fn file(folder: &Path, which: Which) -> PathBuf {
    folder.join(format!("{}.db", which.name()))
}

fn url(folder: &Path, which: Which) -> Url {
    Url::Sqlite(file(folder, which))
}

/// Opens a connection that reads both databases; that of membership is attached as `membership`.
async fn judge(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file(folder, Which::Invitations));
    let mut connection = options.connect().await.unwrap();
    sqlx::query("ATTACH DATABASE $1 AS membership")
        .bind(file(folder, Which::Membership).display().to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

/// A running service.
struct Running<Service> {
    runtime: Runtime,
    service: Service,
    /// Held, because dropping it would order a shutdown, and a killed service gets no notice.
    _shutdown: Shutdown,
}

impl<Service> Running<Service> {
    /// Ends every task where it waits, like SIGKILL.
    async fn kill(self) {
        let ended = tokio::task::spawn_blocking(move || self.runtime.shutdown_timeout(KILL_MAX));
        ended.await.unwrap();
    }
}

/// Both services on their own databases.
pub struct Stage {
    /// The services' clock.
    pub clock: Arc<SteppedClock>,
    /// The sum of the clock's steps back, in seconds.
    pub back_seconds: i64,
    /// The folder of both databases.
    pub folder: TempDir,
    /// The bearer tokens of the platform, and of the platform without `homeroom.platform`.
    pub tokens: [String; 2],
    /// A connection that reads both databases.
    pub judge: SqliteConnection,
    membership: Option<Running<membership::Service>>,
    invitations: Option<Running<invitations::Service>>,
    addresses: [SocketAddr; 2],
    channels: [Channel; 2],
    membership_config: membership::Config,
    invitations_config: invitations::Config,
    random: SharedRandomness,
}

impl Stage {
    /// Copies the databases and starts both services.
    pub async fn open(templates: &Path) -> Self {
        let start: DateTime<Utc> = "2026-09-01T08:00:00Z".parse().unwrap();
        let clock = Arc::new(SteppedClock::new(start));
        let folder = tempfile::tempdir_in(templates).unwrap();
        for which in Which::BOTH {
            fs::copy(file(templates, which), file(folder.path(), which)).unwrap();
        }
        let judge = judge(folder.path()).await;
        let [membership, invitations] = Which::BOTH.map(|which| url(folder.path(), which));
        let databases = Databases::of(membership, invitations, None);
        let Configured {
            membership: mut membership_config,
            invitations: mut invitations_config,
            signer,
        } = configured(&databases, clock.clone());
        membership_config.service.migrate_at_start = false;
        membership_config.service.reflection = false;
        invitations_config.service.migrate_at_start = false;
        invitations_config.service.reflection = false;
        invitations_config.pauses = Pauses {
            recovery: NEVER,
            follower: NEVER,
            fences: NEVER,
            sweep: NEVER,
            prune: NEVER,
        };
        invitations_config.budgets.user_burst = BUDGET;
        invitations_config.budgets.user_hourly = BUDGET;
        invitations_config.budgets.user_daily = BUDGET;
        invitations_config.budgets.user_refunds_daily_max = BUDGET;
        invitations_config.budgets.address_hourly = BUDGET;
        let issued = ManualClock::new(start - TimeDelta::days(BACK_DAYS));
        let token = |scopes: &[&str]| {
            let claims = Claims {
                scopes,
                ..Claims::of("platform")
            };
            format!("Bearer {}", access_token(&signer, &issued, claims))
        };
        let of_users = ["homeroom.act_as", "homeroom.vouch", "homeroom.forward_ip"];
        let all = [&of_users[..], &["homeroom.platform", "homeroom.admit"]].concat();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut stage = Self {
            clock,
            back_seconds: 0,
            folder,
            tokens: [token(&all), token(&of_users)],
            judge,
            membership: None,
            invitations: None,
            addresses: [nowhere; 2],
            channels: [channel(nowhere), channel(nowhere)],
            membership_config,
            invitations_config,
            random: Arc::new(SystemRandomness),
        };
        stage.start(Which::Membership).await;
        stage.start(Which::Invitations).await;
        stage
    }

    async fn start(&mut self, which: Which) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = Shutdown::new();
        let ordered = shutdown.clone();
        let (clock, random) = (self.clock.clone(), Arc::clone(&self.random));
        match which {
            Which::Membership => {
                let config = self.membership_config.clone();
                let dependencies = membership::Dependencies { clock, random };
                let started = runtime.spawn(membership::start(config, dependencies, ordered));
                let service = started.await.unwrap().unwrap();
                // A restarted service keeps its address.
                self.membership_config.service.listen = service.address();
                self.invitations_config.membership_url = format!("http://{}", service.address());
                self.addresses[0] = service.address();
                self.membership = Some(Running {
                    runtime,
                    service,
                    _shutdown: shutdown,
                });
            }
            Which::Invitations => {
                let config = self.invitations_config.clone();
                let dependencies = invitations::Dependencies { clock, random };
                let started = runtime.spawn(invitations::start(config, dependencies, ordered));
                let service = started.await.unwrap().unwrap();
                self.invitations_config.service.listen = service.address();
                self.addresses[1] = service.address();
                self.invitations = Some(Running {
                    runtime,
                    service,
                    _shutdown: shutdown,
                });
            }
        }
        self.channels[which as usize] = channel(self.addresses[which as usize]);
    }

    /// Kills a service and restarts it.
    pub async fn restart(&mut self, which: Which) {
        match which {
            Which::Membership => self.membership.take().unwrap().kill().await,
            Which::Invitations => self.invitations.take().unwrap().kill().await,
        }
        self.start(which).await;
    }

    /// Returns a channel to a service.
    #[must_use]
    pub fn channel(&self, of_membership: bool) -> Channel {
        self.channels[usize::from(!of_membership)].clone()
    }

    /// Returns the application of membership.
    #[must_use]
    pub fn membership(&self) -> Arc<membership::app::App> {
        self.membership.as_ref().unwrap().service.app()
    }

    /// Returns the application of invitations.
    #[must_use]
    pub fn invitations(&self) -> Arc<invitations::app::App> {
        self.invitations.as_ref().unwrap().service.app()
    }

    /// Runs `work` in the membership service's runtime.
    pub fn in_membership<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.membership.as_ref().unwrap().runtime.spawn(work)
    }

    /// Runs `work` in the invitations service's runtime.
    pub fn in_invitations<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.invitations.as_ref().unwrap().runtime.spawn(work)
    }

    /// Returns the URL of a service's database.
    #[must_use]
    pub fn url(&self, which: Which) -> Url {
        url(self.folder.path(), which)
    }

    /// Stops both services without waiting for them.
    pub fn close(self) {
        if let Some(running) = self.invitations {
            running.runtime.shutdown_background();
        }
        if let Some(running) = self.membership {
            running.runtime.shutdown_background();
        }
    }
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .tcp_nodelay(true)
        .connect_lazy()
}
