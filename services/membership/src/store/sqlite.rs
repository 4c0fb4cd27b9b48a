//! The store on SQLite.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Sqlite;
/// Its connection.
pub(crate) type Connection = sqlx::SqliteConnection;

/// The rows of a JSON array bound as `$1`, in a column `value`.
macro_rules! json_rows {
    () => {
        "json_each($1)"
    };
}

/// Ends a statement that locks its rows together with others that share them.
macro_rules! for_share {
    () => {
        ""
    };
}

/// Ends a statement that locks its rows for itself.
macro_rules! for_update {
    () => {
        ""
    };
}

/// Ends a statement that locks for itself those of its rows that nobody else holds.
macro_rules! for_update_of_free {
    () => {
        ""
    };
}

#[path = "queries/mod.rs"]
mod queries;

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Options, Pools, Url, check_schema, connect_sqlite},
    events::{Feed, StoredFeed, Wake, publish_until},
    shutdown::Shutdown,
};
use queries::SqlRepository;

use super::{Repository, Result, Store};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Nothing to lock: BEGIN IMMEDIATE lets one transaction write at a time.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1";

/// Nothing to wait for: one transaction writes at a time.
pub(crate) const WAIT_BRIEFLY: &str = "SELECT 1";

/// Nothing to lock: one transaction writes at a time.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT 1";

/// An SQLite database.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl SqliteStore {
    pub(crate) async fn connect(
        url: &Url,
        options: Options,
    ) -> std::result::Result<Self, OpenError> {
        let pools = connect_sqlite(url, options).await?;
        Ok(Self {
            feed: StoredFeed::new(pools.clone()),
            pools,
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self) -> Result<Box<dyn Repository>> {
        Ok(Box::new(SqlRepository(self.pools.read().await?)))
    }

    async fn write(&self) -> Result<Box<dyn Repository>> {
        Ok(Box::new(SqlRepository(self.pools.write().await?)))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn committed(&self) -> Wake {
        self.feed.committed()
    }

    async fn publish(&self) -> Result<u64> {
        self.feed.publish().await
    }

    async fn publish_until(&self, shutdown: Shutdown) {
        publish_until(self.feed.clone(), shutdown).await;
    }

    async fn check_schema(&self) -> std::result::Result<(), OpenError> {
        check_schema(&self.pools, &MIGRATOR, "membership migrate").await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}

pub(crate) async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    let pools = connect_sqlite(url, options).await?;
    homeroom_kit::database::migrate(&pools, &MIGRATOR).await?;
    pools.close().await;
    Ok(())
}

pub(crate) async fn prepare_every_statement(url: &Url, options: Options) -> Result<usize> {
    let pools = connect_sqlite(url, options).await?;
    let prepared = queries::prepare_every_statement(&pools).await;
    pools.close().await;
    prepared
}
