//! A database of this engine: where sessions come from.

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Pools, check_ready},
    events::{Feed, StoredFeed},
};

use super::{
    super::{Db, MIGRATOR},
    SqlRepository,
};
use crate::store::{Repository, Result, Store};

/// A database of this engine.
#[derive(Debug, Clone)]
pub struct SqlStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl SqlStore {
    /// On these connections.
    #[must_use]
    pub fn new(pools: Pools<Db>) -> Self {
        let feed = StoredFeed::new(pools.clone());
        Self { pools, feed }
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn read(&self) -> Result<Box<dyn Repository>> {
        let session = self.pools.read().await?;
        Ok(Box::new(SqlRepository::new(session, self.feed.committed())))
    }

    async fn write(&self) -> Result<Box<dyn Repository>> {
        let session = self.pools.write().await?;
        Ok(Box::new(SqlRepository::new(session, self.feed.committed())))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    async fn check_ready(&self) -> std::result::Result<(), OpenError> {
        check_ready(&self.pools, &MIGRATOR, "invitations migrate").await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
