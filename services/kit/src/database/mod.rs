//! The two engines behind one shape: a pool that reads, a pool that writes, and sessions of either.

mod connect;
mod error;
mod open;

use std::{fmt, path::PathBuf, str::FromStr};

use sqlx::{Database, Pool, Postgres, Sqlite, Transaction, pool::PoolConnection};

use crate::failpoints::{self, Moment};

pub use connect::{Options, check_schema, connect_postgres, connect_sqlite, migrate};
pub use error::{Error, is_unique_violation};
pub use open::OpenError;

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// What the kit has to know of an engine.
pub trait EngineDatabase: Database {
    /// Which one it is.
    const ENGINE: Engine;
    /// How a writing transaction starts.
    const BEGIN_WRITE: &'static str;
}

impl EngineDatabase for Postgres {
    const ENGINE: Engine = Engine::Postgres;
    const BEGIN_WRITE: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";
}

impl EngineDatabase for Sqlite {
    const ENGINE: Engine = Engine::Sqlite;
    const BEGIN_WRITE: &'static str = "BEGIN IMMEDIATE";
}

/// Where a database is. Debug shows no password.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    /// `postgres://user:password@host/database`, as libpq has it, its `sslmode` and `sslrootcert` included.
    Postgres(String),
    /// `sqlite://path`: a file.
    Sqlite(PathBuf),
}

impl Url {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite://path`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match sqlx::postgres::PgConnectOptions::from_str(text) {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(_) => Err(UrlError::Malformed),
            };
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(UrlError::Malformed),
        }
    }

    /// The engine that it names.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Postgres(_) => Engine::Postgres,
            Self::Sqlite(_) => Engine::Sqlite,
        }
    }
}

impl Url {
    /// Where the database is, for a person: host and port or path, never the password.
    #[must_use]
    pub fn place(&self) -> String {
        open::place(self)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(_) => formatter.write_str("postgres://…"),
            Self::Sqlite(path) => write!(formatter, "sqlite://{}", path.display()),
        }
    }
}

/// The text names no database that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL of a known engine.
    #[error(
        "must be `postgres://user:password@host:port/database`, with signs such as @ and / in the password \
         percent-encoded, or `sqlite://path`"
    )]
    Malformed,
}

/// The pools of one database.
pub struct Pools<DB: Database> {
    /// Reads. On SQLite its connections cannot write.
    pub read: Pool<DB>,
    /// Writes. On SQLite it is one connection; on PostgreSQL the same pool as `read`.
    pub write: Pool<DB>,
    /// Where it is, for messages.
    place: String,
}

impl<DB: Database> Clone for Pools<DB> {
    fn clone(&self) -> Self {
        Self {
            read: self.read.clone(),
            write: self.write.clone(),
            place: self.place.clone(),
        }
    }
}

impl<DB: Database> fmt::Debug for Pools<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pools")
            .field("engine", &DB::NAME)
            .finish_non_exhaustive()
    }
}

impl<DB: EngineDatabase> Pools<DB> {
    /// A session that reads, each statement for itself.
    pub async fn read(&self) -> Result<Session<DB>, Error> {
        Ok(Session(Held::Reading(self.read.acquire().await?)))
    }

    /// A session that writes: nothing stands until [`Session::commit`].
    ///
    /// The transaction begins in a task of its own: a `begin` that is dropped half-way leaves a
    /// poisoned connection in the pool (launchbadge/sqlx #4385).
    pub async fn write(&self) -> Result<Session<DB>, Error> {
        let pool = self.write.clone();
        let begun = tokio::spawn(async move { pool.begin_with(DB::BEGIN_WRITE).await })
            .await
            .map_err(|_| sqlx::Error::WorkerCrashed)?;
        Ok(Session(Held::Writing(begun?)))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        use sqlx::Connection as _;

        let mut connection = self.read.acquire().await?;
        connection.ping().await?;
        Ok(())
    }

    /// Closes every connection, once each is idle.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

enum Held<DB: Database> {
    Reading(PoolConnection<DB>),
    Writing(Transaction<'static, DB>),
}

/// A connection that reads, or a transaction that writes. Dropped without a commit, a transaction is undone.
pub struct Session<DB: Database>(Held<DB>);

impl<DB: Database> fmt::Debug for Session<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Held::Reading(_) => "Session::Reading",
            Held::Writing(_) => "Session::Writing",
        })
    }
}

impl<DB: Database> Session<DB> {
    /// The connection to run statements on.
    pub fn connection(&mut self) -> &mut DB::Connection {
        match &mut self.0 {
            Held::Reading(connection) => connection,
            Held::Writing(transaction) => transaction,
        }
    }

    /// Makes what was written stand. Nothing to do for a session that reads.
    ///
    /// `transaction` says what it was written for, and with `service` it names the failpoint.
    pub async fn commit(
        self,
        service: &'static str,
        transaction: &'static str,
    ) -> Result<(), Error> {
        match self.0 {
            Held::Reading(_) => Ok(()),
            Held::Writing(held) => {
                failpoints::reached(service, transaction, Moment::BeforeCommit).await?;
                held.commit().await?;
                tracing::trace!(service, transaction, "committed");
                Ok(failpoints::reached(service, transaction, Moment::AfterCommit).await?)
            }
        }
    }

    /// Undoes what was written, before the connection serves another.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.0 {
            Held::Reading(_) => Ok(()),
            Held::Writing(transaction) => Ok(transaction.rollback().await?),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
