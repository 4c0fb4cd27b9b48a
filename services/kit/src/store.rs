//! A service's database: its sessions, the feed of its events, and its readiness.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};

use crate::{
    database::{EngineDatabase, Error, OpenError, Pools, Session, check_ready, migrate},
    events::{Feed, StoredFeed, Wake},
    outbox::Outbox,
};

/// A database with sessions of type `R`: every kind of row, on one connection.
#[async_trait]
pub trait Store<R: ?Sized>: fmt::Debug + Send + Sync {
    /// Returns a session that reads, each statement by itself. Writes fail.
    async fn read(&self) -> Result<Box<R>, Error>;

    /// Returns a session that writes. Nothing is stored until its commit; if it is dropped,
    /// everything is rolled back.
    async fn write(&self) -> Result<Box<R>, Error>;

    /// Returns the feed of events (R11).
    fn feed(&self) -> Arc<dyn Feed>;

    /// Returns the wake to notify after each commit that wrote events.
    fn committed(&self) -> Wake;

    /// Migrates the schema.
    async fn migrate(&self) -> Result<(), OpenError>;

    /// Checks that the database answers, accepts writes and has this program's schema.
    async fn check_ready(&self) -> Result<(), OpenError>;

    /// Closes every connection, once each is idle.
    async fn close(&self);
}

/// The parts of a service that a store needs.
pub struct Service<DB: EngineDatabase, R: ?Sized> {
    /// The service's name, which begins the names of its failpoints.
    pub name: &'static str,
    /// The schema.
    pub migrator: &'static Migrator,
    /// The command that migrates the schema, for the message.
    pub migrate_command: &'static str,
    /// Returns a session's rows; they notify the wake after commits that wrote events.
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
    /// Returns a store on these connections.
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

/// Declares a file's statements, and `STATEMENTS`, the list of all of them, for the test that
/// prepares each on both engines.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: &str = $text;)+

        pub(super) const STATEMENTS: &[&str] = &[$($name),+];
    };
}

/// Makes the SQL that folds a text into its form for comparison: O as 0, I and L as 1 (B4). The indexes on prefixes use
/// the same expression.
#[macro_export]
macro_rules! folded {
    ($text:literal) => {
        concat!(
            "replace(replace(replace(",
            $text,
            ", 'O', '0'), 'I', '1'), 'L', '1')"
        )
    };
}
