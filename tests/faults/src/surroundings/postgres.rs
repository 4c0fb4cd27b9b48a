//! A PostgreSQL cluster of its own, to crash and start again.

use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{
    Patience, free_address,
    process::{Process, Signal, User, run_aside},
};

/// The role that everything is done by.
const ROLE: &str = "homeroom";
const CONNECTIONS_MAX: u32 = 200;
/// How often it is started again where it ends before it accepts connections.
const STARTS_MAX: u32 = 5;
/// Small segments: a full disk is noticed soon, and a replica is made fast.
const SEGMENT_MEBIBYTES: u32 = 1;

/// How a cluster is made.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Whether it waits for its disk. Without, a crash of the server loses nothing either; only a
    /// crash of the whole machine would.
    pub fsync: bool,
    /// Where its files lie, in a folder of their own. None: in the temporary folder.
    pub folder: Option<PathBuf>,
}

/// A cluster on loopback, which may be stopped. Dropped, it is stopped and its files go.
pub struct Postgres {
    // The process goes first, then its files.
    process: Option<Process>,
    address: SocketAddr,
    user: Option<User>,
    fsync: bool,
    pub(super) folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster, starts it, and answers when it accepts connections.
    pub async fn start(options: PostgresOptions) -> Self {
        let mut postgres = Self::prepare(&options);
        let mut command = postgres.program("initdb");
        command
            .arg("--pgdata")
            .arg(postgres.data())
            .args(["--username", ROLE, "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .arg(format!("--wal-segsize={SEGMENT_MEBIBYTES}"));
        run_aside(command).await;
        postgres.start_again().await;
        postgres
    }

    /// A folder, an address and no cluster yet.
    pub(super) fn prepare(options: &PostgresOptions) -> Self {
        let mut folder = tempfile::Builder::new();
        folder.prefix("homeroom-postgres-");
        let folder = match &options.folder {
            Some(parent) => folder.tempdir_in(parent),
            None => folder.tempdir(),
        }
        .unwrap();
        let user = User::to_become("postgres");
        if let Some(user) = user {
            user.give(folder.path());
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self {
            process: None,
            address: free_address(),
            user,
            fsync: options.fsync,
            folder,
        }
    }

    /// Where it listens, also while it is stopped.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.address, database)
    }

    /// Makes an empty database.
    pub async fn create_database(&self, name: &str) {
        let mut connection = self.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Stops it at once, as a crash does (SIGQUIT to the postmaster): nothing is finished, and no
    /// connection is told anything but its end. Answers when all its processes have ended.
    pub async fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::Quit).await;
        }
    }

    /// Starts it, unless it runs, and answers when it has recovered and accepts connections.
    pub async fn start_again(&mut self) {
        let patience = Patience::until("PostgreSQL accepts connections");
        let mut starts = 0;
        while !self.is_running() || self.connect().await.is_err() {
            // It also ends by itself, while it is waited for, where its disk was full.
            if !self.is_running() {
                assert!(
                    starts < STARTS_MAX,
                    "PostgreSQL ends: {}",
                    self.last_lines()
                );
                starts += 1;
                self.launch();
            }
            patience.pause().await;
        }
    }

    fn launch(&mut self) {
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.address.port().to_string()]);
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("fsync", if self.fsync { "on" } else { "off" }),
            ("track_commit_timestamp", "on"),
            ("max_connections", &CONNECTIONS_MAX.to_string()),
            ("shared_buffers", "64MB"),
            ("min_wal_size", "2MB"),
            ("max_wal_size", "64MB"),
            // A full disk is noticed at the next segment.
            ("wal_recycle", "off"),
            // Replicas that are made and promoted.
            ("wal_level", "replica"),
            ("hot_standby", "on"),
            ("wal_receiver_status_interval", "1s"),
            ("wal_retrieve_retry_interval", "100ms"),
        ] {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let process = Process::start("postgres", command, &self.log(), Signal::Quit);
        self.process = Some(process);
    }

    /// Whether its postmaster runs. It ends by itself where a crash recovery fails, as on a full disk.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    pub(super) async fn connect(&self) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url("postgres")).await
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    fn last_lines(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// One of PostgreSQL's programs, as the user who may run it.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.current_dir(self.folder.path());
        if let Some(user) = self.user {
            user.run_as(&mut command);
        }
        command
    }
}

pub(super) fn url(address: SocketAddr, database: &str) -> String {
    format!("postgres://{ROLE}@{address}/{database}")
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let version = |folder: &PathBuf| {
        let name = folder.parent().and_then(Path::file_name);
        name.and_then(|name| name.to_str()?.parse::<u32>().ok())
    };
    let has_it = |folder: &PathBuf| folder.join("initdb").exists();
    installed
        .filter(has_it)
        .max_by_key(version)
        .or_else(|| std::env::split_paths(&on_path).find(has_it))
        .expect("PostgreSQL's programs are missing: install PostgreSQL 15 or later")
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, PgConnection};

    use super::{Postgres, PostgresOptions};

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_crashes_and_keeps_what_was_committed() {
        let mut postgres = Postgres::start(PostgresOptions::default()).await;
        postgres.create_database("school").await;
        let url = postgres.url("school");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection
            .execute("CREATE TABLE pupils AS SELECT 'committed'::text AS name")
            .await
            .unwrap();
        let mut unfinished = connection.begin().await.unwrap();
        unfinished
            .execute("INSERT INTO pupils VALUES ('unfinished')")
            .await
            .unwrap();

        postgres.crash().await;
        assert!(!postgres.is_running());
        assert!(unfinished.commit().await.is_err(), "its server has gone");
        assert!(PgConnection::connect(&url).await.is_err());

        postgres.start_again().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM pupils")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(names, ["committed"]);
        let kept: String = sqlx::query_scalar("SHOW track_commit_timestamp")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(kept, "on");

        let folder = postgres.folder.path().to_owned();
        drop(postgres);
        assert!(!folder.exists());
        assert!(PgConnection::connect(&url).await.is_err());
    }
}
