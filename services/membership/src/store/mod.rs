//! What membership keeps, behind one trait for both engines.
//!
//! A [`Store`] opens sessions; a session is a [`Repository`], which is the sum of one small trait for
//! each kind of row. The queries are written once, in `queries/`, and compiled for each engine; what
//! must differ (row locks) stands in the engine's own file.
//!
//! A new kind of row: its trait in a file here, its statements in `queries/` with their texts listed in
//! `STATEMENTS`, and the trait's name among the supertraits of [`Repository`].

mod classes;
mod erasures;
mod join_requests;
mod members;
mod organizations;
mod postgres;
mod removals;
mod sqlite;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use homeroom_kit::{
    database::{Engine, Error, OpenError, Options, Url},
    events::{Feed, Wake},
    outbox::Outbox,
    request_ids::RequestIds,
    shutdown::Shutdown,
};

pub use crate::admission::ledger::*;
pub use classes::{ClassQuery, Classes};
pub use erasures::Erasures;
pub use join_requests::*;
pub use members::{MemberQuery, Members};
pub use organizations::{InsertOutcome, OrganizationQuery, Organizations, SeatRows};
pub use removals::RemovalRows;

/// What a store operation gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Opens sessions on the database.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// A session that reads, each statement for itself.
    async fn read(&self) -> Result<Box<dyn Repository>>;
    /// A session that writes: nothing stands until [`Repository::commit`]; dropped, it is undone.
    async fn write(&self) -> Result<Box<dyn Repository>>;
    /// The feed of published events.
    fn feed(&self) -> Arc<dyn Feed>;
    /// To be told after each commit that wrote events, so that they are published at once.
    fn committed(&self) -> Wake;
    /// Publishes what is committed now. Gives how many events.
    async fn publish(&self) -> Result<u64>;
    /// Publishes what is committed until the shutdown, and once more after it is ordered.
    async fn publish_until(&self, shutdown: Shutdown);
    /// Checks that the database answers, takes writes and has this program's schema.
    async fn check_ready(&self) -> std::result::Result<(), OpenError>;
    /// Closes every connection, once each is idle.
    async fn close(&self);
}

/// A session on the database. Every change of an organization first takes its lock
/// ([`SeatRows::lock_organization`]) and decides in a later statement (03 P6).
#[async_trait]
pub trait Repository:
    Organizations + SeatRows + Classes + Members + RemovalRows + JoinRequests + Ledger + Erasures + Send
{
    /// Events, written with the change that they tell of (R11).
    fn outbox(&mut self) -> &mut dyn Outbox;
    /// Request ids (R3).
    fn request_ids(&mut self) -> &mut dyn RequestIds;
    /// Makes what was written stand. `transaction` says what it was written for, and names its failpoint.
    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()>;
    /// Undoes what was written, before the connection serves another.
    async fn rollback(self: Box<Self>);
}

/// Connects to the database that the URL names. Fails if it does not answer.
pub async fn connect(
    url: &Url,
    options: Options,
) -> std::result::Result<Arc<dyn Store>, OpenError> {
    Ok(match url.engine() {
        Engine::Postgres => Arc::new(postgres::SqlStore::connect(url, options).await?),
        Engine::Sqlite => Arc::new(sqlite::SqlStore::connect(url, options).await?),
    })
}

/// Brings the schema up to date.
pub async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    match url.engine() {
        Engine::Postgres => postgres::migrate(url, options).await,
        Engine::Sqlite => sqlite::migrate(url, options).await,
    }
}

/// Prepares every statement, so that a test finds the text that an engine does not take.
pub async fn prepare_every_statement(url: &Url, options: Options) -> Result<usize> {
    match url.engine() {
        Engine::Postgres => postgres::prepare_every_statement(url, options).await,
        Engine::Sqlite => sqlite::prepare_every_statement(url, options).await,
    }
}
