//! Reads the feed from the database.

use std::fmt;

use async_trait::async_trait;

use super::{Feed, Listener, Wake};
use crate::{
    database::{EngineDatabase, Pools, Session},
    outbox::{Event, Outbox, Scope},
    status::Result,
};

/// The feed in a database's table `events`.
pub struct StoredFeed<DB: EngineDatabase> {
    pools: Pools<DB>,
    committed: Wake,
}

impl<DB: EngineDatabase> Clone for StoredFeed<DB> {
    fn clone(&self) -> Self {
        Self {
            pools: self.pools.clone(),
            committed: self.committed.clone(),
        }
    }
}

impl<DB: EngineDatabase> fmt::Debug for StoredFeed<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("StoredFeed")
            .field(&self.pools)
            .finish()
    }
}

impl<DB: EngineDatabase> StoredFeed<DB> {
    /// Returns the feed of this database.
    #[must_use]
    pub fn new(pools: Pools<DB>) -> Self {
        Self {
            pools,
            committed: Wake::new(),
        }
    }

    /// Returns the wake to notify after each commit that wrote events.
    #[must_use]
    pub fn committed(&self) -> Wake {
        self.committed.clone()
    }
}

#[async_trait]
impl<DB> Feed for StoredFeed<DB>
where
    DB: EngineDatabase,
    Session<DB>: Outbox,
{
    async fn list(&self, scope: &Scope, after_position: i64, limit: u32) -> Result<Vec<Event>> {
        let mut session = self.pools.read().await?;
        let events = session.list(scope, after_position, limit).await?;
        session.release();
        Ok(events)
    }

    fn listen(&self) -> Listener {
        self.committed.listen()
    }
}
