//! The store on PostgreSQL.

/// The engine that `queries` is compiled for here.
pub(crate) type Db = sqlx::Postgres;
/// Its connection.
pub(crate) type Connection = sqlx::PgConnection;

/// The rows of a JSON array bound as `$1`, in a column `value`.
macro_rules! json_rows {
    () => {
        "jsonb_array_elements($1::jsonb)"
    };
}

/// Ends a statement that locks its rows together with others that share them.
macro_rules! for_share {
    () => {
        " FOR SHARE"
    };
}

/// Ends a statement that locks its rows for itself.
macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}

/// Ends a statement that locks for itself those of its rows that nobody else holds.
macro_rules! for_update_of_free {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}

#[path = "queries/mod.rs"]
mod queries;

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Options, Pools, Url, check_schema, connect_postgres},
    events::{Feed, StoredFeed, Wake, publish_until},
    shutdown::Shutdown,
};
use queries::SqlRepository;

use super::{Repository, Result, Store};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Takes the organization's lock until the transaction ends.
pub(crate) const LOCK_ORGANIZATION: &str =
    "SELECT seat_limit FROM organization_seats WHERE organization_id = $1 FOR UPDATE";

/// From here on the transaction waits for no lock longer than this; then it fails as unavailable.
pub(crate) const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '100ms'";

/// Lets one organization at a time choose its code prefix, until the transaction ends.
pub(crate) const LOCK_CODE_PREFIXES: &str = "SELECT pg_advisory_xact_lock(4850001)";

/// A PostgreSQL database.
#[derive(Debug)]
pub(crate) struct PostgresStore {
    pools: Pools<Db>,
    feed: StoredFeed<Db>,
}

impl PostgresStore {
    pub(crate) async fn connect(
        url: &Url,
        options: Options,
    ) -> std::result::Result<Self, OpenError> {
        let pools = connect_postgres(url, options).await?;
        Ok(Self {
            feed: StoredFeed::new(pools.clone()),
            pools,
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn read(&self) -> Result<Box<dyn Repository>> {
        Ok(Box::new(SqlRepository(self.pools.read().await?)))
    }

    async fn write(&self) -> Result<Box<dyn Repository>> {
        Ok(Box::new(SqlRepository(self.pools.write().await?)))
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn committed(&self) -> Wake {
        self.feed.committed()
    }

    async fn publish(&self) -> Result<u64> {
        self.feed.publish().await
    }

    async fn publish_until(&self, shutdown: Shutdown) {
        publish_until(self.feed.clone(), shutdown).await;
    }

    async fn check_schema(&self) -> std::result::Result<(), OpenError> {
        check_schema(&self.pools, &MIGRATOR, "membership migrate").await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}

pub(crate) async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    let pools = connect_postgres(url, options).await?;
    homeroom_kit::database::migrate(&pools, &MIGRATOR).await?;
    pools.close().await;
    Ok(())
}

pub(crate) async fn prepare_every_statement(url: &Url, options: Options) -> Result<usize> {
    let pools = connect_postgres(url, options).await?;
    let prepared = queries::prepare_every_statement(&pools).await;
    pools.close().await;
    prepared
}
