//! Where invitations, redemptions, events and request ids are kept.
//!
//! [`Store`] gives sessions; a session is a [`Repository`]: one trait for each kind of row, all on
//! one connection. A session of [`Store::write`] is one transaction, which stands only once
//! [`Repository::commit`] has answered; dropped before, it is undone.
//!
//! To add a kind of row: a trait here (`store/{rows}.rs`), its statements and implementation once
//! in `queries/{rows}.rs` (compiled for both engines), the trait among the supertraits of
//! [`Repository`], and its `STATEMENTS` in `queries/mod.rs`, so that one test prepares them on both.
//!
//! A writer of an organization's rows first calls [`OrganizationProfiles::lock_organizations`]:
//! the events of an organization then stand in the order of its changes.

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

/// What a session answers.
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
    /// The events of this session's change (R11). The organization is locked by this session.
    fn outbox(&mut self) -> &mut dyn Outbox;

    /// Request ids of everything but redemptions (AIP-155). What they answer holds no secret.
    fn request_ids(&mut self) -> &mut dyn RequestIds;

    /// Makes what was written stand. `transaction` says what it was written for, and names its failpoint.
    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()>;

    /// Undoes what was written, before the connection serves another.
    async fn rollback(self: Box<Self>);

    /// Ends a session that has read: its connection serves the next one at once.
    fn release(self: Box<Self>);
}

/// Ends a transaction: commits what was done, or undoes what failed.
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
