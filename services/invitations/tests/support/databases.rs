//! Databases for tests, with the schema of this service and a store on it.

#[path = "../../../kit/tests/support/databases.rs"]
#[expect(dead_code, reason = "no test needs all of it")]
mod test_database;

use std::{ops::Deref, sync::Arc};

use homeroom_invitations::store::{self, Store};
use homeroom_kit::database::{Engine, Options};

use test_database::TestDatabase;

pub(crate) struct Database {
    pub(crate) store: Arc<Store>,
    own: TestDatabase,
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        Self::open(Engine::Sqlite).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(Engine::Postgres).await
    }

    async fn open(engine: Engine) -> Self {
        let own = TestDatabase::empty(engine).await;
        let store = store::open(&own.url, options(), true).await.unwrap();
        Self { store, own }
    }
}

impl Deref for Database {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.own
    }
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
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let database = crate::databases::Database::postgres().await;
                    super::$name(database.store.clone()).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
