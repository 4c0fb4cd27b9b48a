//! A read-only snapshot of a database, on either engine.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use homeroom_kit::database::{Engine, Hosts, Url, UrlError};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow, PgConnection, Postgres, Sqlite,
    SqliteConnection,
    postgres::{PgConnectOptions, PgRow},
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::parts::expand;

/// The service that owns the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Membership,
    Invitations,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Invitations => "invitations",
        }
    }

    /// Returns a statement that works only on this service's database, and that begins its
    /// snapshot.
    const fn probe(self) -> &'static str {
        match self {
            Self::Membership => "SELECT redemption_id FROM admissions LIMIT 1",
            Self::Invitations => "SELECT redemption_id FROM redemptions LIMIT 1",
        }
    }
}

/// The reason why nothing could be checked. It does not contain the URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, or is not the service's.
    #[error(
        "the database of {service} cannot be read; does it answer, is it that service's, and is its schema up to date? {cause}"
    )]
    Open {
        /// The name of the service.
        service: &'static str,
        /// The driver's error.
        cause: sqlx::Error,
    },
    /// A statement failed.
    #[error("the database of {service} could not be read to the end: {cause}")]
    Read {
        /// The name of the service.
        service: &'static str,
        /// The driver's error.
        cause: sqlx::Error,
    },
}

/// A row that either engine can return.
pub(crate) trait OfEither:
    for<'row> FromRow<'row, PgRow> + for<'row> FromRow<'row, SqliteRow> + Send + Unpin
{
}

impl<T> OfEither for T where
    T: for<'row> FromRow<'row, PgRow> + for<'row> FromRow<'row, SqliteRow> + Send + Unpin
{
}

enum Held {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// A read-only transaction.
pub(crate) struct Snapshot {
    service: Service,
    held: Held,
}

impl Snapshot {
    /// Connects and begins the snapshot.
    pub(crate) async fn take(url: &Url, service: Service) -> Result<Self, Error> {
        let open = |cause| Error::Open {
            service: service.name(),
            cause,
        };
        let mut held = connect(url).await.map_err(open)?;
        match &mut held {
            Held::Postgres(connection) => {
                // The transaction stays idle while the other snapshots are read. Joins of whole
                // tables are never fast as nested loops, which old statistics might choose.
                sqlx::raw_sql(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = 0; \
                     SET LOCAL enable_nestloop = off; \
                     SET LOCAL idle_in_transaction_session_timeout = 0",
                )
                .execute(connection)
                .await
                .map_err(open)?;
            }
            Held::Sqlite(connection) => {
                sqlx::raw_sql("BEGIN")
                    .execute(connection)
                    .await
                    .map_err(open)?;
            }
        }
        let mut snapshot = Self { service, held };
        let probed = snapshot.texts(service.probe()).await;
        probed.map_err(|error| match error {
            Error::Read { cause, .. } | Error::Open { cause, .. } => open(cause),
        })?;
        Ok(snapshot)
    }

    pub(crate) const fn engine(&self) -> Engine {
        match self.held {
            Held::Postgres(_) => Engine::Postgres,
            Held::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Runs a statement of this crate, with its parts ([`expand`]). `{bytes}` stands for the collation that sorts by
    /// bytes.
    pub(crate) fn rows<'stream, T: OfEither + 'stream>(
        &'stream mut self,
        sql: &str,
    ) -> BoxStream<'stream, Result<T, Error>> {
        let sql = expand(sql);
        let service = self.service.name();
        let rows = match &mut self.held {
            Held::Postgres(connection) => {
                let sql = AssertSqlSafe(sql.replace("{bytes}", "\"C\""));
                sqlx::query_as::<Postgres, T>(sql).fetch(connection)
            }
            Held::Sqlite(connection) => {
                let sql = AssertSqlSafe(sql.replace("{bytes}", "BINARY"));
                sqlx::query_as::<Sqlite, T>(sql).fetch(connection)
            }
        };
        rows.map_err(move |cause| Error::Read { service, cause })
            .boxed()
    }

    /// Returns the distinct texts of a statement's first column.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<HashSet<String>, Error> {
        let texts = self.rows(sql).map_ok(|(text,): (String,)| text);
        texts.try_collect().await
    }

    /// Ends the transaction; if that fails, the server ends it.
    pub(crate) async fn close(self) {
        let _ = match self.held {
            Held::Postgres(connection) => connection.close().await,
            Held::Sqlite(connection) => connection.close().await,
        };
    }
}

/// Connects to a server that answers: PgBouncer takes connections without one, too.
async fn answering(server: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = server.connect().await?;
    connection.ping().await?;
    Ok(connection)
}

async fn connect(url: &Url) -> Result<Held, sqlx::Error> {
    Ok(match url {
        Url::Postgres(text) => {
            let hosts = Hosts::read(text).map_err(sqlx::Error::config)?;
            let mut answered = Err(sqlx::Error::config(UrlError::Hosts));
            for server in hosts.each {
                // PgBouncer refuses float digits, and no number is a float.
                let server = server.extra_float_digits(None);
                let server = server.application_name("homeroom-audit");
                answered = answering(&server).await;
                if answered.is_ok() {
                    break;
                }
            }
            Held::Postgres(answered?)
        }
        Url::Sqlite(path) => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(false)
                .read_only(true);
            Held::Sqlite(options.connect().await?)
        }
    })
}
