//! The store on SQLite, and the statements that only it has.

pub(crate) type Db = sqlx::Sqlite;

/// Rows passed as one JSON list, as `input.value`.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!("json_each(", $parameter, ") AS input")
    };
}

/// Bytes from their hexadecimal text.
macro_rules! from_hex {
    ($text:literal) => {
        concat!("unhex(", $text, ")")
    };
}

/// Nothing to lock: a transaction that writes is the only one.
macro_rules! for_update {
    () => {
        ""
    };
}

/// Nothing to pass over: a transaction that writes is the only one.
macro_rules! skip_locked {
    () => {
        ""
    };
}

#[path = "queries/mod.rs"]
mod queries;

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Pools, check_schema},
    events::{Feed, StoredFeed, publish_until},
    shutdown::Shutdown,
};
use sqlx::migrate::Migrator;

pub use queries::statements;

use super::{Repository, Result, Store};

/// The schema, version by version.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations/sqlite");

/// A database on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl SqliteStore {
    /// On these connections.
    #[must_use]
    pub fn new(pools: Pools<Db>) -> Self {
        let feed = StoredFeed::new(pools.clone());
        Self { pools, feed }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self) -> Result<Box<dyn Repository>> {
        let session = self.pools.read().await?;
        Ok(Box::new(queries::SqlRepository::new(
            session,
            self.feed.committed(),
        )))
    }

    async fn write(&self) -> Result<Box<dyn Repository>> {
        let session = self.pools.write().await?;
        Ok(Box::new(queries::SqlRepository::new(
            session,
            self.feed.committed(),
        )))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    async fn publish_events(&self) -> Result<u64> {
        self.feed.publish().await
    }

    async fn publish_events_until(&self, shutdown: Shutdown) {
        publish_until(self.feed.clone(), shutdown).await;
    }

    async fn check_schema(&self) -> std::result::Result<(), OpenError> {
        check_schema(&self.pools, &MIGRATOR, "invitations migrate").await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
