//! Databases for tests: each test creates its own and drops it.

use homeroom_kit::{
    database::{Options, Url},
    random::{Randomness as _, SystemRandomness},
};
use homeroom_membership::store;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// The variable that names a PostgreSQL database from which others can be created.
const POSTGRES: &str = "HOMEROOM_TEST_DATABASE_URL";

/// The database of one test, with its schema up to date.
pub(crate) struct Database {
    pub(crate) url: Url,
    postgres: Option<(String, String)>,
    _folder: Option<TempDir>,
}

impl Database {
    #[expect(clippy::panic, reason = "a test without its database fails")]
    pub(crate) async fn postgres() -> Self {
        let Ok(admin) = std::env::var(POSTGRES) else {
            panic!(
                "set {POSTGRES} to a PostgreSQL URL whose user may create databases, such as \
                 postgres://postgres@127.0.0.1:5432/postgres: these tests are not skipped"
            );
        };
        let mut bytes = [0; 8];
        SystemRandomness.fill(&mut bytes);
        let name = format!("homeroom_test_{:016x}", u64::from_be_bytes(bytes));
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        let (before, query) = admin.split_once('?').unwrap_or((&admin, ""));
        let (server, _) = before.rsplit_once('/').unwrap();
        let url = Url::parse(&format!("{server}/{name}?{query}")).unwrap();
        store::migrate(&url, Options::default()).await.unwrap();
        Self {
            url,
            postgres: Some((admin, name)),
            _folder: None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("membership.db");
        let url = Url::parse(&format!("sqlite://{}", path.display())).unwrap();
        store::migrate(&url, Options::default()).await.unwrap();
        Self {
            url,
            postgres: None,
            _folder: Some(folder),
        }
    }

    pub(crate) async fn end(self) {
        if let Some((admin, name)) = self.postgres {
            let mut connection = PgConnection::connect(&admin).await.unwrap();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            connection.execute(AssertSqlSafe(drop)).await.unwrap();
        }
    }
}

/// Runs each case on both engines, on a database of its own.
macro_rules! on_both_engines {
    ($($case:ident),+ $(,)?) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    let database = crate::support::Database::postgres().await;
                    super::$case(&database).await;
                    database.end().await;
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    let database = crate::support::Database::sqlite().await;
                    super::$case(&database).await;
                    database.end().await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
