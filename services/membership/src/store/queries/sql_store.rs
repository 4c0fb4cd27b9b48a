//! A database of this engine: where sessions come from.

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Options, Pools, Url, check_ready},
    events::{Feed, StoredFeed, Wake},
};

use super::{
    super::{Db, MIGRATOR, connect},
    SqlRepository, prepare,
};
use crate::store::{Repository, Result, Store};

/// A database of this engine.
#[derive(Debug)]
pub(crate) struct SqlStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl SqlStore {
    pub(crate) async fn connect(
        url: &Url,
        options: Options,
    ) -> std::result::Result<Self, OpenError> {
        let pools = connect(url, options).await?;
        Ok(Self {
            feed: StoredFeed::new(pools.clone()),
            pools,
        })
    }
}

#[async_trait]
impl Store for SqlStore {
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

    async fn check_ready(&self) -> std::result::Result<(), OpenError> {
        check_ready(&self.pools, &MIGRATOR, "membership migrate").await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}

pub(crate) async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    let pools = connect(url, options).await?;
    homeroom_kit::database::migrate(&pools, &MIGRATOR).await?;
    pools.close().await;
    Ok(())
}

pub(crate) async fn prepare_every_statement(url: &Url, options: Options) -> Result<usize> {
    let pools = connect(url, options).await?;
    let prepared = prepare(&pools).await;
    pools.close().await;
    prepared
}
