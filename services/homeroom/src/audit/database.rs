//! A database as it was at one moment, on either engine; only read.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use homeroom_kit::database::{Engine, Url};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Database, Executor, PgConnection,
    Postgres, Row as _, Sqlite, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};

/// Whose database it is.
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

    /// A statement that only this service's database answers, and with which its snapshot begins.
    const fn probe(self) -> &'static str {
        match self {
            Self::Membership => "SELECT redemption_id FROM admissions LIMIT 1",
            Self::Invitations => "SELECT redemption_id FROM redemptions LIMIT 1",
        }
    }
}

/// Why nothing could be judged. Says nothing of the URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not answer, or is not the service's.
    #[error(
        "the database of {service} cannot be read; does it answer, is it that service's, and is its schema up to date? {cause}"
    )]
    Open {
        /// Whose database.
        service: &'static str,
        /// What the driver says.
        cause: sqlx::Error,
    },
    /// A statement failed.
    #[error("the database of {service} could not be read to the end: {cause}")]
    Read {
        /// Whose database.
        service: &'static str,
        /// What the driver says.
        cause: sqlx::Error,
    },
}

/// A row, each column as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(Vec<Option<String>>);

impl Row {
    /// The column's text; empty where it is absent.
    pub(crate) fn text(&self, column: usize) -> String {
        self.0.get(column).cloned().flatten().unwrap_or_default()
    }

    /// The column's whole number, if it is one.
    pub(crate) fn number(&self, column: usize) -> Option<i64> {
        self.0.get(column)?.as_ref()?.parse().ok()
    }
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
    /// Connects, and fixes the moment.
    pub(crate) async fn take(url: &Url, service: Service) -> Result<Self, Error> {
        let open = |cause| Error::Open {
            service: service.name(),
            cause,
        };
        let mut held = connect(url).await.map_err(open)?;
        match &mut held {
            Held::Postgres(connection) => {
                // The transaction stays idle while the other snapshots are read; whole tables are
                // joined, which nested loops never do well, however old the statistics.
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
        snapshot
            .rows(service.probe())
            .try_collect::<Vec<_>>()
            .await
            .map_err(|error| match error {
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

    /// Runs a statement of this crate, whose columns are all text. `{bytes}` stands for the
    /// collation that sorts by bytes.
    pub(crate) fn rows(&mut self, sql: &str) -> BoxStream<'_, Result<Row, Error>> {
        let service = self.service.name();
        let rows = match &mut self.held {
            Held::Postgres(connection) => {
                stream::<Postgres>(connection, sql.replace("{bytes}", "\"C\""))
            }
            Held::Sqlite(connection) => {
                stream::<Sqlite>(connection, sql.replace("{bytes}", "BINARY"))
            }
        };
        rows.map_err(move |cause| Error::Read { service, cause })
            .boxed()
    }

    /// The different texts of a statement's first column.
    pub(crate) async fn texts(&mut self, sql: &str) -> Result<HashSet<String>, Error> {
        self.rows(sql).map_ok(|row| row.text(0)).try_collect().await
    }

    /// Ends the transaction; if that fails the server does.
    pub(crate) async fn close(self) {
        let _ = match self.held {
            Held::Postgres(connection) => connection.close().await,
            Held::Sqlite(connection) => connection.close().await,
        };
    }
}

async fn connect(url: &Url) -> Result<Held, sqlx::Error> {
    Ok(match url {
        Url::Postgres(text) => {
            let options: PgConnectOptions = text.parse()?;
            Held::Postgres(options.application_name("homeroom-audit").connect().await?)
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

fn stream<'connection, DB>(
    connection: &'connection mut DB::Connection,
    sql: String,
) -> BoxStream<'connection, Result<Row, sqlx::Error>>
where
    DB: Database,
    &'connection mut DB::Connection: Executor<'connection, Database = DB>,
    for<'row> Option<String>: sqlx::Decode<'row, DB> + sqlx::Type<DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
    DB::Arguments: sqlx::IntoArguments<DB>,
{
    sqlx::query::<DB>(AssertSqlSafe(sql))
        .fetch(connection)
        .map(|row| {
            let row = row?;
            let columns = 0..row.len();
            let values = columns.map(|column| row.try_get::<Option<String>, _>(column));
            Ok(Row(values.collect::<Result<_, _>>()?))
        })
        .boxed()
}
