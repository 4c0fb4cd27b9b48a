//! The store of invitations, redemptions, events and request ids.
//!
//! A [`Store`] opens sessions. A session is a [`Repository`], whose operations are in a file for each kind of row, with
//! the statements and the columns of their tables; those on redemptions are in `redemption/ledger/`. The statements are
//! written once for both engines. A session of [`Store::write`] is one transaction: it is durable once
//! [`Repository::commit`] has returned, and is rolled back if it is dropped before.
//!
//! To add a column, add it to the table's [`Table`](homeroom_kit::store::Table) and to the struct that serde reads and
//! writes. To add a kind of row, add a file, and its statements to [`statements`].
//!
//! A writer of an organization's events first calls [`Repository::lock_organizations`], so that the events of an
//! organization are in the order of its changes.

mod audit_entries;
mod by_time;
mod erasures;
mod feed_positions;
mod forgotten_persons;
mod invitation_row;
mod invitations;
mod key_versions;
mod organization_profiles;
#[path = "../redemption/ledger/sql.rs"]
mod redemption_operations;
#[path = "../redemption/ledger/statements.rs"]
mod redemption_statements;
#[path = "../redemption/ledger/writes.rs"]
mod redemption_writes;
mod redemptions;
mod refused_attempts;

use std::sync::Arc;

use homeroom_kit::{
    database::{self, Engine, Url},
    store::{self as kit_store, Schema},
};
use uuid::Uuid;

use crate::SERVICE;

pub use erasures::{Erasure, ErasureState, PersonKnown};
pub use feed_positions::SkippedEvent;
pub use homeroom_kit::database::{Error, OpenError};
pub(crate) use homeroom_kit::store::end;
pub use invitation_row::{InvitationRow, StoredSecret};
pub use invitations::LookUp;
pub use key_versions::{KeyCheck, RotatedSecret, RowLock};
pub use organization_profiles::OrganizationProfile;
pub(crate) use redemptions::organizations_of;
pub use redemptions::{
    Person, Redemption, RedemptionFilter, RedemptionRequest, Resolved, Route, StateChange, UseKey,
    UsesChange,
};

/// The result of a session's method.
pub type Result<T> = std::result::Result<T, Error>;

/// The database of this service.
pub type Store = kit_store::Store<Repository>;

homeroom_kit::repository! {
    /// Every kind of row, on one connection. Its request ids are those of everything but redemptions; their answers
    /// hold no secret.
    pub struct Repository;
}

static SCHEMA: Schema = Schema {
    service: SERVICE,
    migrate_command: "invitations migrate",
    postgres: sqlx::migrate!("migrations/postgres"),
    sqlite: sqlx::migrate!("migrations/sqlite"),
};

/// Returns every statement of this service for an engine, for the test that prepares each.
#[must_use]
pub fn statements(engine: Engine) -> Vec<&'static str> {
    let mut all = vec![
        audit_entries::STATEMENTS,
        erasures::STATEMENTS,
        feed_positions::STATEMENTS,
        forgotten_persons::STATEMENTS,
        invitations::STATEMENTS,
        key_versions::STATEMENTS,
        organization_profiles::STATEMENTS,
        redemption_statements::STATEMENTS,
        refused_attempts::STATEMENTS,
    ];
    if engine == Engine::Postgres {
        all.push(redemption_writes::STATEMENTS);
    }
    let all = all.into_iter().flatten().chain(homeroom_kit::statements());
    all.map(|statement| statement.sql(engine)).collect()
}

/// Returns the upper bound of ids for a page that is listed newest first; for the first page, a text that sorts after
/// every id.
fn before_text(before: Option<Uuid>) -> String {
    before.map_or_else(|| "g".to_owned(), |id| id.to_string())
}

/// Opens the database that `url` names; with `migrate`, brings its schema up to date first.
pub async fn open(
    url: &Url,
    options: database::Options,
    migrate: bool,
) -> std::result::Result<Arc<Store>, OpenError> {
    Store::open(&SCHEMA, url, options, migrate).await
}
