//! A pair of new databases for one test, on either engine.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use homeroom_kit::database::Url;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

/// The variable with the URL of the PostgreSQL that `tests/run` started; its role may create
/// databases.
pub const DATABASE_URL_VARIABLE: &str = "HOMEROOM_TEST_DATABASE_URL";
/// The variable with the URL of the Redis that `tests/run` started.
pub const REDIS_URL_VARIABLE: &str = "HOMEROOM_TEST_REDIS_URL";

/// The database engine, which also determines the limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite and the in-process limiter: the embedded default.
    Sqlite,
    /// PostgreSQL and Redis: production.
    Postgres,
}

/// Two databases, and Redis if they are on PostgreSQL.
pub struct Databases {
    /// The database of the membership service.
    pub membership: Url,
    /// The database of the invitations service.
    pub invitations: Url,
    /// The URL of Redis; `None` means the in-process limiter.
    pub redis: Option<String>,
    created: Vec<String>,
    _folder: Option<tempfile::TempDir>,
}

impl Databases {
    /// Creates both databases.
    pub async fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = |name: &str| {
                    Url::parse(&format!("sqlite://{}", folder.path().join(name).display())).unwrap()
                };
                Self {
                    membership: url("membership.db"),
                    invitations: url("invitations.db"),
                    redis: None,
                    created: Vec::new(),
                    _folder: Some(folder),
                }
            }
            Engine::Postgres => {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let base = variable(DATABASE_URL_VARIABLE);
                let prefix = format!(
                    "test_{}_{}",
                    std::process::id(),
                    NEXT.fetch_add(1, Ordering::Relaxed)
                );
                let created: Vec<_> = ["membership", "invitations"]
                    .map(|service| format!("{prefix}_{service}"))
                    .into();
                let mut connection = PgConnection::connect(&base).await.unwrap();
                for database in &created {
                    connection
                        .execute(AssertSqlSafe(format!("CREATE DATABASE {database}")))
                        .await
                        .unwrap();
                }
                let url = |database: &str| {
                    let mut url = url::Url::parse(&base).unwrap();
                    url.set_path(database);
                    Url::parse(url.as_str()).unwrap()
                };
                Self {
                    membership: url(&created[0]),
                    invitations: url(&created[1]),
                    redis: Some(variable(REDIS_URL_VARIABLE)),
                    created,
                    _folder: None,
                }
            }
        }
    }

    /// Returns two existing databases, which [`Self::drop_all`] keeps.
    #[must_use]
    pub fn of(membership: Url, invitations: Url, redis: Option<String>) -> Self {
        Self {
            membership,
            invitations,
            redis,
            created: Vec::new(),
            _folder: None,
        }
    }

    /// Returns the number of rows in each table of both databases, keyed by `service.table`.
    pub async fn row_counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (service, url) in [
            ("membership", &self.membership),
            ("invitations", &self.invitations),
        ] {
            let found = match url {
                Url::Postgres(url) => postgres_counts(url).await,
                Url::Sqlite(path) => sqlite_counts(path).await,
            };
            counts.extend(
                found
                    .into_iter()
                    .map(|(table, count)| (format!("{service}.{table}"), count)),
            );
        }
        counts
    }

    /// Returns the tables, as `service.table`, in which any column of any row contains the text,
    /// also within bytes.
    pub async fn tables_that_hold(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (service, url) in [
            ("membership", &self.membership),
            ("invitations", &self.invitations),
        ] {
            let tables = match url {
                Url::Postgres(url) => postgres_tables_that_hold(url, text).await,
                Url::Sqlite(path) => sqlite_tables_that_hold(path, text).await,
            };
            found.extend(tables.into_iter().map(|table| format!("{service}.{table}")));
        }
        found
    }

    /// Returns the number of redemptions that are not settled yet.
    pub async fn reserved_redemptions(&self) -> i64 {
        const RESERVED: &str = "SELECT count(*) FROM redemptions WHERE state = 'RESERVED'";
        count(&self.invitations, RESERVED).await
    }

    /// Runs one statement on the invitations database, bypassing the service.
    pub async fn change_invitations(&self, sql: &'static str) {
        match &self.invitations {
            Url::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
            Url::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut connection = options.connect().await.unwrap();
                connection.execute(sql).await.unwrap();
            }
        }
    }

    /// Drops the databases that it created on a server; files are removed with their folder.
    pub async fn drop_all(&self) {
        if self.created.is_empty() {
            return;
        }
        let mut connection = PgConnection::connect(&variable(DATABASE_URL_VARIABLE))
            .await
            .unwrap();
        for database in &self.created {
            connection
                .execute(AssertSqlSafe(format!(
                    "DROP DATABASE IF EXISTS {database} WITH (FORCE)"
                )))
                .await
                .unwrap();
        }
    }
}

async fn count(url: &Url, sql: &'static str) -> i64 {
    match url {
        Url::Postgres(url) => {
            let options: PgConnectOptions = url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            let counted = sqlx::query_scalar(sql).fetch_one(&mut connection);
            counted.await.unwrap()
        }
        Url::Sqlite(path) => {
            let options = SqliteConnectOptions::new().filename(path).read_only(true);
            let mut connection = options.connect().await.unwrap();
            let counted = sqlx::query_scalar(sql).fetch_one(&mut connection);
            counted.await.unwrap()
        }
    }
}

macro_rules! counts_by {
    ($name:ident, $argument:ty, $options:ty, $tables:literal, |$database:ident| $open:expr) => {
        async fn $name($database: $argument) -> Vec<(String, i64)> {
            let options: $options = $open;
            let mut connection = options.connect().await.unwrap();
            let tables: Vec<String> = sqlx::query_scalar($tables)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let mut counts = Vec::new();
            for table in tables {
                let query = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                let count = sqlx::query_scalar(query)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                counts.push((table, count));
            }
            counts
        }
    };
}

counts_by!(
    postgres_counts,
    &str,
    PgConnectOptions,
    "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    |url| url.parse().unwrap()
);
counts_by!(
    sqlite_counts,
    &Path,
    SqliteConnectOptions,
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    |path| SqliteConnectOptions::new().filename(path).read_only(true)
);

fn hex(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02X}").unwrap();
        hex
    })
}

async fn postgres_tables_that_hold(url: &str, text: &str) -> Vec<String> {
    let options: PgConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let mut found = Vec::new();
    for (table, _) in postgres_counts(url).await {
        // PostgreSQL shows bytes in hexadecimal.
        let query = format!(
            "SELECT count(*) FROM {table} AS t \
             WHERE position($1 IN t::text) > 0 OR position($2 IN t::text) > 0"
        );
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(text)
            .bind(hex(text).to_lowercase())
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    found
}

async fn sqlite_tables_that_hold(path: &Path, text: &str) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let mut found = Vec::new();
    for (table, _) in sqlite_counts(path).await {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(&table)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let holds = columns.iter().map(|column| {
            format!(
                "instr(hex(CAST(coalesce({column}, '') AS BLOB)), '{}') > 0",
                hex(text)
            )
        });
        let holds: Vec<String> = holds.collect();
        let query = format!("SELECT count(*) FROM {table} WHERE {}", holds.join(" OR "));
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    found
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run this by `tests/run`, which starts PostgreSQL and Redis")
    })
}
