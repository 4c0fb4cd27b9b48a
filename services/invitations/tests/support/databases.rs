//! A fresh database for one test, on either engine.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use homeroom_invitations::store::{self, Store};
use homeroom_kit::database::{Options, Url};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The variable with a database URL, of a role that may create databases.
pub(crate) const DATABASE_URL_VARIABLE: &str = "HOMEROOM_TEST_DATABASE_URL";

/// One database, removed with the test.
pub(crate) struct Database {
    pub(crate) url: Url,
    pub(crate) store: Arc<dyn Store>,
    created: Option<(String, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// Makes a database in a SQLite file of its own.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("invitations.db");
        let url = Url::parse(&format!("sqlite://{}", file.display())).unwrap();
        Self {
            store: store::open(&url, Options::default(), true).await.unwrap(),
            url,
            created: None,
            _folder: Some(folder),
        }
    }

    /// Makes a PostgreSQL database of its own.
    pub(crate) async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let admin = std::env::var(DATABASE_URL_VARIABLE).unwrap_or_else(|_| {
            panic!("set {DATABASE_URL_VARIABLE} to the URL of a PostgreSQL role that may create databases")
        });
        let name = format!(
            "invitations_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .unwrap();
        let mut own = url::Url::parse(&admin).unwrap();
        own.set_path(&name);
        let url = Url::parse(own.as_str()).unwrap();
        Self {
            store: store::open(&url, Options::default(), true).await.unwrap(),
            url,
            created: Some((admin, name)),
            _folder: None,
        }
    }

    /// Closes the database, and drops it if needed.
    pub(crate) async fn remove(self) {
        self.store.close().await;
        if let Some((admin, name)) = self.created {
            let mut connection = PgConnection::connect(&admin).await.unwrap();
            connection
                .execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .await
                .unwrap();
        }
    }
}
