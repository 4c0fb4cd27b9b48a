//! A fresh database for one test, on either engine.

use std::sync::Arc;

use homeroom_invitations::store::{self, Store};
use homeroom_kit::{
    database::{Options, Url},
    random::{Randomness as _, SystemRandomness},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The variable with a database URL, of a role that may create databases.
const VARIABLE: &str = "HOMEROOM_TEST_DATABASE_URL";

/// One database with the schema; [`Database::remove`] removes it.
pub(crate) struct Database {
    pub(crate) url: Url,
    pub(crate) store: Arc<Store>,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// Makes a database in a SQLite file of its own.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(folder.path().join("invitations.db"));
        Self {
            store: store::open(&url, options(), true).await.unwrap(),
            url,
            _folder: Some(folder),
        }
    }

    /// Makes a PostgreSQL database of its own.
    pub(crate) async fn postgres() -> Self {
        let mut bytes = [0; 8];
        SystemRandomness.fill(&mut bytes);
        let name = format!("invitations_{:016x}", u64::from_be_bytes(bytes));
        administer(format!("CREATE DATABASE {name}")).await;
        let mut own = url::Url::parse(&admin_url()).unwrap();
        own.set_path(&name);
        let url = Url::parse(own.as_str()).unwrap();
        Self {
            store: store::open(&url, options(), true).await.unwrap(),
            url,
            _folder: None,
        }
    }

    /// Closes the database, and drops it if needed.
    pub(crate) async fn remove(self) {
        self.store.close().await;
        if let Url::Postgres(url) = self.url {
            let name = url::Url::parse(&url).unwrap();
            let name = name.path().trim_start_matches('/');
            administer(format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

fn admin_url() -> String {
    std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("set {VARIABLE} to a role that may create databases"))
}

async fn administer(statement: String) {
    let mut connection = PgConnection::connect(&admin_url()).await.unwrap();
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    connection.execute(statement).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) fn options() -> Options {
    Options {
        connections_max: 4,
        ..Options::default()
    }
}

/// Makes each function of a store a test on each engine.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = crate::databases::Database::sqlite().await;
                    super::$name(database.store.clone()).await;
                    database.remove().await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = crate::databases::Database::postgres().await;
                    super::$name(database.store.clone()).await;
                    database.remove().await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
