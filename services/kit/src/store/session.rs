//! A session on the database of either engine: a connection that reads, or a transaction that writes.

use std::str::FromStr;

use futures::TryFutureExt as _;
use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{Postgres, Sqlite};

use super::{
    columns,
    row::Row,
    statement::{Arg, Statement},
    wake::Wake,
};
use crate::{
    database::{self, Engine, Error},
    trace::{self, SpanKind},
};

#[derive(Deserialize)]
#[serde(transparent)]
struct Flag(#[serde(with = "columns::flag")] bool);

/// A session of one engine.
pub(crate) enum Held {
    Postgres(database::Session<Postgres>),
    Sqlite(database::Session<Sqlite>),
}

/// A session. Nothing that it writes is stored until its commit; if it is dropped, everything is rolled back.
pub struct Session {
    pub(crate) held: Held,
    service: &'static str,
    committed: Wake,
    pub(crate) appended: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.held {
            Held::Postgres(session) => session.fmt(formatter),
            Held::Sqlite(session) => session.fmt(formatter),
        }
    }
}

/// Declares the session of a service, to which the files of its store add their operations.
#[macro_export]
macro_rules! repository {
    ($(#[$doc:meta])* pub struct $name:ident;) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name($crate::store::Session);

        impl From<$crate::store::Session> for $name {
            fn from(session: $crate::store::Session) -> Self {
                Self(session)
            }
        }

        impl From<$name> for $crate::store::Session {
            fn from(repository: $name) -> Self {
                repository.0
            }
        }

        impl $name {
            /// Returns the outbox, whose events are written with the change that they describe (R11).
            pub fn outbox(&mut self) -> &mut $crate::store::Session {
                &mut self.0
            }

            /// Returns the request ids (R3).
            pub fn request_ids(&mut self) -> &mut $crate::store::Session {
                &mut self.0
            }

            /// Commits what was written. `transaction` names its purpose and its failpoint.
            pub async fn commit(self, transaction: &'static str) -> std::result::Result<(), $crate::database::Error> {
                self.0.commit(transaction).await
            }

            /// Rolls back what was written, before the connection serves another session.
            pub async fn rollback(self) {
                self.0.rollback().await;
            }

            /// Ends a session that has only read: its connection serves the next one at once.
            pub fn release(self) {
                self.0.release();
            }
        }
    };
}

/// Binds the values of a statement.
macro_rules! query {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query($sql);
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Number(number) => query.bind(number),
                Arg::Flag(flag) => query.bind(flag),
                Arg::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

impl Session {
    pub(super) const fn new(held: Held, service: &'static str, committed: Wake) -> Self {
        Self {
            held,
            service,
            committed,
            appended: false,
        }
    }

    /// Returns the engine.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self.held {
            Held::Postgres(_) => Engine::Postgres,
            Held::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Runs a statement and returns the number of rows that it wrote.
    pub async fn run(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<u64, Error> {
        let engine = self.engine();
        let sql = statement.sql(engine);
        let written = async {
            Ok(match &mut self.held {
                Held::Postgres(held) => {
                    let query = query!(sql, args).execute(held.connection());
                    query.await?.rows_affected()
                }
                Held::Sqlite(held) => {
                    let query = query!(sql, args).execute(held.connection());
                    query.await?.rows_affected()
                }
            })
        };
        traced(engine, statement.name(), written).await
    }

    async fn rows(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, Error> {
        let engine = self.engine();
        let sql = statement.sql(engine);
        let read = async {
            let rows: sqlx::Result<Vec<Row>> = match &mut self.held {
                Held::Postgres(held) => {
                    let rows = query!(sql, args).fetch_all(held.connection()).await?;
                    rows.iter().map(Row::of_postgres).collect()
                }
                Held::Sqlite(held) => {
                    let rows = query!(sql, args).fetch_all(held.connection()).await?;
                    rows.iter().map(Row::of_sqlite).collect()
                }
            };
            Ok(rows?)
        };
        traced(engine, statement.name(), read).await
    }

    /// Returns all rows of a statement.
    pub async fn all<T: DeserializeOwned>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.rows(statement, args).await?.into_iter();
        rows.map(|row| row.read(statement)).collect()
    }

    /// Returns the first row of a statement, if there is one.
    pub async fn first<T: DeserializeOwned>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Option<T>, Error> {
        let rows = self.rows(statement, args).await?.into_iter();
        rows.map(|row| row.read(statement)).next().transpose()
    }

    /// Returns the one row of a statement that always has one.
    pub async fn one<T: DeserializeOwned>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<T, Error> {
        let row = self.first(statement, args).await?;
        row.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Returns the truth that a statement selects.
    pub async fn flag(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<bool, Error> {
        let Flag(flag) = self.one(statement, args).await?;
        Ok(flag)
    }

    /// Returns the ids in the one column of a statement.
    pub async fn ids<T: FromStr>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        let ids: Vec<String> = self.all(statement, args).await?;
        let parse = |id: String| {
            id.parse()
                .map_err(|_| Error::corrupt("an id does not parse"))
        };
        ids.into_iter().map(parse).collect()
    }

    /// Commits what was written, and wakes the readers of events. `transaction` names its purpose and its failpoint.
    pub async fn commit(self, transaction: &'static str) -> Result<(), Error> {
        let engine = self.engine();
        let (held, service) = (self.held, self.service);
        let committing = async move {
            match held {
                Held::Postgres(held) => held.commit(service, transaction).await,
                Held::Sqlite(held) => held.commit(service, transaction).await,
            }
        };
        traced(engine, "COMMIT", committing).await?;
        if self.appended {
            self.committed.notify();
        }
        Ok(())
    }

    /// Rolls back what was written, before the connection serves another session.
    pub async fn rollback(self) {
        match self.held {
            Held::Postgres(held) => held.rollback().await,
            Held::Sqlite(held) => held.rollback().await,
        }
    }

    /// Ends a session that has only read: its connection serves the next one at once.
    pub fn release(self) {
        match self.held {
            Held::Postgres(held) => held.release(),
            Held::Sqlite(held) => held.release(),
        }
    }
}

/// Runs work on a database as a span of the current trace.
async fn traced<T>(
    engine: Engine,
    name: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let attributes = [
        ("db.system.name", engine.name()),
        ("db.query.summary", name),
    ];
    let work = work.inspect_err(|error| trace::failed(error.kind()));
    trace::span(SpanKind::Client, name, &attributes, work).await
}

/// Ends a transaction: commits it if `done` is a success, otherwise rolls it back. `transaction` names its purpose and
/// its failpoint.
pub async fn end<T, E: From<Error>>(
    session: impl Into<Session>,
    transaction: &'static str,
    done: Result<T, E>,
) -> Result<T, E> {
    let session = session.into();
    match done {
        Ok(_) => session.commit(transaction).await?,
        Err(_) => session.rollback().await,
    }
    done
}
