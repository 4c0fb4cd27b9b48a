//! A service's database: its sessions, the feed of its events, and its readiness.

pub mod columns;
mod row;
mod session;
mod statement;
mod table;
mod wake;

use std::{fmt, marker::PhantomData, sync::Arc};

pub use hex::encode as hex;
use sqlx::{Postgres, Sqlite, migrate::Migrator};

pub(crate) use session::Held;
pub use session::{Session, end};
pub use statement::{Arg, Statement, json_ids, json_rows};
pub use table::Table;
pub use wake::{Listener, Wake};

use crate::database::{
    Engine, Error, OpenError, Options, Pools, Url, check_ready, connect_postgres, connect_sqlite,
    migrate,
};

/// The properties of a service's database.
#[derive(Debug)]
pub struct Schema {
    /// The service's name, which begins the names of its failpoints.
    pub service: &'static str,
    /// The command that migrates the schema, for the message.
    pub migrate_command: &'static str,
    /// The schema on PostgreSQL.
    pub postgres: Migrator,
    /// The schema on SQLite.
    pub sqlite: Migrator,
}

/// The pools of either engine.
#[derive(Clone, Debug)]
pub(crate) enum AnyPools {
    Postgres(Pools<Postgres>),
    Sqlite(Pools<Sqlite>),
}

/// A service's database. `R` is its session with the operations of the service.
pub struct Store<R> {
    schema: &'static Schema,
    pools: AnyPools,
    committed: Wake,
    rows: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Store<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pools.fmt(formatter)
    }
}

impl<R> Store<R> {
    /// Returns the same database, with the operations of the kit.
    pub(crate) fn of_kit(&self) -> Store<Session> {
        Store {
            schema: self.schema,
            pools: self.pools.clone(),
            committed: self.committed.clone(),
            rows: PhantomData,
        }
    }

    /// Returns the wake that is notified after each commit that wrote events.
    pub(crate) const fn committed(&self) -> &Wake {
        &self.committed
    }
}

impl<R: From<Session>> Store<R> {
    /// Opens the database that the URL names; with `migrate`, brings its schema up to date first. Fails if it does not
    /// answer. The server's lists show the service's name, whatever the options say.
    pub async fn open(
        schema: &'static Schema,
        url: &Url,
        options: Options,
        migrate: bool,
    ) -> Result<Arc<Self>, OpenError> {
        let options = Options {
            application_name: format!("homeroom-{}", schema.service),
            ..options
        };
        let pools = match url.engine() {
            Engine::Postgres => AnyPools::Postgres(connect_postgres(url, options).await?),
            Engine::Sqlite => AnyPools::Sqlite(connect_sqlite(url, options).await?),
        };
        let store = Self::on(schema, pools);
        if migrate {
            store.migrate().await?;
        }
        Ok(Arc::new(store))
    }

    pub(crate) fn on(schema: &'static Schema, pools: AnyPools) -> Self {
        Self {
            schema,
            pools,
            committed: Wake::default(),
            rows: PhantomData,
        }
    }

    fn session(&self, held: Held) -> R {
        let committed = self.committed.clone();
        R::from(Session::new(held, self.schema.service, committed))
    }

    /// Returns a session that reads, each statement by itself. Writes fail.
    pub async fn read(&self) -> Result<R, Error> {
        Ok(self.session(match &self.pools {
            AnyPools::Postgres(pools) => Held::Postgres(pools.read().await?),
            AnyPools::Sqlite(pools) => Held::Sqlite(pools.read().await?),
        }))
    }

    /// Returns a session that writes. Nothing is stored until its commit; if it is dropped, everything is rolled back.
    pub async fn write(&self) -> Result<R, Error> {
        Ok(self.session(match &self.pools {
            AnyPools::Postgres(pools) => Held::Postgres(pools.write().await?),
            AnyPools::Sqlite(pools) => Held::Sqlite(pools.write().await?),
        }))
    }

    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), OpenError> {
        match &self.pools {
            AnyPools::Postgres(pools) => migrate(pools, &self.schema.postgres).await,
            AnyPools::Sqlite(pools) => migrate(pools, &self.schema.sqlite).await,
        }
    }

    /// Checks that the database answers, accepts writes and has this program's schema.
    pub async fn check_ready(&self) -> Result<(), OpenError> {
        let command = self.schema.migrate_command;
        match &self.pools {
            AnyPools::Postgres(pools) => check_ready(pools, &self.schema.postgres, command).await,
            AnyPools::Sqlite(pools) => check_ready(pools, &self.schema.sqlite, command).await,
        }
    }

    /// Returns the number of connections that serve a session, and the most that can.
    pub(crate) fn connections(&self) -> (usize, usize) {
        match &self.pools {
            AnyPools::Postgres(pools) => pools.connections(),
            AnyPools::Sqlite(pools) => pools.connections(),
        }
    }

    /// Closes every connection, once each is idle.
    pub async fn close(&self) {
        match &self.pools {
            AnyPools::Postgres(pools) => pools.close().await,
            AnyPools::Sqlite(pools) => pools.close().await,
        }
    }
}

/// Returns the SQL that folds a text into its form for comparison: O as 0, I and L as 1 (B4). The indexes on prefixes use
/// the same expression.
#[must_use]
pub fn folded(text: &str) -> String {
    format!("replace(replace(replace({text}, 'O', '0'), 'I', '1'), 'L', '1')")
}
