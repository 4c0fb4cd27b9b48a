//! How each engine is connected to.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    Database, Postgres, Sqlite,
    migrate::{Migrate, Migrator},
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{Error, Pools, Url};

/// What may be set about a database's connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections at most (PostgreSQL: in all; SQLite: those that read).
    pub connections_max: u32,
    /// How long to wait for a free connection before the answer is `DATABASE_UNAVAILABLE`.
    pub acquire_timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// How long a statement may run (PostgreSQL only).
    pub statement_timeout: Duration,
    /// The name that the server's lists show (PostgreSQL only).
    pub application_name: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections_max: 16,
            acquire_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            application_name: "homeroom".to_owned(),
        }
    }
}

fn wrong_engine() -> Error {
    sqlx::Error::InvalidArgument("the URL names another engine".to_owned()).into()
}

fn pool_options<DB: Database>(options: &Options, connections_max: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(options.acquire_timeout)
}

/// Connects to PostgreSQL. Fails if it does not answer.
pub async fn connect_postgres(url: &Url, options: Options) -> Result<Pools<Postgres>, Error> {
    let Url::Postgres(text) = url else {
        return Err(wrong_engine());
    };
    let millis = |duration: Duration| duration.as_millis().to_string();
    let connect = PgConnectOptions::from_str(text)?
        .application_name(&options.application_name)
        .options([
            ("lock_timeout", millis(options.lock_timeout)),
            ("statement_timeout", millis(options.statement_timeout)),
            (
                "idle_in_transaction_session_timeout",
                millis(options.statement_timeout),
            ),
        ]);
    let pool = pool_options(&options, options.connections_max)
        .connect_with(connect)
        .await?;
    Ok(Pools {
        read: pool.clone(),
        write: pool,
    })
}

/// Opens the SQLite file, making it if it is missing: WAL, synchronous FULL, foreign keys on,
/// one connection that writes and a pool of connections that cannot.
pub async fn connect_sqlite(url: &Url, options: Options) -> Result<Pools<Sqlite>, Error> {
    let Url::Sqlite(path) = url else {
        return Err(wrong_engine());
    };
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.lock_timeout);
    let write = pool_options(&options, 1)
        // The one connection is never replaced under a writer that waits for it.
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(connect.clone())
        .await?;
    let read = pool_options(&options, options.connections_max)
        .connect_with(connect.pragma("query_only", "ON"))
        .await?;
    Ok(Pools { read, write })
}

/// Brings the schema up to date through the pool that writes.
pub async fn migrate<DB>(
    pools: &Pools<DB>,
    migrator: &Migrator,
) -> Result<(), sqlx::migrate::MigrateError>
where
    DB: Database,
    DB::Connection: Migrate,
{
    migrator.run(&pools.write).await
}
