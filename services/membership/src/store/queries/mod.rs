//! The statements, one text for both engines: this folder is compiled into each engine's module.

mod admission_rows;
mod classes;
mod erasures;
mod facts;
mod join_requests;
mod ledger;
mod members;
mod organizations;
mod removals;
mod rows;
pub(super) mod sql_store;

use async_trait::async_trait;
use homeroom_kit::{
    database::{Pools, Session},
    outbox::Outbox,
    request_ids::RequestIds,
};
use sqlx::{Executor as _, SqlStr};

use super::{Connection, Db, Row};
use crate::{
    SERVICE,
    store::{Repository, Result},
};

/// A session of this engine; every store trait is implemented for it.
pub(super) struct SqlRepository(Session<Db>);

impl SqlRepository {
    /// The connection to run statements on.
    fn connection(&mut self) -> &mut Connection {
        self.0.connection()
    }
}

#[async_trait]
impl Repository for SqlRepository {
    fn outbox(&mut self) -> &mut dyn Outbox {
        self.connection()
    }

    fn request_ids(&mut self) -> &mut dyn RequestIds {
        self.connection()
    }

    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()> {
        self.0.commit(SERVICE, transaction).await
    }

    async fn rollback(self: Box<Self>) {
        self.0.rollback().await;
    }
}

/// The statements of every file here.
const STATEMENTS: &[&[&str]] = &[
    classes::STATEMENTS,
    erasures::STATEMENTS,
    erasures::MORE_STATEMENTS,
    join_requests::STATEMENTS,
    ledger::STATEMENTS,
    ledger::MORE_STATEMENTS,
    members::STATEMENTS,
    organizations::STATEMENTS,
    removals::STATEMENTS,
];

async fn prepare(pools: &Pools<Db>) -> Result<usize> {
    let mut connection = pools.write.acquire().await?;
    let mut prepared = 0;
    for text in STATEMENTS.iter().copied().flatten().copied() {
        connection
            .prepare(SqlStr::from_static(text))
            .await
            .map_err(|error| {
                homeroom_kit::database::Error::corrupt(format!("{error}, in: {text}"))
            })?;
        prepared += 1;
    }
    Ok(prepared)
}
