//! A separate PostgreSQL cluster, which can crash and restart.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use homeroom_kit::database::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{eventually, free_address};

/// The role of every connection.
const ROLE: &str = "homeroom";
/// The time within which it must start, recover or end, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The interval between two checks.
const PAUSE: Duration = Duration::from_millis(10);
/// The most times that it is started again if it ends before it accepts connections.
const STARTS_MAX: u32 = 5;
/// The settings of every cluster. Without fsync, only a crash of the whole machine loses anything.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "track_commit_timestamp=on",
    "max_connections=200",
    "shared_buffers=64MB",
    "min_wal_size=2MB",
    "max_wal_size=64MB",
    // Without recycling, a full disk is noticed at the next segment.
    "wal_recycle=off",
    // These settings let replicas be created and promoted.
    "wal_level=replica",
    "hot_standby=on",
    "wal_receiver_status_interval=1s",
    "wal_retrieve_retry_interval=100ms",
];

/// The options of a cluster.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// The folder in which it creates its own; `None` means the temporary folder.
    pub folder: Option<PathBuf>,
    /// The program, with its arguments, that starts it; empty if there is none.
    pub wrapper: Vec<String>,
    /// Settings in addition to those of every cluster, such as `fsync=on`.
    pub settings: Vec<String>,
}

/// A cluster on loopback, which may be stopped. When dropped, it is stopped and its files are
/// removed.
pub struct Postgres {
    postmaster: Option<Child>,
    address: SocketAddr,
    options: PostgresOptions,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Creates and starts a cluster; returns when it accepts connections.
    pub async fn start(options: PostgresOptions) -> Self {
        let mut postgres = Self::prepare(options);
        let mut command = postgres.program("initdb");
        command
            .arg("--pgdata")
            .arg(postgres.data())
            .args(["--username", ROLE, "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            // Small segments make a full disk noticed soon and a replica quick to create.
            .arg("--wal-segsize=1");
        run(command).await;
        postgres.start_again().await;
        postgres
    }

    /// Creates a folder and an address, but no cluster yet.
    #[must_use]
    pub fn prepare(options: PostgresOptions) -> Self {
        let parent = options.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("homeroom-postgres-")
            .tempdir_in(parent);
        let folder = folder.unwrap();
        if is_root() {
            let chown = Command::new("chown")
                .arg("postgres")
                .arg(folder.path())
                .status();
            assert!(
                chown.unwrap().success(),
                "no user postgres: install its package"
            );
        }
        Self {
            postmaster: None,
            address: free_address(),
            options,
            folder,
        }
    }

    /// Returns its address, which stays the same while it is stopped.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@{}/{database}", self.address)
    }

    /// Returns the file of its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// Returns the folder of its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Creates an empty database.
    pub async fn create_database(&self, name: &str) -> Url {
        let mut connection = self.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        Url::Postgres(self.url(name))
    }

    /// Connects to the database `postgres`.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url("postgres")).await
    }

    /// Stops it at once, like a crash (SIGQUIT to the postmaster): nothing is finished, and
    /// connections just end. Returns when all its processes have ended.
    pub async fn crash(&mut self) {
        self.quit();
        eventually("PostgreSQL ends", async || !self.is_running()).await;
    }

    /// Starts it, unless it is running; returns when it has recovered and accepts connections.
    pub async fn start_again(&mut self) {
        let begun = Instant::now();
        let mut starts = 0;
        while !self.is_running() || self.connect().await.is_err() {
            // It may also end by itself during this wait, if its disk was full.
            if !self.is_running() {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                assert!(starts < STARTS_MAX, "PostgreSQL ends: {log}");
                starts += 1;
                self.launch();
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "PostgreSQL accepts no connections"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Crashes it and starts it again with this wrapper and these settings.
    pub async fn restart_with(&mut self, wrapper: Vec<String>, settings: &[&str]) {
        self.crash().await;
        self.options.wrapper = wrapper;
        self.options.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        self.start_again().await;
    }

    fn launch(&mut self) {
        let mut words = self.options.wrapper.clone();
        words.extend(owner());
        words.push(program("postgres").display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.folder.path());
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path());
        command.args(["-p", &self.address.port().to_string()]);
        let settings = SETTINGS.iter().copied();
        for setting in settings.chain(self.options.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.postmaster = Some(command.spawn().unwrap());
    }

    /// Returns true if its postmaster is running. It ends by itself if a crash recovery fails, as
    /// on a full disk.
    pub fn is_running(&mut self) -> bool {
        let postmaster = self.postmaster.as_mut();
        postmaster.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn quit(&mut self) {
        if self.is_running()
            && let Some(postmaster) = &self.postmaster
        {
            let quit = format!("kill -QUIT {}", postmaster.id());
            drop(Command::new("sh").args(["-c", &quit]).status());
        }
    }

    /// Returns a command for one of PostgreSQL's programs, as a user who may run it.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new("env");
        command
            .args(owner())
            .arg(program(name))
            .current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.quit();
        if let Some(postmaster) = &mut self.postmaster {
            drop(postmaster.wait());
        }
    }
}

/// Runs a command to its end; panics unless it succeeds.
pub async fn run(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || (command.output(), command)).await;
    let (output, command) = output.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {told}");
}

/// Returns true if this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Returns the command prefix that changes to Debian's user for PostgreSQL, which refuses to run as
/// root.
fn owner() -> Vec<String> {
    let change = "setpriv --reuid=postgres --regid=postgres --init-groups";
    let words = change.split(' ').map(str::to_owned);
    words.filter(|_| is_root()).collect()
}

/// Returns the path of a program of the newest PostgreSQL.
fn program(name: &str) -> PathBuf {
    let version = |path: &PathBuf| {
        let folder = path.ancestors().nth(2).and_then(Path::file_name);
        folder.and_then(|folder| folder.to_str()?.parse::<u32>().ok())
    };
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let installed = installed.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)));
    let newest = installed.filter(|path| path.exists()).max_by_key(version);
    newest.unwrap_or_else(|| name.into())
}
