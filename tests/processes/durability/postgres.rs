//! A separate, traced PostgreSQL that syncs its commits.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom_kit::database::Url;
use homeroom_tests::free_address;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The time within which it must start.
const START_SECONDS: u64 = 60;

/// The running server. SIGQUIT ends it when this is dropped.
pub(crate) struct Postgres {
    postmaster: Option<Child>,
    port: u16,
}

impl Postgres {
    /// Creates a cluster in the folder and starts it under `wrapper`, with these settings added.
    pub(crate) async fn start(folder: &Path, wrapper: &[String], settings: &[&str]) -> Self {
        let programs = programs();
        let data = folder.join("postgres");
        fs::create_dir_all(&data).unwrap();
        let owner = owner(&data);
        let mut initdb = command(&owner);
        let made = initdb
            .arg(programs.join("initdb"))
            .arg("--pgdata")
            .arg(data.join("data"))
            .args(["--username", "homeroom", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let port = free_address().port();
        let mut postgres = command(&[wrapper, &owner].concat());
        postgres
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(data.join("data"))
            .arg("-k")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "shared_buffers=16MB", "-c", "log_min_messages=fatal"]);
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let postmaster = Some(postgres.stdout(Stdio::null()).spawn().unwrap());
        let mut server = Self { postmaster, port };
        tokio::time::timeout(Duration::from_secs(START_SECONDS), server.serving())
            .await
            .expect("PostgreSQL starts");
        server
    }

    /// Waits until it accepts connections. Panics if it ends instead.
    async fn serving(&mut self) {
        let url = self.url("postgres");
        let postmaster = self.postmaster.as_mut().unwrap();
        while PgConnection::connect(&url).await.is_err() {
            if let Some(status) = postmaster.try_wait().unwrap() {
                panic!("PostgreSQL ended with {status} before it served");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://homeroom@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database.
    pub(crate) async fn create(&self, database: &str) -> Url {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {database}"));
        connection.execute(create).await.unwrap();
        Url::parse(&self.url(database)).unwrap()
    }

    /// Stops it at once.
    pub(crate) fn stop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            let quit = format!("kill -QUIT {}", postmaster.id());
            drop(Command::new("sh").args(["-c", &quit]).status());
            drop(postmaster.wait());
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns a command that begins with these words.
fn command(words: &[String]) -> Command {
    let mut command = Command::new("env");
    command.args(words);
    command
}

/// Returns the command prefix that changes to Debian's user for PostgreSQL, which refuses to run as
/// root, and gives that user the folder.
fn owner(data: &Path) -> Vec<String> {
    if fs::metadata(data).unwrap().uid() != 0 {
        return Vec::new();
    }
    let mut chown = Command::new("chown");
    assert!(chown.arg("postgres").arg(data).status().unwrap().success());
    [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
    ]
    .map(str::to_owned)
    .into()
}

/// Returns the folder of the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max();
    if let Some(version) = newest {
        return PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    }
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .expect("PostgreSQL's programs are installed: `tests/run` sees to it")
}
