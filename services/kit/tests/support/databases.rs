//! A new database for one test, on either engine. The tests of both services and of the auditor include this file.

use std::{path::Path, thread, time::Duration};

use homeroom_kit::{
    database::{Engine, Url},
    random::{Randomness as _, SystemRandomness},
};
use sqlx::{
    AssertSqlSafe, Connection as _, Decode, Executor as _, PgConnection, Postgres, SqlSafeStr as _,
    SqliteConnection, Type, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;

/// The variable with the URL of a PostgreSQL database, of a role that may create others.
const VARIABLE: &str = "HOMEROOM_TEST_DATABASE_URL";
/// The maximum time that a test waits for a lock to be waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database, which is dropped with its value.
pub(crate) struct TestDatabase {
    pub(crate) url: Url,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    /// Makes an empty database.
    pub(crate) async fn empty(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            let folder = tempfile::tempdir().unwrap();
            return Self {
                url: Url::Sqlite(folder.path().join("test.db")),
                _folder: Some(folder),
            };
        }
        let mut bytes = [0; 8];
        SystemRandomness.fill(&mut bytes);
        let name = format!("homeroom_test_{:016x}", u64::from_be_bytes(bytes));
        let url = administer(&format!("CREATE DATABASE {name}")).await;
        let (before, query) = url.split_once('?').unwrap_or((&url, ""));
        let (server, _) = before.rsplit_once('/').unwrap();
        Self {
            url: Url::parse(&format!("{server}/{name}?{query}")).unwrap(),
            _folder: None,
        }
    }

    /// Returns the setting that names the database.
    pub(crate) fn setting(&self) -> String {
        match &self.url {
            Url::Postgres(url) => url.clone(),
            Url::Sqlite(path) => format!("sqlite://{}", path.display()),
        }
    }

    /// Returns the address of a PostgreSQL database.
    pub(crate) fn postgres_url(&self) -> &str {
        match &self.url {
            Url::Postgres(url) => url,
            Url::Sqlite(_) => panic!("it is not on PostgreSQL"),
        }
    }

    /// Runs statements on the database, without the service.
    pub(crate) async fn run(&self, statements: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match &self.url {
            Url::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                connection.execute(statements).await.unwrap();
            }
            Url::Sqlite(path) => {
                let mut connection = connect_to_file(path).await;
                connection.execute(statements).await.unwrap();
            }
        }
    }

    /// Checks that the engine can prepare each of its statements.
    pub(crate) async fn assert_prepares(&self, statements: fn(Engine) -> Vec<&'static str>) {
        for statement in statements(self.url.engine()) {
            let sql = statement.into_sql_str();
            let problem = match &self.url {
                Url::Postgres(url) => {
                    let mut connection = PgConnection::connect(url).await.unwrap();
                    connection.prepare(sql).await.err()
                }
                Url::Sqlite(path) => connect_to_file(path).await.prepare(sql).await.err(),
            };
            assert!(problem.is_none(), "{statement}: {problem:?}");
        }
    }

    /// Returns what a query of a PostgreSQL database selects, one value in each row.
    pub(crate) async fn select<T>(&self, query: &str) -> Vec<T>
    where
        T: for<'row> Decode<'row, Postgres> + Type<Postgres> + Send + Unpin,
    {
        let mut connection = PgConnection::connect(self.postgres_url()).await.unwrap();
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_all(&mut connection).await.unwrap()
    }

    /// Waits until no other session of a PostgreSQL database is left: by then all have reported what they read.
    pub(crate) async fn until_no_session_is_left(&self) {
        let others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while !self.select::<i32>(others).await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a session of a PostgreSQL database waits for a lock.
    pub(crate) async fn until_a_session_waits(&self) {
        let mut connection = PgConnection::connect(self.postgres_url()).await.unwrap();
        let sessions = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = async {
            loop {
                let waiting = sqlx::query_scalar(sessions).fetch_one(&mut connection);
                let waiting: i64 = waiting.await.unwrap();
                if waiting > 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Url::Postgres(url) = &self.url {
            let (_, name) = url.rsplit_once('/').unwrap();
            let name = name.split('?').next().unwrap_or(name);
            let end = format!("DROP DATABASE {name} WITH (FORCE)");
            // A drop cannot wait for a future, but for a thread that does.
            drop(thread::spawn(move || wait_for(administer(&end))).join());
        }
    }
}

async fn connect_to_file(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// Runs a statement on the server. Returns the address of the database from which others are created.
async fn administer(statement: &str) -> String {
    let url = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("set {VARIABLE} to a role that may create databases"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let statement = AssertSqlSafe(statement.to_owned());
    connection.execute(statement).await.unwrap();
    url
}
