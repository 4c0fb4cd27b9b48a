//! Membership's storage, behind one trait for both engines.
//!
//! A [`Store`] opens sessions; a session is a [`Repository`], which combines one small trait for each kind of row. The
//! queries are written once, in `queries/`, and compiled for each engine; what must differ (row locks) is in the
//! engine's own file.
//!
//! To add a kind of row, add its trait in a file here, its statements in `queries/` with their texts listed in
//! `statements`, and the trait's name to the supertraits of [`Repository`].

mod classes;
mod erasures;
mod join_requests;
mod members;
mod organizations;
pub mod postgres;
mod removals;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use homeroom_kit::{
    database::{Engine, Error, OpenError, Options, Url},
    outbox::Outbox,
    request_ids::RequestIds,
};

pub use crate::admission::ledger::*;
pub use classes::{ClassQuery, Classes};
pub use erasures::Erasures;
pub use join_requests::*;
pub use members::{MemberQuery, Members};
pub use organizations::{InsertOutcome, OrganizationQuery, Organizations, SeatRows};
pub use removals::RemovalRows;

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A database of this service.
pub trait Store: homeroom_kit::store::Store<dyn Repository> {}

impl<T: homeroom_kit::store::Store<dyn Repository>> Store for T {}

/// A session on the database. Every change of an organization first takes its lock ([`SeatRows::lock_organization`])
/// and decides in a later statement (P6).
#[async_trait]
pub trait Repository:
    Organizations + SeatRows + Classes + Members + RemovalRows + JoinRequests + Ledger + Erasures + Send
{
    /// Returns the outbox, whose events are written with the change that they describe (R11).
    fn outbox(&mut self) -> &mut dyn Outbox;
    /// Returns the request ids (R3).
    fn request_ids(&mut self) -> &mut dyn RequestIds;
    /// Commits what was written. `transaction` names its purpose and its failpoint.
    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()>;
    /// Rolls back what was written, before the connection serves another session.
    async fn rollback(self: Box<Self>);
}

/// Connects to the database that the URL names. Fails if it does not answer.
pub async fn connect(
    url: &Url,
    options: Options,
) -> std::result::Result<Arc<dyn Store>, OpenError> {
    Ok(match url.engine() {
        Engine::Postgres => Arc::new(postgres::open(url, options).await?),
        Engine::Sqlite => Arc::new(sqlite::open(url, options).await?),
    })
}

/// Brings the schema up to date.
pub async fn migrate(url: &Url, options: Options) -> std::result::Result<(), OpenError> {
    let store = connect(url, options).await?;
    store.migrate().await?;
    store.close().await;
    Ok(())
}
