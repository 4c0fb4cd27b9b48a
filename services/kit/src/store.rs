//! A service's database: where sessions come from, the feed of its events, and whether it is ready.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};

use crate::{
    database::{EngineDatabase, Error, OpenError, Pools, Session, check_ready, migrate},
    events::{Feed, StoredFeed, Wake},
    outbox::Outbox,
};

/// A database whose sessions are `R`: every kind of row, on one connection.
#[async_trait]
pub trait Store<R: ?Sized>: fmt::Debug + Send + Sync {
    /// A session that reads, each statement for itself. What it writes fails.
    async fn read(&self) -> Result<Box<R>, Error>;

    /// A session that writes: nothing stands until its commit; dropped, it is undone.
    async fn write(&self) -> Result<Box<R>, Error>;

    /// The feed of events (R11).
    fn feed(&self) -> Arc<dyn Feed>;

    /// Returns what to notify after each commit that wrote events.
    fn committed(&self) -> Wake;

    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), OpenError>;

    /// Checks that the database answers, takes writes and has this program's schema.
    async fn check_ready(&self) -> Result<(), OpenError>;

    /// Closes every connection, once each is idle.
    async fn close(&self);
}

/// Makes a store of a database's connections.
pub struct Service<DB: EngineDatabase, R: ?Sized> {
    /// The service's name, of which failpoints are named.
    pub name: &'static str,
    /// The schema.
    pub migrator: &'static Migrator,
    /// The command that brings it up to date, for the message.
    pub migrate_command: &'static str,
    /// Makes a session's rows. It is told of the wake for commits that wrote events.
    pub rows: fn(Session<DB>, Wake) -> Box<R>,
}

/// A database of either engine.
pub struct SqlStore<DB: EngineDatabase, R: ?Sized> {
    service: Service<DB, R>,
    pools: Pools<DB>,
    feed: StoredFeed<DB>,
}

impl<DB, R: ?Sized> SqlStore<DB, R>
where
    DB: EngineDatabase,
    Session<DB>: Outbox,
{
    /// On these connections.
    #[must_use]
    pub fn new(service: Service<DB, R>, pools: Pools<DB>) -> Self {
        Self {
            feed: StoredFeed::new(pools.clone()),
            service,
            pools,
        }
    }

    fn rows(&self, session: Session<DB>) -> Box<R> {
        (self.service.rows)(session, self.feed.committed())
    }
}

impl<DB: EngineDatabase, R: ?Sized> fmt::Debug for SqlStore<DB, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SqlStore")
            .field(&self.pools)
            .finish()
    }
}

#[async_trait]
impl<DB, R: ?Sized + 'static> Store<R> for SqlStore<DB, R>
where
    DB: EngineDatabase,
    DB::Connection: Migrate,
    Session<DB>: Outbox,
{
    async fn read(&self) -> Result<Box<R>, Error> {
        Ok(self.rows(self.pools.read().await?))
    }

    async fn write(&self) -> Result<Box<R>, Error> {
        Ok(self.rows(self.pools.write().await?))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn committed(&self) -> Wake {
        self.feed.committed()
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        migrate(&self.pools, self.service.migrator).await
    }

    async fn check_ready(&self) -> Result<(), OpenError> {
        let command = self.service.migrate_command;
        check_ready(&self.pools, self.service.migrator, command).await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}

/// Declares a file's statements, and `STATEMENTS`: all of them, for the test that prepares each on both engines.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $text;)+

        pub(super) const STATEMENTS: &[&str] = &[$($name),+];
    };
}
