//! Both services, the servers they need, and a proxy on every connection between them.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use homeroom_faults::surroundings::{PostgresPair, RpcProxy, SmallDisk};
use homeroom_kit::{clock::SystemClock, database::Url, failpoints::WrongVariant};
use homeroom_tests::{
    Claims, Clients, access_token, free_address,
    postgres::{Postgres, PostgresOptions},
    processes::{settings, write_keys},
    redis_servers::RedisPair,
    tcp_proxy::TcpProxy,
};

use crate::service::{Service, Settings, Which};

/// The size of the disk of the fault `disk-full`.
const SMALL_DISK_BYTES: u64 = 400 << 20;
/// The size of the disk of the fault `disk-full-sqlite`.
const SQLITE_DISK_BYTES: u64 = 100 << 20;

/// The servers on which a round runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// One PostgreSQL and one Redis.
    Single,
    /// PostgreSQL with a synchronous replica.
    PostgresPair,
    /// PostgreSQL on a small disk.
    SmallDisk,
    /// SQLite files, and no Redis.
    Sqlite,
    /// SQLite files on a small disk, and no Redis.
    SmallDiskSqlite,
}

impl Ground {
    fn is_sqlite(self) -> bool {
        matches!(self, Self::Sqlite | Self::SmallDiskSqlite)
    }
}

/// PostgreSQL on a disk that can be filled.
pub(crate) struct OnSmallDisk {
    // The order matters: the server is stopped before the disk is unmounted.
    pub(crate) postgres: Postgres,
    pub(crate) disk: SmallDisk,
}

/// The proxies. All calls pass through both kinds, so that both calls and connections can be
/// broken.
pub(crate) struct Proxies {
    pub(crate) callers_to_membership: RpcProxy,
    pub(crate) callers_to_invitations: RpcProxy,
    pub(crate) invitations_to_membership: RpcProxy,
    /// The connections from callers to membership, callers to invitations, invitations to
    /// membership, membership to PostgreSQL, invitations to PostgreSQL, and invitations to Redis.
    pub(crate) connections: [TcpProxy; 6],
}

const TO_MEMBERSHIPS_DATABASE: usize = 3;
const TO_INVITATIONS_DATABASE: usize = 4;
const TO_REDIS: usize = 5;

impl Proxies {
    async fn start(addresses: [SocketAddr; 2], postgres: SocketAddr, redis: SocketAddr) -> Self {
        let [membership, invitations] = addresses;
        let connections = [
            TcpProxy::start(membership).await,
            TcpProxy::start(invitations).await,
            TcpProxy::start(membership).await,
            TcpProxy::start(postgres).await,
            TcpProxy::start(postgres).await,
            TcpProxy::start(redis).await,
        ];
        Self {
            callers_to_membership: RpcProxy::start(connections[0].address()).await,
            callers_to_invitations: RpcProxy::start(connections[1].address()).await,
            invitations_to_membership: RpcProxy::start(connections[2].address()).await,
            connections,
        }
    }

    /// Returns the proxies of calls.
    pub(crate) fn calls(&self) -> [&RpcProxy; 3] {
        [
            &self.callers_to_membership,
            &self.callers_to_invitations,
            &self.invitations_to_membership,
        ]
    }

    /// Ends all faults and waits until held requests have arrived.
    pub(crate) async fn heal(&self) {
        for proxy in &self.connections {
            proxy.heal();
        }
        for proxy in self.calls() {
            proxy.heal().await;
        }
    }
}

/// Everything on which a campaign runs.
pub(crate) struct Stage {
    pub(crate) services: [Service; 2],
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) postgres: Postgres,
    pub(crate) redis: RedisPair,
    // These start when they are first needed.
    pub(crate) postgres_pair: Option<PostgresPair>,
    pub(crate) small_disk: Option<OnSmallDisk>,
    pub(crate) sqlite_disk: Option<SmallDisk>,
    pub(crate) ground: Ground,
    /// The URLs of this round's databases, which bypass every proxy: membership's and invitations'.
    pub(crate) urls: [Url; 2],
    folder: PathBuf,
    token: String,
}

impl Stage {
    /// Checks that this machine can fill a disk; otherwise returns the reason.
    pub(crate) fn can_fill_a_disk() -> Result<(), String> {
        SmallDisk::mount(1 << 20).map(drop)
    }

    /// Starts the servers and the proxies, not yet the services. Keys and logs go to `folder`,
    /// which is removed with the stage.
    pub(crate) async fn start(folder: &Path, variant: Option<WrongVariant>) -> Self {
        let path = |name: &str| folder.join(name);
        fs::create_dir_all(folder).unwrap();
        let signer = write_keys(folder);
        let platform = Claims {
            scopes: &["homeroom.platform", "homeroom.act_as", "homeroom.vouch"],
            ..Claims::of("platform")
        };
        let token = access_token(&signer, &SystemClock, platform);

        let postgres = Postgres::start(PostgresOptions::default()).await;
        let redis = RedisPair::start().await;
        let addresses = [free_address(), free_address()];
        let proxies = Proxies::start(addresses, postgres.address(), address_of(&redis)).await;
        let services = Which::BOTH.map(|which| {
            let address = addresses[which as usize];
            let membership = proxies.invitations_to_membership.address();
            let mut environment: BTreeMap<&'static str, String> =
                settings(which, folder, membership).into_iter().collect();
            environment.extend([
                ("LISTEN_ADDRESS", address.to_string()),
                ("MIGRATE_AT_START", "true".to_owned()),
                ("RUST_LOG", "warn".to_owned()),
                ("HOMEROOM_END_WITH_INPUT", "1".to_owned()),
            ]);
            if let Some(variant) = variant {
                environment.insert("HOMEROOM_WRONG_VARIANT", variant.to_string());
            }
            Service::new(Settings {
                which,
                binary: std::env::current_exe()
                    .unwrap()
                    .with_file_name("faulty-service"),
                address,
                environment,
                log: path(&format!("{}.log", which.name())),
            })
        });
        let nowhere = Url::Sqlite(path("none.db"));
        Self {
            services,
            proxies: Arc::new(proxies),
            postgres,
            redis,
            postgres_pair: None,
            small_disk: None,
            sqlite_disk: None,
            ground: Ground::Single,
            urls: [nowhere.clone(), nowhere],
            folder: folder.to_owned(),
            token,
        }
    }

    /// Creates new databases on these servers, and starts both services on them.
    pub(crate) async fn begin_round(&mut self, ground: Ground, name: &str) {
        self.stop_services().await;
        self.ground = ground;
        for service in &mut self.services {
            service.forget_log();
        }
        let database = self.database_server().await;
        let connections = &self.proxies.connections;
        connections[TO_MEMBERSHIPS_DATABASE].set_upstream(database);
        connections[TO_INVITATIONS_DATABASE].set_upstream(database);
        let redis_url = format!("redis://{}", connections[TO_REDIS].address());
        for which in Which::BOTH {
            let database = format!("{name}_{}", which.name());
            let proxy = &connections[TO_MEMBERSHIPS_DATABASE + which as usize];
            let (direct, proxied) = if ground.is_sqlite() {
                let disk = self.sqlite_disk.as_ref();
                let disk = disk.filter(|_| ground == Ground::SmallDiskSqlite);
                let folder = disk.map_or(self.folder.as_path(), SmallDisk::folder);
                let path = folder.join(format!("{database}.db"));
                remove_sqlite(&path);
                (
                    Url::Sqlite(path.clone()),
                    format!("sqlite://{}", path.display()),
                )
            } else {
                let postgres = self.primary();
                postgres.create_database(&database).await;
                let direct = self.direct_url(&database);
                let mut proxied = url::Url::parse(&direct).unwrap();
                proxied.set_port(Some(proxy.address().port())).unwrap();
                (Url::Postgres(direct), proxied.to_string())
            };
            self.urls[which as usize] = direct;
            let environment = &mut self.services[which as usize].settings.environment;
            environment.insert("DATABASE_URL", proxied);
            if which == Which::Invitations && !ground.is_sqlite() {
                environment.insert("REDIS_URL", redis_url.clone());
            } else {
                environment.remove("REDIS_URL");
            }
        }
        for service in &mut self.services {
            service.launch().await;
        }
    }

    /// Starts the database server of the round; returns its address.
    async fn database_server(&mut self) -> SocketAddr {
        match self.ground {
            Ground::PostgresPair => {
                if self.postgres_pair.is_none() {
                    self.postgres_pair = Some(PostgresPair::start().await);
                }
                return self.postgres_pair.as_ref().unwrap().proxy().address();
            }
            Ground::SmallDisk if self.small_disk.is_none() => {
                let disk = SmallDisk::mount(SMALL_DISK_BYTES).unwrap();
                let options = PostgresOptions {
                    folder: Some(disk.folder().to_owned()),
                    ..PostgresOptions::default()
                };
                let postgres = Postgres::start(options).await;
                self.small_disk = Some(OnSmallDisk { postgres, disk });
            }
            Ground::SmallDiskSqlite if self.sqlite_disk.is_none() => {
                self.sqlite_disk = Some(SmallDisk::mount(SQLITE_DISK_BYTES).unwrap());
            }
            _ => {}
        }
        self.primary().address()
    }

    fn primary(&self) -> &Postgres {
        match self.ground {
            Ground::PostgresPair => self.postgres_pair.as_ref().unwrap().primary(),
            Ground::SmallDisk => &self.small_disk.as_ref().unwrap().postgres,
            _ => &self.postgres,
        }
    }

    /// Returns a URL that bypasses the driver's proxies, but not the pair's own, which follows
    /// promotions.
    fn direct_url(&self, database: &str) -> String {
        match self.ground {
            Ground::PostgresPair => self.postgres_pair.as_ref().unwrap().url(database),
            _ => self.primary().url(database),
        }
    }

    /// Restarts every process that has ended.
    pub(crate) async fn launch_what_ended(&mut self) {
        for service in &mut self.services {
            service.launch().await;
        }
    }

    pub(crate) async fn stop_services(&mut self) {
        for service in &mut self.services {
            service.kill().await;
        }
    }

    /// Returns the platform, whose calls go through the proxies.
    pub(crate) fn platform(&self) -> Clients {
        let membership = self.proxies.callers_to_membership.address();
        let invitations = self.proxies.callers_to_invitations.address();
        Clients::connect(membership, invitations, &self.token)
    }

    /// Drops the databases of the round, unless they are evidence.
    pub(crate) async fn forget_round(&mut self) {
        self.stop_services().await;
        for url in &self.urls {
            match url {
                Url::Postgres(text) => crate::evidence::drop_database(text).await,
                Url::Sqlite(path) => remove_sqlite(path),
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After a panic the logs tell the cause.
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

fn remove_sqlite(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{suffix}", path.display())));
    }
}

fn address_of(redis: &RedisPair) -> SocketAddr {
    let url = redis.url();
    url.trim_start_matches("redis://").parse().unwrap()
}
