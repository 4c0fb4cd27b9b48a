//! Both services, the servers they need, and a proxy on every connection between them.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::TimeDelta;
use homeroom_faults::surroundings::{
    Postgres, PostgresOptions, PostgresPair, Redis, RedisPair, RpcProxy, SmallDisk, TcpProxy,
    free_address,
};
use homeroom_kit::{
    auth::{Claims, Scopes, Signer},
    clock::{Clock as _, SystemClock},
    database::Url,
    keys::KeyRing,
    random::SystemRandomness,
};

use crate::{
    callers::Platform,
    service::{Service, Settings, Which},
    wrong::Variant,
};

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";
/// The validity of the platform's token in days, longer than any campaign steps a clock.
const TOKEN_DAYS: i64 = 3_650;
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
    /// Redis with a replica.
    RedisPair,
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
            proxy.heal();
        }
        for proxy in self.calls() {
            proxy.delivered().await;
        }
    }
}

/// Everything on which a campaign runs.
pub(crate) struct Stage {
    pub(crate) services: [Service; 2],
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    // These start when they are first needed.
    pub(crate) postgres_pair: Option<PostgresPair>,
    pub(crate) redis_pair: Option<RedisPair>,
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
    pub(crate) async fn start(folder: &Path, variant: Option<Variant>) -> Self {
        let path = |name: &str| folder.join(name);
        fs::create_dir_all(folder).unwrap();
        let random = SystemRandomness;
        let signer = Signer::generate(&random).unwrap();
        let own_signer = Signer::load_or_generate(&path("signing-key.pem"), &random).unwrap();
        let keys = [
            signer.jwks(None),
            own_signer.jwks(Some(Scopes::parse("homeroom.admit"))),
        ]
        .map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()["keys"][0].clone());
        fs::write(
            path("jwks.json"),
            serde_json::json!({ "keys": keys }).to_string(),
        )
        .unwrap();
        let claims = Claims::new(
            ISSUER,
            AUDIENCE,
            "platform",
            SystemClock.now(),
            TimeDelta::days(TOKEN_DAYS),
        )
        .with_scopes(Scopes::parse(
            "homeroom.platform homeroom.act_as homeroom.vouch",
        ));
        let token = signer.sign(&claims).unwrap().expose().to_owned();

        let postgres = Postgres::start(PostgresOptions::default()).await;
        let redis = Redis::start().await;
        let addresses = [free_address(), free_address()];
        let proxies = Proxies::start(addresses, postgres.address(), redis.address()).await;
        let services = Which::BOTH.map(|which| {
            KeyRing::load_or_generate(&path(&format!("{}.keys", which.name())), &random).unwrap();
            let address = addresses[which as usize];
            let mut environment: BTreeMap<&'static str, String> = [
                ("LISTEN_ADDRESS", address.to_string()),
                (
                    "KEYS_FILE",
                    path(&format!("{}.keys", which.name()))
                        .display()
                        .to_string(),
                ),
                ("JWKS_FILE", path("jwks.json").display().to_string()),
                ("TOKEN_ISSUER", ISSUER.to_owned()),
                ("TOKEN_AUDIENCE", AUDIENCE.to_owned()),
                ("MIGRATE_AT_START", "true".to_owned()),
                ("RUST_LOG", "warn".to_owned()),
                ("HOMEROOM_END_WITH_INPUT", "1".to_owned()),
            ]
            .into();
            if which == Which::Invitations {
                let membership = proxies.invitations_to_membership.address();
                environment.extend([
                    (
                        "SIGNING_KEY_FILE",
                        path("signing-key.pem").display().to_string(),
                    ),
                    ("MEMBERSHIP_URL", format!("http://{membership}")),
                    ("PUBLIC_URL", "https://join.example".to_owned()),
                ]);
            }
            if let Some(variant) = variant {
                environment.insert("HOMEROOM_WRONG_VARIANT", variant.name().to_owned());
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
            redis_pair: None,
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
        let (database, redis) = self.servers().await;
        let connections = &self.proxies.connections;
        connections[TO_MEMBERSHIPS_DATABASE].set_upstream(database);
        connections[TO_INVITATIONS_DATABASE].set_upstream(database);
        connections[TO_REDIS].set_upstream(redis);
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

    /// Starts the servers of the round; returns the addresses of PostgreSQL and Redis.
    async fn servers(&mut self) -> (SocketAddr, SocketAddr) {
        let mut database = self.postgres.address();
        let mut redis = self.redis.address();
        match self.ground {
            Ground::Single | Ground::Sqlite => {}
            Ground::PostgresPair => {
                if self.postgres_pair.is_none() {
                    self.postgres_pair =
                        Some(PostgresPair::start(PostgresOptions::default()).await);
                }
                database = self.postgres_pair.as_ref().unwrap().proxy().address();
            }
            Ground::SmallDisk => {
                if self.small_disk.is_none() {
                    let disk =
                        SmallDisk::mount(SMALL_DISK_BYTES).unwrap_or_else(|why| panic!("{why}"));
                    let options = PostgresOptions {
                        folder: Some(disk.folder().to_owned()),
                        ..PostgresOptions::default()
                    };
                    let postgres = Postgres::start(options).await;
                    self.small_disk = Some(OnSmallDisk { postgres, disk });
                }
                database = self.small_disk.as_ref().unwrap().postgres.address();
            }
            Ground::SmallDiskSqlite => {
                if self.sqlite_disk.is_none() {
                    let disk =
                        SmallDisk::mount(SQLITE_DISK_BYTES).unwrap_or_else(|why| panic!("{why}"));
                    self.sqlite_disk = Some(disk);
                }
            }
            Ground::RedisPair => {
                if self.redis_pair.is_none() {
                    self.redis_pair = Some(RedisPair::start().await);
                }
                redis = self.redis_pair.as_ref().unwrap().proxy().address();
            }
        }
        (database, redis)
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

    /// Returns clients of both services that go through the proxies.
    pub(crate) fn platform(&self) -> Platform {
        Platform::new(
            self.proxies.callers_to_membership.address(),
            self.proxies.callers_to_invitations.address(),
            &self.token,
        )
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
