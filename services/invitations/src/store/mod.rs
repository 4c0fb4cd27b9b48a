//! The store of invitations, redemptions, events and request ids.
//!
//! [`Store`] opens sessions. A session is a [`Repository`]: one trait for each kind of row, all on one connection. A
//! session of [`Store::write`] is one transaction: it is durable once [`Repository::commit`] has returned, and is
//! rolled back if it is dropped before.
//!
//! To add a kind of row, write a trait here (`store/{rows}.rs`) and its statements and implementation in
//! `queries/{rows}.rs`, which is compiled for both engines. Then add the trait to the supertraits of [`Repository`],
//! and its `STATEMENTS` to `queries/mod.rs`, so that one test prepares them on both engines.
//!
//! A writer of an organization's events first calls [`OrganizationProfiles::lock_organizations`], so that the events of
//! an organization are in the order of its changes.

mod audit_entries;
mod erasures;
mod feed_positions;
mod invitations;
mod key_versions;
mod organization_profiles;
pub mod postgres;
mod redemptions;
mod refused_attempts;
pub mod sqlite;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use homeroom_kit::{
    database::{self, Engine, Url},
    outbox::Outbox,
    request_ids::RequestIds,
};

pub use audit_entries::{AuditEntries, AuditEntry, AuditFilter};
pub use erasures::{Erasure, ErasureState, Erasures, PersonKnown};
pub use feed_positions::{FeedPositions, SkippedEvent};
pub use homeroom_kit::database::{Error, OpenError};
pub use invitations::{InvitationFilter, InvitationRow, Invitations, LookUp, StoredSecret};
pub use key_versions::{KeyCheck, KeyVersions, RotatedSecret, RowLock};
pub use organization_profiles::{OrganizationProfile, OrganizationProfiles};
pub(crate) use redemptions::organizations_of;
pub use redemptions::{
    Person, Redemption, RedemptionFilter, RedemptionRequest, Redemptions, Resolved, Route,
    StateChange, UseKey, UsesChange,
};
pub use refused_attempts::{
    LimiterDecision, RefusedAttempt, RefusedAttemptFilter, RefusedAttempts,
};

/// The result of a session's method.
pub type Result<T> = std::result::Result<T, Error>;

/// A database of this service.
pub trait Store: homeroom_kit::store::Store<dyn Repository> {}

impl<T: homeroom_kit::store::Store<dyn Repository>> Store for T {}

/// Every kind of row, on one connection.
#[async_trait]
pub trait Repository:
    Invitations
    + KeyVersions
    + OrganizationProfiles
    + Redemptions
    + FeedPositions
    + Erasures
    + RefusedAttempts
    + AuditEntries
    + fmt::Debug
    + Send
{
    /// Returns the outbox for the events of this session's change (R11). The session must have locked the organization.
    fn outbox(&mut self) -> &mut dyn Outbox;

    /// Returns the request ids of everything but redemptions (AIP-155). Their answers hold no secret.
    fn request_ids(&mut self) -> &mut dyn RequestIds;

    /// Commits the transaction. `transaction` names its purpose and its failpoint.
    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()>;

    /// Rolls the transaction back, before the connection serves another session.
    async fn rollback(self: Box<Self>);

    /// Ends a session that has only read: its connection serves the next one at once.
    fn release(self: Box<Self>);
}

/// Ends a transaction: commits it if `done` is a success, otherwise rolls it back.
pub(crate) async fn end<T, E: From<Error>>(
    repository: Box<dyn Repository>,
    transaction: &'static str,
    done: std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    match done {
        Ok(_) => repository.commit(transaction).await?,
        Err(_) => repository.rollback().await,
    }
    done
}

/// Opens the database that `url` names; with `migrate`, brings its schema up to date first.
pub async fn open(
    url: &Url,
    options: database::Options,
    migrate: bool,
) -> std::result::Result<Arc<dyn Store>, OpenError> {
    let store: Arc<dyn Store> = match url.engine() {
        Engine::Postgres => Arc::new(postgres::open(url, options).await?),
        Engine::Sqlite => Arc::new(sqlite::open(url, options).await?),
    };
    if migrate {
        store.migrate().await?;
    }
    Ok(store)
}
