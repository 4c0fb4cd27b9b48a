//! One interface to the two engines: a pool that reads, a pool that writes, and sessions of either.

mod connect;
mod error;
mod open;
mod postgres;
mod ready;
mod url;

use std::{fmt, io, path::PathBuf};

use sqlx::{
    AssertSqlSafe, Database, PgConnection, Postgres, Row as _, SqlSafeStr as _, SqlStr, Sqlite,
};

use crate::failpoints::{self, Moment};

pub use connect::{Options, check_ready, connect_sqlite, migrate};
pub use error::Error;
use error::is_lost;
pub use open::OpenError;
pub use postgres::connect_postgres;
use ready::{Lease, Ready};
pub use url::{HOSTS_MAX, Hosts, Url, UrlError};

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Engine {
    /// Returns its name in OpenTelemetry's conventions.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Sqlite => "sqlite",
        }
    }
}

/// The properties of an engine that the kit needs.
pub trait EngineDatabase: Database {
    /// The engine.
    const ENGINE: Engine;
    /// The statement that begins a writing transaction.
    const BEGIN_WRITE: &'static str;
    /// The statement that ends it. It fails if an earlier statement of the transaction failed.
    const COMMIT: &'static str;

    /// Runs a statement without parameters.
    fn run(
        connection: &mut Self::Connection,
        sql: SqlStr,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Rolls back. Fails if the connection cannot write, and on SQLite if it no longer had a transaction.
    fn roll_back(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

impl EngineDatabase for Postgres {
    const ENGINE: Engine = Engine::Postgres;
    const BEGIN_WRITE: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";
    // A bare COMMIT of a transaction in which a statement failed rolls it back and succeeds.
    const COMMIT: &'static str = "SELECT 1; COMMIT";

    async fn run(connection: &mut Self::Connection, sql: SqlStr) -> sqlx::Result<()> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    async fn roll_back(connection: &mut Self::Connection) -> sqlx::Result<()> {
        let sql = "ROLLBACK; SHOW transaction_read_only";
        refuse_read_only(connection, SqlStr::from_static(sql)).await
    }
}

/// Fails if the answer of `sql`, which ends with `SHOW transaction_read_only`, shows that the connection leads to a
/// standby or that its transactions are read-only by default.
async fn refuse_read_only(connection: &mut PgConnection, sql: SqlStr) -> sqlx::Result<()> {
    for row in sqlx::raw_sql(sql).fetch_all(connection).await? {
        if row.try_get::<&str, _>(0)? == "on" {
            let why = "the connection is read-only";
            return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, why).into());
        }
    }
    Ok(())
}

impl EngineDatabase for Sqlite {
    const ENGINE: Engine = Engine::Sqlite;
    const BEGIN_WRITE: &'static str = "BEGIN IMMEDIATE";
    const COMMIT: &'static str = "COMMIT";

    async fn run(connection: &mut Self::Connection, sql: SqlStr) -> sqlx::Result<()> {
        sqlx::raw_sql(sql).execute(connection).await.map(drop)
    }

    async fn roll_back(connection: &mut Self::Connection) -> sqlx::Result<()> {
        Self::run(connection, SqlStr::from_static("ROLLBACK")).await
    }
}

/// The pools of one database.
pub struct Pools<DB: Database> {
    /// The pool that reads. On SQLite its connections cannot write.
    readers: Ready<DB>,
    /// The pool that writes. On SQLite it is one connection; on PostgreSQL the same pool as `readers`.
    writers: Ready<DB>,
    /// The address of the database, for messages.
    place: String,
    /// The file; None for a server.
    file: Option<PathBuf>,
}

impl<DB: Database> Clone for Pools<DB> {
    fn clone(&self) -> Self {
        Self {
            readers: self.readers.clone(),
            writers: self.writers.clone(),
            place: self.place.clone(),
            file: self.file.clone(),
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
    /// Returns the number of connections that serve a session, and the most that can.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let (in_use, max) = self.readers.used();
        // PostgreSQL's sessions share one pool.
        if self.file.is_none() {
            return (in_use, max);
        }
        let (writing, writers) = self.writers.used();
        (in_use + writing, max + writers)
    }

    /// Begins a session that reads, each statement in its own transaction.
    pub async fn read(&self) -> Result<Session<DB>, Error> {
        Session::on(&self.readers).await
    }

    /// Begins a session that writes: nothing is committed until [`Session::commit`].
    ///
    /// A connection that was lost while it was idle fails here at the latest. Its BEGIN changed nothing, so another
    /// connection is taken; this is the only statement that is ever repeated.
    pub async fn write(&self) -> Result<Session<DB>, Error> {
        let mut lost = 0;
        loop {
            let mut session = Session::on(&self.writers).await?;
            // Set already now, because a BEGIN that is dropped midway may have been executed.
            session.open = true;
            match DB::run(session.connection(), SqlStr::from_static(DB::BEGIN_WRITE)).await {
                Ok(()) => return Ok(session),
                Err(error)
                    if is_lost(&error)
                        && lost < self.writers.pool.options().get_max_connections() =>
                {
                    lost += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Checks that a writing transaction can begin.
    async fn check_writable(&self) -> Result<(), Error> {
        let mut session = self.write().await?;
        session.undo().await?;
        session.release();
        Ok(())
    }

    /// Closes every connection, each once it is idle.
    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }
}

/// A connection that reads, or one with a transaction that writes. A transaction dropped without a commit is rolled
/// back.
///
/// A connection returns to its pool only after its transaction has ended properly. Otherwise it is closed, since its
/// state is unknown: SQLite ends a transaction by itself when its disk is full, a server that became a standby refuses
/// writes (SQLSTATE 25006), and a call that was dropped stops between two messages.
pub struct Session<DB: EngineDatabase> {
    /// None once the session has ended properly.
    lease: Option<Lease<DB>>,
    ready: Ready<DB>,
    /// True if a transaction was begun and has not ended properly.
    open: bool,
    /// Statements to run in the message that commits.
    at_commit: String,
}

impl<DB: EngineDatabase> fmt::Debug for Session<DB> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.open {
            "Session::Writing"
        } else {
            "Session::Reading"
        })
    }
}

impl<DB: EngineDatabase> Session<DB> {
    async fn on(ready: &Ready<DB>) -> Result<Self, Error> {
        Ok(Self {
            lease: Some(ready.take().await?),
            ready: ready.clone(),
            open: false,
            at_commit: String::new(),
        })
    }

    /// Returns the connection to run statements on.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "whatever takes the lease takes the session"
    )]
    pub fn connection(&mut self) -> &mut DB::Connection {
        let lease = self.lease.as_mut();
        &mut lease
            .expect("a session has a connection until it ends")
            .connection
    }

    /// Ends a session that has read, so that its connection serves the next one at once. The connection of a session
    /// that is dropped instead is tested first, since a statement may have been cut short.
    pub fn release(mut self) {
        self.give_back();
    }

    fn give_back(&mut self) {
        if !self.open
            && let Some(lease) = self.lease.take()
        {
            self.ready.give_back(lease);
        }
    }

    /// Schedules a call of a database function with JSON and a number at the end of the transaction, in one message
    /// with the commit: its locks are held until the server has committed, no matter how slow this process is.
    pub(crate) fn call_at_commit(&mut self, function: &'static str, json: &str, number: i64) {
        // In JSON a dollar sign occurs only in strings, where it may be escaped. So none can end the quotation.
        let json = json.replace('$', "\\u0024");
        for part in [
            "SELECT ",
            function,
            "($$",
            &json,
            "$$, ",
            &number.to_string(),
            "); ",
        ] {
            self.at_commit.push_str(part);
        }
    }

    /// Commits what was written. Does nothing for a session that reads.
    ///
    /// `transaction` is the purpose of the transaction; together with `service` it names the failpoint.
    pub async fn commit(
        mut self,
        service: &'static str,
        transaction: &'static str,
    ) -> Result<(), Error> {
        if !self.open {
            return Ok(());
        }
        failpoints::reached(service, transaction, Moment::BeforeCommit).await?;
        self.at_commit.push_str(DB::COMMIT);
        let sql = AssertSqlSafe(std::mem::take(&mut self.at_commit)).into_sql_str();
        DB::run(self.connection(), sql).await?;
        self.open = false;
        self.give_back();
        tracing::trace!(service, transaction, "committed");
        Ok(failpoints::reached(service, transaction, Moment::AfterCommit).await?)
    }

    /// Rolls back what was written, before the connection serves another session. It cannot fail: a connection that
    /// does not roll back is closed, which undoes the transaction too.
    pub async fn rollback(mut self) {
        match self.undo().await {
            Ok(()) => self.give_back(),
            Err(error) => tracing::debug!(%error, "a transaction could not be rolled back"),
        }
    }

    async fn undo(&mut self) -> sqlx::Result<()> {
        if self.open {
            DB::roll_back(self.connection()).await?;
            self.open = false;
        }
        Ok(())
    }
}

impl<DB: EngineDatabase> Drop for Session<DB> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.as_mut().filter(|_| self.open) {
            tracing::debug!("a database connection is closed with its transaction");
            lease.connection.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests;
