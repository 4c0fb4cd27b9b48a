//! A session on the database of either engine: a connection that reads, or a transaction that writes.

use std::str::FromStr;

use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{Postgres, Sqlite};

use super::{
    columns,
    row::Row,
    statement::{Arg, Statement},
    wake::Wake,
};
use crate::database::{self, Engine, Error};

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

/// Runs the method of a statement with its bound values on the session's connection.
macro_rules! on {
    ($session:expr, $statement:expr, $args:expr, $method:ident) => {{
        let sql = $statement.sql($session.engine());
        match &mut $session.held {
            Held::Postgres(held) => {
                let mut query = sqlx::query(sql);
                for arg in $args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Number(number) => query.bind(number),
                        Arg::Flag(flag) => query.bind(flag),
                        Arg::Bytes(bytes) => query.bind(bytes),
                    };
                }
                on!(@$method query, held, of_postgres)
            }
            Held::Sqlite(held) => {
                let mut query = sqlx::query(sql);
                for arg in $args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Number(number) => query.bind(number),
                        Arg::Flag(flag) => query.bind(flag),
                        Arg::Bytes(bytes) => query.bind(bytes),
                    };
                }
                on!(@$method query, held, of_sqlite)
            }
        }
    }};
    (@execute $query:ident, $held:ident, $read:ident) => {
        $query.execute($held.connection()).await?.rows_affected()
    };
    (@fetch_all $query:ident, $held:ident, $read:ident) => {{
        let rows = $query.fetch_all($held.connection()).await?;
        rows.iter().map(Row::$read).collect::<sqlx::Result<Vec<_>>>()?
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
        Ok(on!(self, statement, args, execute))
    }

    /// Returns all rows of a statement.
    pub async fn all<T: DeserializeOwned>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        let rows = on!(self, statement, args, fetch_all).into_iter();
        rows.map(|row| row.read(statement)).collect()
    }

    /// Returns the first row of a statement, if there is one.
    pub async fn first<T: DeserializeOwned>(
        &mut self,
        statement: &'static Statement,
        args: Vec<Arg>,
    ) -> Result<Option<T>, Error> {
        let rows = on!(self, statement, args, fetch_all).into_iter();
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
        match self.held {
            Held::Postgres(held) => held.commit(self.service, transaction).await?,
            Held::Sqlite(held) => held.commit(self.service, transaction).await?,
        }
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
