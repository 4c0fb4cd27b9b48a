//! The store on PostgreSQL, and the statements that only it has.

pub(crate) type Db = sqlx::Postgres;

/// Rows passed as one JSON list, as `input.value`.
macro_rules! json_rows {
    ($parameter:literal) => {
        concat!(
            "jsonb_array_elements(",
            $parameter,
            "::jsonb) AS input(value)"
        )
    };
}

/// Bytes from their hexadecimal text.
macro_rules! from_hex {
    ($text:literal) => {
        concat!("decode(", $text, ", 'hex')")
    };
}

/// Locks the rows that a statement selects.
macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}

/// Locks the rows that a statement selects, passing over those that another has locked.
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
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
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations/postgres");

/// A database on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl PostgresStore {
    /// On these connections.
    #[must_use]
    pub fn new(pools: Pools<Db>) -> Self {
        let feed = StoredFeed::new(pools.clone());
        Self { pools, feed }
    }
}

#[async_trait]
impl Store for PostgresStore {
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
