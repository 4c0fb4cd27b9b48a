//! Gives committed events their places, and reads them from the database.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::{Feed, Listener, Wake};
use crate::{
    database::{self, Engine, EngineDatabase, Pools},
    outbox::{Event, Outbox, PUBLISH_BATCH_MAX, Scope},
    shutdown::Shutdown,
    status::Result,
};

/// The shortest time between two publications, in milliseconds: what commits meanwhile shares the second one.
pub(super) const PUBLISH_INTERVAL_MILLIS: u64 = 25;
/// How often committed events are looked for when nobody tells of any, in milliseconds.
const PUBLISH_LOOK_MILLIS: u64 = 200;

/// The feed in a database's table `events`.
pub struct StoredFeed<DB: EngineDatabase> {
    service: &'static str,
    pools: Pools<DB>,
    committed: Wake,
    published: Wake,
}

impl<DB: EngineDatabase> Clone for StoredFeed<DB> {
    fn clone(&self) -> Self {
        Self {
            service: self.service,
            pools: self.pools.clone(),
            committed: self.committed.clone(),
            published: self.published.clone(),
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

impl<DB> StoredFeed<DB>
where
    DB: EngineDatabase,
    DB::Connection: Outbox,
{
    /// The feed of the service's database. Nothing is published until [`publish_until`] runs.
    #[must_use]
    pub fn new(service: &'static str, pools: Pools<DB>) -> Self {
        let published = Wake::new();
        let committed = match DB::ENGINE {
            Engine::Postgres => Wake::new(),
            // An event has its position when it is committed.
            Engine::Sqlite => published.clone(),
        };
        Self {
            service,
            pools,
            committed,
            published,
        }
    }

    /// To be told after each commit that wrote events, so that they are published at once.
    #[must_use]
    pub fn committed(&self) -> Wake {
        self.committed.clone()
    }

    /// Publishes what is committed now. Gives how many events.
    pub async fn publish(&self) -> std::result::Result<u64, database::Error> {
        // Asked of the reading pool first: publishing takes the lock of all writers on SQLite.
        let waiting = self
            .pools
            .read()
            .await?
            .connection()
            .has_unpublished()
            .await?;
        if !waiting {
            return Ok(0);
        }
        let mut session = self.pools.write().await?;
        let count = session.connection().publish().await?;
        session.commit(self.service, "publish").await?;
        if count > 0 {
            self.published.notify();
        }
        Ok(count)
    }
}

/// Publishes what is committed until the shutdown, and once more after it is ordered.
pub async fn publish_until<DB>(feed: StoredFeed<DB>, shutdown: Shutdown)
where
    DB: EngineDatabase,
    DB::Connection: Outbox,
{
    let committed = feed.committed.listen();
    let feed = &feed;
    let publish = || async move {
        match feed.publish().await {
            Ok(count) => count >= u64::from(PUBLISH_BATCH_MAX),
            Err(error) => {
                tracing::warn!(%error, "events could not be published; they wait");
                false
            }
        }
    };
    repeat_until(publish, committed, shutdown).await;
}

/// Publishes when something is committed, but no sooner than [`PUBLISH_INTERVAL_MILLIS`] after the publication
/// before. `publish` returns true if there may be more.
pub(super) async fn repeat_until<F: Future<Output = bool>>(
    publish: impl Fn() -> F,
    mut committed: Listener,
    shutdown: Shutdown,
) {
    loop {
        let stopping = shutdown.has_begun();
        if publish().await {
            continue;
        }
        if stopping {
            return;
        }
        tokio::select! {
            () = shutdown.wait() => continue,
            () = tokio::time::sleep(Duration::from_millis(PUBLISH_INTERVAL_MILLIS)) => {}
        }
        tokio::select! {
            () = shutdown.wait() => {}
            () = committed.heard() => {}
            () = tokio::time::sleep(Duration::from_millis(PUBLISH_LOOK_MILLIS)) => {}
        }
    }
}

#[async_trait]
impl<DB> Feed for StoredFeed<DB>
where
    DB: EngineDatabase,
    DB::Connection: Outbox,
{
    async fn list(&self, scope: &Scope, after_position: i64, limit: u32) -> Result<Vec<Event>> {
        let mut session = self.pools.read().await?;
        Ok(session
            .connection()
            .list(scope, after_position, limit)
            .await?)
    }

    fn listen(&self) -> Listener {
        self.published.listen()
    }
}
