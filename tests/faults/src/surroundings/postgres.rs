//! A separate PostgreSQL cluster, which can crash and restart.

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

/// The role of every connection.
const ROLE: &str = "homeroom";
const CONNECTIONS_MAX: u32 = 200;
/// The most times that it is started again if it ends before it accepts connections.
const STARTS_MAX: u32 = 5;
/// The size of a WAL segment. Small segments make a full disk noticed soon and a replica quick to
/// create.
const SEGMENT_MEBIBYTES: u32 = 1;

/// The options of a cluster.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// True if it waits for its disk. Without that, a crash of the server loses nothing either;
    /// only a crash of the whole machine would.
    pub fsync: bool,
    /// The folder in which it creates its own; `None` means the temporary folder.
    pub folder: Option<PathBuf>,
}

/// A cluster on loopback, which may be stopped. When dropped, it is stopped and its files are
/// removed.
pub struct Postgres {
    // The order matters: the process ends before its files are removed.
    process: Option<Process>,
    address: SocketAddr,
    user: Option<User>,
    fsync: bool,
    pub(super) folder: tempfile::TempDir,
}

impl Postgres {
    /// Creates and starts a cluster; returns when it accepts connections.
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

    /// Creates a folder and an address, but no cluster yet.
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

    /// Returns its address, which stays the same while it is stopped.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.address, database)
    }

    /// Creates an empty database.
    pub async fn create_database(&self, name: &str) {
        let mut connection = self.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Stops it at once, like a crash (SIGQUIT to the postmaster): nothing is finished, and
    /// connections just end. Returns when all its processes have ended.
    pub async fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::Quit).await;
        }
    }

    /// Starts it, unless it is running; returns when it has recovered and accepts connections.
    pub async fn start_again(&mut self) {
        let patience = Patience::until("PostgreSQL accepts connections");
        let mut starts = 0;
        while !self.is_running() || self.connect().await.is_err() {
            // It may also end by itself during this wait, if its disk was full.
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
            // Without recycling, a full disk is noticed at the next segment.
            ("wal_recycle", "off"),
            // These settings let replicas be created and promoted.
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

    /// Returns true if its postmaster is running. It ends by itself if a crash recovery fails, as
    /// on a full disk.
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

    /// Returns a command for one of PostgreSQL's programs, as the user who may run it.
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

/// Returns the folder of the newest PostgreSQL's programs.
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
