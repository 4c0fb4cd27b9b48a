//! The statements of every kind of row, written once and compiled for each engine against [`Db`]. Parts that must
//! differ are in the engine's own file.

mod audit_entries;
mod by_time;
mod erasures;
mod feed_positions;
mod invitation_row;
mod invitations;
mod key_versions;
mod organization_profiles;
#[path = "../../redemption/ledger/sql_row.rs"]
mod redemption_row;
#[path = "../../redemption/ledger/statements.rs"]
mod redemption_statements;
#[path = "../../redemption/ledger/sql.rs"]
mod redemptions;
mod refused_attempts;

use async_trait::async_trait;
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{
    database::{OpenError, Options, Session, Url},
    events::Wake,
    outbox::Outbox,
    request_ids::RequestIds,
    store::{Service, SqlStore},
};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

pub(super) use redemption_statements::{
    change_states, change_uses, insert_redemptions, note_requests, uses_of_person,
};

use super::{Db, MIGRATOR, connect, writes};
use crate::{
    SERVICE,
    store::{Error, Repository, Result},
};

type Connection = <Db as sqlx::Database>::Connection;

/// Every kind of row on one session.
#[derive(Debug)]
pub(crate) struct SqlRepository {
    session: Session<Db>,
    /// Notified once events are committed.
    committed: Wake,
    appended: bool,
}

impl SqlRepository {
    /// Returns the connection to run statements on.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.session.connection()
    }
}

/// Opens the database that `url` names.
pub(crate) async fn open(
    url: &Url,
    options: Options,
) -> std::result::Result<SqlStore<Db, dyn Repository>, OpenError> {
    let service: Service<Db, dyn Repository> = Service {
        name: SERVICE,
        migrator: &MIGRATOR,
        migrate_command: "invitations migrate",
        rows: |session, committed| {
            Box::new(SqlRepository {
                session,
                committed,
                appended: false,
            })
        },
    };
    Ok(SqlStore::new(service, connect(url, options).await?))
}

/// Returns every statement of this service, for the test that prepares each.
#[must_use]
pub fn statements() -> Vec<&'static str> {
    [
        invitations::STATEMENTS,
        key_versions::STATEMENTS,
        organization_profiles::STATEMENTS,
        redemption_statements::STATEMENTS,
        writes::STATEMENTS,
        erasures::STATEMENTS,
        erasures::LOGS,
        feed_positions::STATEMENTS,
        refused_attempts::STATEMENTS,
        audit_entries::STATEMENTS,
    ]
    .concat()
}

#[async_trait]
impl Repository for SqlRepository {
    fn outbox(&mut self) -> &mut dyn Outbox {
        self.appended = true;
        &mut self.session
    }

    fn request_ids(&mut self) -> &mut dyn RequestIds {
        self.connection()
    }

    async fn commit(self: Box<Self>, transaction: &'static str) -> Result<()> {
        let Self {
            session,
            committed,
            appended,
        } = *self;
        session.commit(SERVICE, transaction).await?;
        if appended {
            committed.notify();
        }
        Ok(())
    }

    async fn rollback(self: Box<Self>) {
        self.session.rollback().await;
    }

    fn release(self: Box<Self>) {
        self.session.release();
    }
}

/// Returns the error for a stored value that this version cannot read.
fn corrupt(what: &'static str) -> Error {
    Error::corrupt(what)
}

/// Parses a stored organization id.
fn organization_id(text: &str) -> Result<OrganizationId> {
    OrganizationId::parse(text).map_err(|_| corrupt("an organization id does not parse"))
}

/// Parses a stored user id.
fn user_id(text: &str) -> Result<UserId> {
    UserId::parse(text).map_err(|_| corrupt("a user id does not parse"))
}

/// Returns the organization or class of a row.
fn place_of(row: &<Db as sqlx::Database>::Row) -> Result<Place> {
    by_time::place(row.try_get("organization_id")?, row.try_get("class_id")?)?
        .ok_or_else(|| corrupt("an organization id does not parse"))
}

/// Returns rows as JSON text for `json_rows!`.
fn rows_json(rows: impl IntoIterator<Item = Value>) -> String {
    Value::Array(rows.into_iter().collect()).to_string()
}

/// Returns ids as JSON text for the statements that read many rows.
fn ids_json<I: ToString>(ids: impl IntoIterator<Item = I>) -> String {
    rows_json(ids.into_iter().map(|id| json!({"id": id.to_string()})))
}

/// Returns the upper bound of ids for a page that is listed newest first; for the first page, a text that sorts after
/// every id.
fn before_text(before: Option<Uuid>) -> String {
    before.map_or_else(|| "g".to_owned(), |id| id.to_string())
}

/// Returns bytes as hexadecimal text for `from_hex!`.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
