//! Databases for tests, with the schema of this service.

#[path = "../../../kit/tests/support/databases.rs"]
#[expect(dead_code, reason = "no test needs all of it")]
mod databases;

use homeroom_kit::database::{Engine, Options};
use homeroom_membership::store;

pub(crate) use databases::TestDatabase as Database;

impl Database {
    pub(crate) async fn postgres() -> Self {
        Self::migrated(Engine::Postgres).await
    }

    pub(crate) async fn sqlite() -> Self {
        Self::migrated(Engine::Sqlite).await
    }

    async fn migrated(engine: Engine) -> Self {
        let database = Self::empty(engine).await;
        let store = store::open(&database.url, Options::default(), true).await;
        store.unwrap().close().await;
        database
    }
}

/// Runs each case on both engines, on a database of its own.
macro_rules! on_both_engines {
    ($($case:ident),+ $(,)?) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::support::Database::postgres().await).await;
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(&crate::support::Database::sqlite().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
