//! How each engine is connected to.

use std::{fs, io, path::Path, str::FromStr as _, time::Duration};

use log::LevelFilter;
use sqlx::{
    ConnectOptions as _, Connection as _, Database, Postgres, Sqlite,
    migrate::{Migrate, MigrateError, Migrator},
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::random::{Randomness as _, SystemRandomness};

use super::{
    EngineDatabase, Error, Pools, Url,
    open::{OpenError, has_folder, place},
    ready::{Ready, UNTESTED_IDLE_MILLIS_MAX},
    refuse_read_only,
};

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

/// The table in which the migrator keeps what has been applied.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// Asks a connection to PostgreSQL whether it takes no writes.
const SHOW_READ_ONLY: &str = "SHOW transaction_read_only";
/// Room that the disk of a SQLite file must have, in bytes: more than one transaction writes.
const ROOM_BYTES: usize = 1 << 20;

fn wrong_engine(url: &Url) -> OpenError {
    let error = sqlx::Error::InvalidArgument("the URL names another engine".to_owned());
    OpenError::new(&place(url), error)
}

/// The pause before a read-only server is connected to again, in milliseconds.
const READ_ONLY_PAUSE_MILLIS: u64 = 500;

fn pool_options<DB: Database>(options: &Options, connections_max: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut DB::Connection, idle| {
            Box::pin(async move {
                if idle.idle_for > Duration::from_millis(UNTESTED_IDLE_MILLIS_MAX) {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

/// Connects to PostgreSQL. Fails if it does not answer or takes no writes.
pub async fn connect_postgres(url: &Url, options: Options) -> Result<Pools<Postgres>, OpenError> {
    let Url::Postgres(text) = url else {
        return Err(wrong_engine(url));
    };
    let place = place(url);
    let millis = |duration: Duration| duration.as_millis().to_string();
    let connect = PgConnectOptions::from_str(text)
        .map_err(|error| OpenError::new(&place, error))?
        .application_name(&options.application_name)
        // The statement that commits holds what it writes (ADR 0003), which is no business of the log.
        .log_slow_statements(LevelFilter::Off, Duration::MAX)
        .options([
            ("lock_timeout", millis(options.lock_timeout)),
            ("statement_timeout", millis(options.statement_timeout)),
            (
                "idle_in_transaction_session_timeout",
                millis(options.statement_timeout),
            ),
            // A statement is planned once for each connection, perhaps while its tables are empty. So the plan
            // must be one that serves large tables too: by indexes, row by row.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            ("enable_bitmapscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            ("jit", "off".to_owned()),
        ]);
    let pool = pool_options(&options, options.connections_max)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let checked = refuse_read_only(connection, SHOW_READ_ONLY).await;
                if checked.is_err() {
                    // The pool connects again at once, for each caller that waits.
                    tokio::time::sleep(Duration::from_millis(READ_ONLY_PAUSE_MILLIS)).await;
                }
                checked
            })
        })
        .connect_with(connect.clone())
        .await;
    let pool = match pool {
        Ok(pool) => pool,
        Err(error) => {
            // The pool tries again and again, and keeps to itself that each connection was read-only.
            let asked = tokio::time::timeout(options.acquire_timeout, read_only(&connect)).await;
            let error = asked.ok().flatten().unwrap_or(error);
            return Err(OpenError::new(&place, error));
        }
    };
    let ready = Ready::new(pool);
    Ok(Pools {
        readers: ready.clone(),
        writers: ready,
        place,
        file: None,
    })
}

/// Returns the refusal of a connection that is read-only.
async fn read_only(connect: &PgConnectOptions) -> Option<sqlx::Error> {
    let mut connection = connect.connect().await.ok()?;
    let checked = refuse_read_only(&mut connection, SHOW_READ_ONLY).await;
    checked.err()
}

/// Opens the SQLite file, making it if it is missing: WAL, synchronous FULL, foreign keys on,
/// one connection that writes and a pool of connections that cannot.
pub async fn connect_sqlite(url: &Url, options: Options) -> Result<Pools<Sqlite>, OpenError> {
    let Url::Sqlite(path) = url else {
        return Err(wrong_engine(url));
    };
    let place = place(url);
    if !has_folder(path) {
        return Err(OpenError::NoFolder { place });
    }
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
        .await
        .map_err(|error| OpenError::new(&place, error))?;
    let read = pool_options(&options, options.connections_max)
        .connect_with(connect.pragma("query_only", "ON"))
        .await
        .map_err(|error| OpenError::new(&place, error))?;
    Ok(Pools {
        readers: Ready::new(read),
        writers: Ready::new(write),
        place,
        file: Some(path.clone()),
    })
}

/// Brings the schema up to date through the pool that writes.
pub async fn migrate<DB>(pools: &Pools<DB>, migrator: &Migrator) -> Result<(), OpenError>
where
    DB: Database,
    DB::Connection: Migrate,
{
    migrator
        .run(&pools.writers.pool)
        .await
        .map_err(|error| OpenError::of_migration(&pools.place, error))
}

/// Checks all that serving takes: the database answers, takes writes and has every migration of this
/// program as it is. A newer program may have applied later ones. `command` is what brings the schema up to
/// date, for the message.
pub async fn check_ready<DB>(
    pools: &Pools<DB>,
    migrator: &Migrator,
    command: &'static str,
) -> Result<(), OpenError>
where
    DB: EngineDatabase,
    DB::Connection: Migrate,
{
    match pools.file.clone() {
        None => {
            let writable = pools.check_writable().await;
            writable.map_err(|error| OpenError::new(&pools.place, error))?;
        }
        // Not by a transaction: it would wait for every other one.
        Some(file) => {
            // To completion, so that the probe is removed also where nobody waits for this any more.
            let room = tokio::task::spawn_blocking(move || check_room(&file)).await;
            room.unwrap_or_else(|failure| Err(io::Error::other(failure)))
                .map_err(|error| OpenError::new(&pools.place, sqlx::Error::Io(error)))?;
        }
    }
    check_schema(pools, migrator, command).await
}

/// Checks that the disk of the SQLite file takes as much as a transaction writes. A transaction that is
/// rolled back would not tell: it writes nothing to the disk.
fn check_room(file: &Path) -> io::Result<()> {
    // A name of its own, since others check beside it; and bytes that no file system makes small.
    let mut bytes = vec![0; ROOM_BYTES];
    SystemRandomness.fill(&mut bytes);
    let mut probe = file.as_os_str().to_owned();
    probe.push("-room");
    for byte in bytes.iter().take(8) {
        probe.push(format!("-{byte:x}"));
    }
    let written = fs::write(&probe, bytes);
    let removed = fs::remove_file(&probe);
    written.and(removed)
}

async fn check_schema<DB>(
    pools: &Pools<DB>,
    migrator: &Migrator,
    command: &'static str,
) -> Result<(), OpenError>
where
    DB: EngineDatabase,
    DB::Connection: Migrate,
{
    let not_migrated = || OpenError::NotMigrated {
        place: pools.place.clone(),
        command,
    };
    let mut session = pools
        .read()
        .await
        .map_err(|error| OpenError::new(&pools.place, error))?;
    let listed = session
        .connection()
        .list_applied_migrations(MIGRATIONS_TABLE)
        .await;
    let applied = match listed {
        Ok(applied) => {
            session.release();
            applied
        }
        Err(MigrateError::Execute(error)) => {
            return Err(match Error::from(error) {
                // The table is missing.
                Error::Other(cause) if cause.as_database_error().is_some() => not_migrated(),
                cause => OpenError::new(&pools.place, cause),
            });
        }
        Err(error) => return Err(OpenError::of_migration(&pools.place, error)),
    };
    for shipped in migrator
        .iter()
        .filter(|one| one.migration_type.is_up_migration())
    {
        let found = applied.iter().find(|one| one.version == shipped.version);
        match found {
            None => return Err(not_migrated()),
            Some(found) if found.checksum != shipped.checksum => {
                return Err(OpenError::Foreign {
                    place: pools.place.clone(),
                    version: shipped.version,
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}
