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

use async_trait::async_trait;
use homeroom_kit::{
    database::{OpenError, Options, Session, Url},
    outbox::Outbox,
    request_ids::RequestIds,
    store::{Service, SqlStore},
};

use super::{
    Connection, Db, LOCK_ALL, LOCK_CODE_PREFIXES, LOCK_FREE, LOCK_ORGANIZATION, MIGRATOR, Row,
    connect,
};
use crate::{
    SERVICE,
    store::{Repository, Result},
};

/// A session of this engine, which implements every store trait.
pub(super) struct SqlRepository(Session<Db>);

impl SqlRepository {
    /// Returns the connection for statements.
    fn connection(&mut self) -> &mut Connection {
        self.0.connection()
    }
}

#[async_trait]
impl Repository for SqlRepository {
    fn outbox(&mut self) -> &mut dyn Outbox {
        &mut self.0
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

/// Opens the database at `url`.
pub(crate) async fn open(
    url: &Url,
    options: Options,
) -> std::result::Result<SqlStore<Db, dyn Repository>, OpenError> {
    let service: Service<Db, dyn Repository> = Service {
        name: SERVICE,
        migrator: &MIGRATOR,
        migrate_command: "membership migrate",
        rows: |session, _| Box::new(SqlRepository(session)),
    };
    Ok(SqlStore::new(service, connect(url, options).await?))
}

/// Returns every statement of this service, for the test that prepares each.
#[must_use]
pub fn statements() -> Vec<&'static str> {
    const LOCKS: &[&str] = &[LOCK_ALL, LOCK_CODE_PREFIXES, LOCK_FREE, LOCK_ORGANIZATION];
    [
        LOCKS,
        classes::STATEMENTS,
        erasures::STATEMENTS,
        erasures::PSEUDONYMIZE,
        &[facts::FACTS],
        join_requests::STATEMENTS,
        ledger::STATEMENTS,
        ledger::SAVE,
        members::STATEMENTS,
        organizations::STATEMENTS,
        removals::STATEMENTS,
    ]
    .concat()
}
