//! A PostgreSQL that logs every statement with its bound values, and a listener that receives every
//! command sent to Redis.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use homeroom_tests::free_address;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The time within which a server must accept connections.
const START_SECONDS: u64 = 60;

/// A separate cluster, which is removed with the test.
pub(crate) struct LoggingPostgres {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl LoggingPostgres {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = program("initdb")
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", "homeroom", "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let port = free_address().port();
        let log = File::create(folder.path().join("postgres.log")).unwrap();
        let child = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "log_statement=all", "-c", "log_duration=on"])
            .args(["-c", "log_parameter_max_length=-1"])
            .args(["-c", "log_parameter_max_length_on_error=-1"])
            .args([
                "-c",
                "log_connections=on",
                "-c",
                "log_error_verbosity=verbose",
            ])
            .current_dir(folder.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let postgres = Self {
            child,
            folder,
            port,
        };
        let wait = async {
            while PgConnection::connect(&postgres.url("postgres"))
                .await
                .is_err()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(START_SECONDS), wait).await;
        waited.expect("PostgreSQL accepts connections");
        postgres
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://homeroom@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn create_database(&self, name: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.unwrap();
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }
}

impl Drop for LoggingPostgres {
    fn drop(&mut self) {
        let quit = Command::new("sh")
            .args(["-c", &format!("kill -QUIT {}", self.child.id())])
            .status();
        drop(quit);
        drop(self.child.wait());
    }
}

/// Returns a command for one of PostgreSQL's programs, as a user who may run it.
fn program(name: &str) -> Command {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .max_by_key(|path| version(path));
    let path = newest.unwrap_or_else(|| name.into());
    let own = Command::new("id").arg("-u").output().unwrap();
    if own.stdout.starts_with(b"0\n") {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
            .arg(path);
        return command;
    }
    Command::new(path)
}

fn version(path: &Path) -> u32 {
    let folder = path.ancestors().nth(2).and_then(Path::file_name);
    folder
        .and_then(|name| name.to_str()?.parse().ok())
        .unwrap_or_default()
}

/// A record of every command that anyone sends to Redis from now on.
pub(crate) struct RedisMonitor {
    heard: Arc<Mutex<Vec<u8>>>,
    listening: tokio::task::JoinHandle<()>,
}

impl RedisMonitor {
    pub(crate) async fn listen(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap_or(6379));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { heard, listening }
    }

    pub(crate) fn heard(self) -> Vec<u8> {
        self.listening.abort();
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// Returns every key of Redis with its value, in Redis's own file format.
pub(crate) async fn redis_dump(url: &str) -> Vec<u8> {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut dump = Vec::new();
    for key in keys {
        let value: Option<Vec<u8>> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        dump.extend_from_slice(&key);
        dump.push(b'\n');
        dump.extend(value.unwrap_or_default());
        dump.push(b'\n');
    }
    dump
}
