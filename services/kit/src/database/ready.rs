//! Connections that have just been used, and are used again without a test.
//!
//! sqlx pings each connection that is returned to its pool, which costs a round trip for each session. So a connection
//! whose session ended properly waits here for the next one, and returns to the pool after it has waited or served for
//! long.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, Database, Pool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The idle time after which a connection is tested before it is used, in milliseconds. A connection that was lost
/// within that time fails at its first statement.
pub(super) const UNTESTED_IDLE_MILLIS_MAX: u64 = 1_000;
/// The time that a connection serves until the pool checks its age, in seconds.
const SERVES_SECONDS_MAX: u64 = 60;

/// A connection of the pool that serves one session.
pub(super) struct Lease<DB: Database> {
    pub(super) connection: PoolConnection<DB>,
    /// When the pool provided it.
    since: Instant,
    /// The permit; there are as many as the pool has connections.
    turn: OwnedSemaphorePermit,
}

/// A connection that waits for the next session.
struct Waiting<DB: Database> {
    connection: PoolConnection<DB>,
    since: Instant,
    idle_since: Instant,
}

/// The options of a connection.
type ConnectOptions<DB> = <<DB as Database>::Connection as Connection>::Options;

/// A pool with the connections that wait beside it.
pub(super) struct Ready<DB: Database> {
    pub(super) pool: Pool<DB>,
    /// The servers that the pool may connect to; empty if there is only one place to connect to.
    servers: Arc<[ConnectOptions<DB>]>,
    /// The index of the server to which it connects.
    server: Arc<AtomicUsize>,
    /// The longest time that a session waits for its connection.
    patience: Duration,
    turns: Arc<Semaphore>,
    waiting: Arc<Mutex<Vec<Waiting<DB>>>>,
}

impl<DB: Database> Clone for Ready<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            servers: Arc::clone(&self.servers),
            server: Arc::clone(&self.server),
            patience: self.patience,
            turns: Arc::clone(&self.turns),
            waiting: Arc::clone(&self.waiting),
        }
    }
}

impl<DB: Database> Ready<DB> {
    /// Creates it over a pool that connects to the first of the servers.
    pub(super) fn new(
        pool: Pool<DB>,
        servers: Vec<ConnectOptions<DB>>,
        patience: Duration,
    ) -> Self {
        let turns = pool.options().get_max_connections() as usize;
        Self {
            pool,
            servers: servers.into(),
            server: Arc::default(),
            patience,
            turns: Arc::new(Semaphore::new(turns)),
            waiting: Arc::default(),
        }
    }

    /// Returns the number of connections that serve a session, and the most that can.
    pub(super) fn used(&self) -> (usize, usize) {
        let max = self.pool.options().get_max_connections() as usize;
        (max - self.turns.available_permits().min(max), max)
    }

    /// Returns the connection that was used last, or one of the pool. Fails like the pool if none is free in time.
    pub(super) async fn take(&self) -> sqlx::Result<Lease<DB>> {
        timeout(self.patience, self.take_once_free())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn take_once_free(&self) -> sqlx::Result<Lease<DB>> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let last = self.lock().pop();
        if let Some(last) = last {
            if last.idle_since.elapsed() <= Duration::from_millis(UNTESTED_IDLE_MILLIS_MAX) {
                return Ok(Lease {
                    connection: last.connection,
                    since: last.since,
                    turn,
                });
            }
            // The connections below have waited longer.
            drop(last);
            self.empty();
        }
        Ok(Lease {
            connection: self.acquire().await?,
            since: Instant::now(),
            turn,
        })
    }

    /// Returns a connection of the pool. If a server provides none, the next one is tried, until each has been tried.
    async fn acquire(&self) -> sqlx::Result<PoolConnection<DB>> {
        let mut failed = 0;
        loop {
            let server = self.server.load(Ordering::Acquire);
            match self.pool.acquire().await {
                Err(error) => {
                    failed += 1;
                    self.leave(server);
                    if failed >= self.servers.len() {
                        return Err(error);
                    }
                }
                acquired => return acquired,
            }
        }
    }

    /// Makes the pool connect to the next server, unless another caller has done so.
    fn leave(&self, server: usize) {
        let next = (server + 1) % self.servers.len().max(1);
        if let Some(options) = self.servers.get(next)
            && next != server
            && self
                .server
                .compare_exchange(server, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        {
            self.pool.set_connect_options(options.clone());
        }
    }

    /// Takes back a connection whose session ended properly.
    pub(super) fn give_back(&self, lease: Lease<DB>) {
        let serves_on = lease.since.elapsed() <= Duration::from_secs(SERVES_SECONDS_MAX);
        let mut waiting = self.lock();
        // Checked under the lock, since closing the pool empties this list afterwards.
        if serves_on && !self.pool.is_closed() {
            waiting.push(Waiting {
                connection: lease.connection,
                since: lease.since,
                idle_since: Instant::now(),
            });
        }
        drop(waiting);
        drop(lease.turn);
    }

    /// Closes every connection, once no session uses it.
    pub(super) async fn close(&self) {
        let closed = self.pool.close();
        self.empty();
        closed.await;
    }

    fn empty(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting<DB>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
