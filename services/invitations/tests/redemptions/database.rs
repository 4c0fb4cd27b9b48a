//! A database of its own for each test, on each engine.

use std::{path::PathBuf, sync::Arc};

use homeroom_invitations::store::{self, Store};
use homeroom_kit::{
    database::{Options, Url},
    random::{Randomness as _, SystemRandomness},
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// The name of a SQLite database file in its folder.
const FILE: &str = "invitations.db";
const VARIABLE: &str = "HOMEROOM_TEST_DATABASE_URL";

/// A fresh database with the schema.
pub(crate) enum TestDatabase {
    /// A database on the server that the variable names; [`TestDatabase::drop_it`] drops it.
    Postgres { store: Arc<dyn Store>, name: String },
    /// A file, removed with its folder.
    Sqlite {
        store: Arc<dyn Store>,
        folder: TempDir,
    },
}

impl TestDatabase {
    pub(crate) async fn postgres() -> Self {
        let mut bytes = [0; 8];
        SystemRandomness.fill(&mut bytes);
        let name = format!("redemptions_{:016x}", u64::from_be_bytes(bytes));
        let admin = admin_url();
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(sqlx::raw_sql(create)).await.unwrap();
        connection.close().await.unwrap();
        let url = Url::parse(&url_of(&name)).unwrap();
        let store = store::open(&url, options(), true).await.unwrap();
        Self::Postgres { store, name }
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = Url::Sqlite(folder.path().join(FILE));
        let store = store::open(&url, options(), true).await.unwrap();
        Self::Sqlite { store, folder }
    }

    /// Reopens the same PostgreSQL database in new sessions, once only `seen_by` is left of the old ones: by then their
    /// reads are counted.
    pub(crate) async fn reopened(self, seen_by: &mut PgConnection) -> Self {
        self.store().close().await;
        let others = "SELECT count(*) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while sqlx::query_scalar::<_, i64>(others)
            .fetch_one(&mut *seen_by)
            .await
            .unwrap()
            > 0
        {
            tokio::task::yield_now().await;
        }
        let url = Url::parse(&self.postgres_url()).unwrap();
        let store = store::open(&url, options(), false).await.unwrap();
        let Self::Postgres { name, .. } = self else {
            unreachable!("it has an address")
        };
        Self::Postgres { store, name }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        match self {
            Self::Postgres { store, .. } | Self::Sqlite { store, .. } => store,
        }
    }

    /// Returns the address of a PostgreSQL database.
    pub(crate) fn postgres_url(&self) -> String {
        let Self::Postgres { name, .. } = self else {
            panic!("SQLite has one writer: nobody waits for a row");
        };
        url_of(name)
    }

    /// Returns the file of a SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Postgres { name, .. } => PathBuf::from(name),
            Self::Sqlite { folder, .. } => folder.path().join(FILE),
        }
    }

    pub(crate) async fn drop_it(self) {
        self.store().close().await;
        if let Self::Postgres { name, .. } = self {
            let mut connection = PgConnection::connect(&admin_url()).await.unwrap();
            let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
            connection.execute(sqlx::raw_sql(drop)).await.unwrap();
        }
    }
}

fn admin_url() -> String {
    std::env::var(VARIABLE).expect(
        "HOMEROOM_TEST_DATABASE_URL names no PostgreSQL server, as postgres://user@host/database",
    )
}

fn url_of(name: &str) -> String {
    let mut url = url::Url::parse(&admin_url()).unwrap();
    url.set_path(name);
    url.to_string()
}

fn options() -> Options {
    Options {
        connections_max: 4,
        ..Options::default()
    }
}
