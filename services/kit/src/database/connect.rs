//! The connection options that both engines share, and connections to SQLite.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{Access, access};
use sqlx::{
    Connection as _, Database, Sqlite,
    migrate::{Migrate, MigrateError, Migrator},
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::random::{Randomness as _, SystemRandomness};

use super::{
    EngineDatabase, Pools, Url,
    error::is_undefined,
    open::OpenError,
    ready::{Ready, UNTESTED_IDLE_MILLIS_MAX},
    url::has_folder,
};

/// The options of a database's connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// Maximum number of connections (PostgreSQL: in all; SQLite: those that read).
    pub connections_max: u32,
    /// The longest wait for a free connection before the answer is `DATABASE_UNAVAILABLE`.
    pub acquire_timeout: Duration,
    /// The longest wait of a statement for a lock.
    pub lock_timeout: Duration,
    /// The longest run time of a statement (PostgreSQL only).
    pub statement_timeout: Duration,
    /// The name shown in the server's lists (PostgreSQL only).
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

/// The table in which the migrator records the applied migrations.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// Free space that the disk of a SQLite file must have, in bytes: more than one transaction writes.
const ROOM_BYTES: usize = 1 << 20;
/// The endings of the files that SQLite writes beside a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

pub(super) fn wrong_engine(url: &Url) -> OpenError {
    let error = sqlx::Error::InvalidArgument("the URL names another engine".to_owned());
    OpenError::new(&url.place(), error)
}

pub(super) fn pool_options<DB: Database>(
    options: &Options,
    connections_max: u32,
) -> PoolOptions<DB> {
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

/// Opens the SQLite file, and creates it if it is missing: WAL, synchronous FULL, foreign keys on, one connection that
/// writes and a pool of connections that cannot.
pub async fn connect_sqlite(url: &Url, options: Options) -> Result<Pools<Sqlite>, OpenError> {
    let Url::Sqlite(path) = url else {
        return Err(wrong_engine(url));
    };
    let place = url.place();
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
        // The single connection is never replaced while a writer waits for it.
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
        readers: Ready::new(read, Vec::new(), options.acquire_timeout),
        writers: Ready::new(write, Vec::new(), options.acquire_timeout),
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

/// Checks everything that serving needs: the database answers, accepts writes and has every migration of this program
/// unchanged. A newer program may have applied later ones. `command` is the command that brings the schema up to date,
/// for the message.
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
        // A transaction is not used for this check: it would wait for every other one.
        Some(file) => {
            // Runs to completion, even if nobody waits for the result any more.
            let checked = tokio::task::spawn_blocking(move || check_files(&file)).await;
            checked
                .unwrap_or_else(|failure| Err(io::Error::other(failure)))
                .map_err(|error| OpenError::Unwritable {
                    place: pools.place.clone(),
                    cause: sqlx::Error::Io(error).into(),
                })?;
        }
    }
    check_schema(pools, migrator, command).await
}

/// Checks that this user can write the SQLite file and those beside it, and that their disk has room for a transaction.
/// A transaction that is rolled back would not show this: SQLite opens a file that it may not write for reading, and
/// writes nothing to the disk.
fn check_files(file: &Path) -> io::Result<()> {
    let beside = |ending: &str| {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    };
    // The permission is queried without opening the file: closing a file gives up the locks that SQLite holds on it.
    writable(file)?;
    for companion in COMPANIONS.map(beside) {
        match writable(&companion) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            asked => asked?,
        }
    }
    // The probe file has a unique name, since others check at the same time, and contents that no file system can
    // compress.
    let mut bytes = vec![0; ROOM_BYTES];
    SystemRandomness.fill(&mut bytes);
    let number = bytes
        .first_chunk()
        .map_or(0, |first| u64::from_le_bytes(*first));
    let probe = beside(&format!("-room-{number:x}"));
    let mut room = fs::File::create(&probe)?;
    // Its name goes first, so that a process that is killed here leaves no file.
    fs::remove_file(&probe)?;
    room.write_all(&bytes)
}

fn writable(path: &Path) -> io::Result<()> {
    access(path, Access::WRITE_OK).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
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
        Err(MigrateError::Execute(error)) if is_undefined(&error) => return Err(not_migrated()),
        Err(MigrateError::Execute(error)) => return Err(OpenError::new(&pools.place, error)),
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
