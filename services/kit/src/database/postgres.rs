//! Connections to PostgreSQL: the choice of the server, the settings of a session, and the requirements on the server.

use std::time::Duration;

use log::LevelFilter;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Postgres, Row as _,
    SqlSafeStr as _, SqlStr, postgres::PgConnectOptions,
};
use tokio::time::timeout;

use super::{
    Pools, Url,
    connect::{Options, pool_options, wrong_engine},
    open::OpenError,
    ready::Ready,
    refuse_read_only,
    url::{Hosts, UrlError},
};

/// The pause before a read-only server is connected to again, in milliseconds.
const READ_ONLY_PAUSE_MILLIS: u64 = 500;
/// Number of checks if a connection changes its session on the server. Other users of the same pooler may hide a change
/// once.
const SESSION_ROUNDS: usize = 5;
/// The query for the server's properties.
const SERVER: &str = "SELECT current_setting('server_encoding'), current_setting('fsync'), \
                      current_setting('full_page_writes'), current_setting('synchronous_commit')";
/// The settings of [`SERVER`], from its second column on, without which a confirmed change may be lost if the machine
/// fails.
const DURABILITY: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];
/// The only encoding that can store every name.
const ENCODING: &str = "UTF8";

/// Connects to PostgreSQL. Fails if it does not answer, accepts no writes, cannot store every text, or if its sessions
/// are shared with other processes.
pub async fn connect_postgres(url: &Url, options: Options) -> Result<Pools<Postgres>, OpenError> {
    let Url::Postgres(text) = url else {
        return Err(wrong_engine(url));
    };
    let place = url.place();
    let failed = |error: sqlx::Error| OpenError::new(&place, error);
    let hosts = Hosts::read(text).map_err(|error| failed(sqlx::Error::config(error)))?;
    if !hosts.passed_over.is_empty() {
        let parameters = hosts.passed_over.join(", ");
        tracing::warn!(%parameters, "parameters of DATABASE_URL are ignored");
    }
    let servers = hosts.each.into_iter().map(|server| {
        server
            .application_name(&options.application_name)
            // The statement that commits contains what it writes (ADR 0003), which must not be logged.
            .log_slow_statements(LevelFilter::Off, Duration::MAX)
            // PgBouncer refuses this setting, and no number here is a float.
            .extra_float_digits(None)
    });
    let servers: Vec<PgConnectOptions> = servers.collect();
    let Some(first) = servers.first().cloned() else {
        return Err(failed(sqlx::Error::config(UrlError::Hosts)));
    };
    // The servers share the time limit, so that all of them can be tried.
    let share = u32::try_from(servers.len()).map_or(options.acquire_timeout, |count| {
        options.acquire_timeout / count
    });
    let prepare = AssertSqlSafe(prepare(&options)).into_sql_str();
    let pool = pool_options(&options, options.connections_max)
        .acquire_timeout(share)
        .after_connect({
            let prepare = prepare.clone();
            move |connection, _| {
                let prepare = prepare.clone();
                Box::pin(async move {
                    let prepared = refuse_read_only(connection, prepare).await;
                    if prepared.is_err() {
                        // The pool connects again at once, for each caller that waits.
                        tokio::time::sleep(Duration::from_millis(READ_ONLY_PAUSE_MILLIS)).await;
                    }
                    prepared
                })
            }
        })
        .connect_lazy_with(first);
    let ready = Ready::new(pool, servers.clone(), options.acquire_timeout);
    match ready.take().await {
        Ok(lease) => ready.give_back(lease),
        Err(error) => {
            // The pool retries, and does not report why no connection could be used.
            let asked = timeout(options.acquire_timeout, refusal(&servers, &prepare)).await;
            return Err(failed(asked.ok().flatten().unwrap_or(error)));
        }
    }
    let server = ready.pool.connect_options();
    let asked = timeout(options.acquire_timeout, Server::ask(&server)).await;
    let asked = asked.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    asked.map_err(failed)?.judge(&place)?;
    Ok(Pools {
        readers: ready.clone(),
        writers: ready,
        place,
        file: None,
    })
}

/// Returns the statements that prepare a new connection; the last tells if the connection is read-only.
///
/// They are sent once the connection exists, and not with its startup, because PgBouncer does not pass `options` on.
fn prepare(options: &Options) -> String {
    let lock = options.lock_timeout.as_millis();
    let statement = options.statement_timeout.as_millis();
    // A statement is planned once for each connection, perhaps while its tables are empty. So the plan must suit large
    // tables too: by indexes, row by row.
    format!(
        "SET lock_timeout = {lock}; SET statement_timeout = {statement}; \
         SET idle_in_transaction_session_timeout = {statement}; \
         SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
         SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SHOW transaction_read_only"
    )
}

/// Returns why no connection to any of the servers can be used, as far as one tells.
async fn refusal(servers: &[PgConnectOptions], prepare: &SqlStr) -> Option<sqlx::Error> {
    for server in servers {
        if let Ok(mut connection) = server.connect().await
            && let Err(error) = refuse_read_only(&mut connection, prepare.clone()).await
        {
            return Some(error);
        }
    }
    None
}

/// The properties of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    encoding: String,
    /// The settings of [`DURABILITY`] that are off.
    off: Vec<&'static str>,
    shares_sessions: bool,
}

impl Server {
    async fn ask(server: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut connection = server.connect().await?;
        let row = sqlx::raw_sql(SERVER).fetch_one(&mut connection).await?;
        let mut off = Vec::new();
        for (column, setting) in DURABILITY.into_iter().enumerate() {
            if row.try_get::<&str, _>(column + 1)? == "off" {
                off.push(setting);
            }
        }
        let encoding = row.try_get(0)?;
        let mut other = server.connect().await?;
        let shares_sessions = share_sessions(&mut connection, &mut other).await?;
        drop(connection.close().await);
        drop(other.close().await);
        Ok(Self {
            encoding,
            off,
            shares_sessions,
        })
    }

    /// Refuses a server on which something would fail later, and warns of one that may lose what it has confirmed.
    fn judge(self, place: &str) -> Result<(), OpenError> {
        let place = place.to_owned();
        if self.encoding != ENCODING {
            let encoding = self.encoding;
            return Err(OpenError::Encoding { place, encoding });
        }
        if self.shares_sessions {
            return Err(OpenError::SharedSessions { place });
        }
        if !self.off.is_empty() {
            let off = self.off.join(", ");
            tracing::warn!(
                %place, %off,
                "the database may lose what it has confirmed when its machine fails: switch these settings on"
            );
        }
        Ok(())
    }
}

/// Returns true if the two connections get the server's sessions for one transaction at a time. In that case the second
/// connection's transaction gets the session that the first one just had, and the first gets another.
async fn share_sessions(one: &mut PgConnection, other: &mut PgConnection) -> sqlx::Result<bool> {
    const SESSION: &str = "SELECT pg_backend_pid()::text";
    for _ in 0..SESSION_ROUNDS {
        let before = text(one, SESSION).await?;
        let lent = text(other, "BEGIN; SELECT pg_backend_pid()::text").await?;
        let after = text(one, SESSION).await?;
        sqlx::raw_sql("ROLLBACK").execute(&mut *other).await?;
        if before == lent || before != after {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the single text that the statements return.
async fn text(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<String> {
    sqlx::raw_sql(sql).fetch_one(connection).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::log::Log;

    fn server() -> Server {
        Server {
            encoding: "UTF8".to_owned(),
            off: Vec::new(),
            shares_sessions: false,
        }
    }

    #[test]
    fn f6_only_utf8_keeps_every_name() {
        for encoding in [
            "SQL_ASCII",
            "LATIN1",
            "WIN1252",
            "EUC_JP",
            "KOI8R",
            "MULE_INTERNAL",
        ] {
            let encoding = encoding.to_owned();
            let refused = Server {
                encoding,
                ..server()
            }
            .judge("here")
            .unwrap_err();
            assert!(matches!(refused, OpenError::Encoding { .. }), "{refused}");
        }
        server().judge("here").unwrap();
    }

    #[test]
    fn f5_sessions_that_others_share_are_refused_with_the_reason() {
        let shares_sessions = true;
        let refused = Server {
            shares_sessions,
            ..server()
        }
        .judge("here");
        let said = refused.unwrap_err().to_string();
        assert!(said.starts_with("here lies behind a pooler"), "{said}");
        assert!(said.contains("pool_mode = session"), "{said}");
    }

    #[test]
    fn f8_a_server_that_may_lose_what_it_has_confirmed_is_warned_of() {
        for off in [&DURABILITY[..], &["fsync"], &[]] {
            let (log, listening) = Log::of_this_thread();
            let server = Server {
                off: off.to_vec(),
                ..server()
            };
            server.judge("here").unwrap();
            drop(listening);
            let log = log.text();
            assert_eq!(log.contains("WARN"), !off.is_empty(), "{log}");
            assert!(off.iter().all(|setting| log.contains(setting)), "{log}");
        }
    }
}
