//! Membership's storage. A [`Store`] opens sessions; a session is a [`Repository`], whose operations are in a file for
//! each kind of row, with the statements and the columns of their tables. The statements are written once for both
//! engines.
//!
//! To add a column, add it to the table's [`Table`](homeroom_kit::store::Table) here and to the struct that serde reads
//! and writes. To add a kind of row, add a file, and its statements to [`statements`].

mod classes;
mod erasures;
mod facts;
mod join_requests;
mod ledger;
mod members;
mod organizations;
mod removals;

use std::sync::Arc;

use homeroom_kit::{
    database::{Engine, Error, OpenError, Options, Url},
    store::{self as kit_store, Schema, Session},
};

use crate::SERVICE;

pub use crate::admission::ledger::*;
pub use classes::ClassQuery;
pub(crate) use homeroom_kit::store::end;
pub use join_requests::{Shown, Waiting};
pub use members::MemberQuery;
pub use organizations::{InsertOutcome, OrganizationQuery};

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The database of this service.
pub type Store = kit_store::Store<Repository>;

/// A session on the database. Every change of an organization first takes its lock
/// ([`Repository::lock_organization`]) and decides in a later statement (P6).
#[derive(Debug)]
pub struct Repository(Session);

impl From<Session> for Repository {
    fn from(session: Session) -> Self {
        Self(session)
    }
}

impl From<Repository> for Session {
    fn from(repository: Repository) -> Self {
        repository.0
    }
}

impl Repository {
    /// Returns the outbox, whose events are written with the change that they describe (R11).
    pub fn outbox(&mut self) -> &mut Session {
        &mut self.0
    }

    /// Returns the request ids (R3).
    pub fn request_ids(&mut self) -> &mut Session {
        &mut self.0
    }

    /// Commits what was written. `transaction` names its purpose and its failpoint.
    pub async fn commit(self, transaction: &'static str) -> Result<()> {
        self.0.commit(transaction).await
    }

    /// Rolls back what was written, before the connection serves another session.
    pub async fn rollback(self) {
        self.0.rollback().await;
    }
}

static SCHEMA: Schema = Schema {
    service: SERVICE,
    migrate_command: "membership migrate",
    postgres: sqlx::migrate!("migrations/postgres"),
    sqlite: sqlx::migrate!("migrations/sqlite"),
};

/// Connects to the database that the URL names. Fails if it does not answer.
pub async fn connect(url: &Url, options: Options) -> std::result::Result<Arc<Store>, OpenError> {
    Ok(Arc::new(Store::connect(&SCHEMA, url, options).await?))
}

/// Brings the schema up to date.
pub async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    let store = connect(url, options).await?;
    store.migrate().await?;
    store.close().await;
    Ok(())
}

/// Returns every statement of this service, for the test that prepares each.
#[must_use]
pub fn statements(engine: Engine) -> Vec<&'static str> {
    let all = [
        classes::STATEMENTS,
        erasures::STATEMENTS,
        facts::STATEMENTS,
        join_requests::STATEMENTS,
        ledger::STATEMENTS,
        members::STATEMENTS,
        organizations::STATEMENTS,
        removals::STATEMENTS,
    ];
    let all = all.into_iter().flatten().chain(homeroom_kit::statements());
    all.map(|statement| statement.sql(engine)).collect()
}
