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
mod rosters;
mod user_records;

use std::sync::Arc;

use homeroom_kit::{
    database::{Engine, Error, OpenError, Options, Url},
    store::{self as kit_store, Schema},
};

use crate::SERVICE;

pub use crate::admission::ledger::*;
pub(crate) use homeroom_kit::store::end;
pub use join_requests::Waiting;
pub use organizations::InsertOutcome;
pub use user_records::Removal;

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The database of this service.
pub type Store = kit_store::Store<Repository>;

homeroom_kit::repository! {
    /// A session on the database. Every change of an organization first takes its lock
    /// ([`Repository::lock_organization`]) and decides in a later statement (P6).
    pub struct Repository;
}

static SCHEMA: Schema = Schema {
    service: SERVICE,
    migrate_command: "membership migrate",
    postgres: sqlx::migrate!("migrations/postgres"),
    sqlite: sqlx::migrate!("migrations/sqlite"),
};

/// Opens the database that `url` names; with `migrate`, brings its schema up to date first.
pub async fn open(
    url: &Url,
    options: Options,
    migrate: bool,
) -> std::result::Result<Arc<Store>, OpenError> {
    Store::open(&SCHEMA, url, options, migrate).await
}

/// Returns the condition that a column is one of the ids in a parameter ([`homeroom_kit::store::json_ids`]).
fn one_of(on: Engine, column: &str, parameter: &str) -> String {
    let wanted = on.rows(parameter, "wanted");
    format!("{column} IN (SELECT wanted.value->>'id' FROM {wanted})")
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
        rosters::STATEMENTS,
        user_records::STATEMENTS,
    ];
    let all = all.into_iter().flatten().chain(homeroom_kit::statements());
    all.map(|statement| statement.sql(engine)).collect()
}
