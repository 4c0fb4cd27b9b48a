//! A pair of new databases for one test, on either engine.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use homeroom_kit::database::Url;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

use crate::processes::Service;

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
                let mut server = Reader::open(&Url::Postgres(base.clone())).await.unwrap();
                for database in &created {
                    let create = format!("CREATE DATABASE {database}");
                    server.execute(&create).await.unwrap();
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

    /// Returns the database of a service.
    #[must_use]
    pub fn url_of(&self, service: Service) -> &Url {
        match service {
            Service::Membership => &self.membership,
            Service::Invitations => &self.invitations,
        }
    }

    /// Returns both databases, with the names of their services.
    fn both(&self) -> [(&'static str, &Url); 2] {
        Service::BOTH.map(|service| (service.name(), self.url_of(service)))
    }

    /// Returns the number of rows in each table of both databases, keyed by `service.table`.
    pub async fn row_counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (service, url) in self.both() {
            let mut reader = Reader::open(url).await.unwrap();
            for table in reader.tables().await {
                let count = reader.count(&format!("SELECT count(*) FROM {table}")).await;
                counts.insert(format!("{service}.{table}"), count);
            }
        }
        counts
    }

    /// Returns the tables, as `service.table`, in which any column of any row contains the text,
    /// also within bytes.
    pub async fn tables_that_hold(&self, text: &str) -> Vec<String> {
        let hex = text
            .bytes()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let mut found = Vec::new();
        for (service, url) in self.both() {
            let mut reader = Reader::open(url).await.unwrap();
            for table in reader.tables().await {
                let holds = match url {
                    // PostgreSQL shows bytes in hexadecimal.
                    Url::Postgres(_) => format!(
                        "position('{hex}' IN encode(convert_to(t::text, 'UTF8'), 'hex')) > 0 \
                         OR position('{hex}' IN t::text) > 0"
                    ),
                    Url::Sqlite(_) => {
                        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                        let columns = reader.rows(&columns).await.unwrap().into_iter().flatten();
                        let holds = columns.map(|column| {
                            let bytes = format!("hex(CAST(coalesce({column}, '') AS BLOB))");
                            format!("instr(lower({bytes}), '{hex}') > 0")
                        });
                        holds.collect::<Vec<_>>().join(" OR ")
                    }
                };
                let count = format!("SELECT count(*) FROM {table} AS t WHERE {holds}");
                if reader.count(&count).await > 0 {
                    found.push(format!("{service}.{table}"));
                }
            }
        }
        found
    }

    /// Returns the number of redemptions that are not settled yet.
    pub async fn reserved_redemptions(&self) -> i64 {
        let mut reader = Reader::open(&self.invitations).await.unwrap();
        let reserved = "SELECT count(*) FROM redemptions WHERE state = 'RESERVED'";
        reader.count(reserved).await
    }

    /// Runs one statement on the invitations database, bypassing the service.
    pub async fn change_invitations(&self, sql: &str) {
        let mut reader = Reader::open(&self.invitations).await.unwrap();
        reader.execute(sql).await.unwrap();
    }

    /// Drops the databases that it created on a server; files are removed with their folder.
    pub async fn drop_all(&self) {
        if self.created.is_empty() {
            return;
        }
        let server = Url::Postgres(variable(DATABASE_URL_VARIABLE));
        let mut server = Reader::open(&server).await.unwrap();
        for database in &self.created {
            let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
            server.execute(&drop).await.unwrap();
        }
    }
}

/// A test's own connection to a database of either engine.
pub enum Reader {
    /// To PostgreSQL.
    Postgres(PgConnection),
    /// To SQLite.
    Sqlite(SqliteConnection),
}

impl Reader {
    /// Connects.
    pub async fn open(url: &Url) -> Result<Self, sqlx::Error> {
        match url {
            Url::Postgres(url) => {
                let options: PgConnectOptions = url.parse()?;
                Ok(Self::Postgres(options.connect().await?))
            }
            Url::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                let options = options.create_if_missing(true);
                Ok(Self::Sqlite(options.connect().await?))
            }
        }
    }

    /// Returns rows in which every column is text.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        macro_rules! rows {
            ($connection:ident) => {{
                let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
                let rows = query.fetch_all($connection).await?;
                let texts = rows.iter().map(|row| {
                    (0..row.len())
                        .map(|column| row.try_get::<Option<String>, _>(column))
                        .map(|text| text.map(Option::unwrap_or_default))
                        .collect()
                });
                texts.collect()
            }};
        }
        match self {
            Self::Postgres(connection) => rows!(connection),
            Self::Sqlite(connection) => rows!(connection),
        }
    }

    /// Returns the number that a query selects.
    pub async fn count(&mut self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql.to_owned());
        let count = match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
        };
        count.unwrap()
    }

    /// Runs statements.
    pub async fn execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => statements.execute(connection).await.map(drop),
            Self::Sqlite(connection) => statements.execute(connection).await.map(drop),
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        match self {
            Self::Postgres(connection) => drop(connection.close().await),
            Self::Sqlite(connection) => drop(connection.close().await),
        }
    }

    /// Returns the names of the tables.
    pub async fn tables(&mut self) -> Vec<String> {
        let tables = match self {
            Self::Postgres(_) => {
                "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
            }
            Self::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
        };
        self.rows(tables)
            .await
            .unwrap()
            .into_iter()
            .flatten()
            .collect()
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run this by `tests/run`, which starts PostgreSQL and Redis")
    })
}
