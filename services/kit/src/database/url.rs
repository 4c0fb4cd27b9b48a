//! The location of a database, as given by `DATABASE_URL`.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use sqlx::postgres::PgConnectOptions;
use tracing::subscriber::{NoSubscriber, with_default};

use super::Engine;

/// Maximum number of hosts in one URL.
pub const HOSTS_MAX: usize = 8;

/// The parameters of a URL that have an effect.
const FOLLOWED: [&str; 18] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "target_session_attrs",
    "statement-cache-capacity",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
];
/// libpq's other parameters, which can be ignored without making a connection less safe.
const PASSED_OVER: [&str; 17] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "gssencmode",
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "load_balance_hosts",
    "sslcompression",
    "sslsni",
    "sslpassword",
];
/// The accepted values of `target_session_attrs`: both services write in any case.
const SESSIONS_THAT_WRITE: [&str; 3] = ["read-write", "primary", "any"];

/// The location of a database. Its Debug form contains no password.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    /// `postgres://user:password@host/database`, as libpq defines it: one host or several, with `sslmode` and
    /// `sslrootcert`.
    Postgres(String),
    /// `sqlite://path`: a file.
    Sqlite(PathBuf),
}

/// The error for a text that does not name a usable database. It completes the sentence "`DATABASE_URL` …", and
/// contains nothing of the text, where a password may stand anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL of a known engine.
    #[error(
        "must be `postgres://user:password@host:port/database`, with signs such as @ and / in the password \
         percent-encoded, or `sqlite://path`"
    )]
    Malformed,
    /// Its hosts and ports do not match.
    #[error(
        "must name several hosts as `host1:port,host2:port` before the database, or by `host` and `port` with \
         commas after it: none of them empty, and at most {HOSTS_MAX}"
    )]
    Hosts,
    /// It asks for a server that need not accept writes.
    #[error(
        "has a `target_session_attrs` that cannot be met: both services write, so let it be `read-write` or leave it out"
    )]
    Session,
    /// It has a parameter that would have no effect.
    #[error(
        "has an unsupported parameter after its `?`: remove it; the supported parameters are {}",
        FOLLOWED.join(", ")
    )]
    Parameter,
}

impl Url {
    /// Parses `postgres://…`, `postgresql://…` or `sqlite://path`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Hosts::read(text).map(|_| Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(UrlError::Malformed),
        }
    }

    /// Returns the engine that it names.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self {
            Self::Postgres(_) => Engine::Postgres,
            Self::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Returns the location for people: hosts and ports or path, never the password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Postgres(text) => {
                Hosts::read(text).map_or_else(|_| "PostgreSQL".to_owned(), |hosts| hosts.place())
            }
            Self::Sqlite(path) => format!("the SQLite database {}", absolute(path).display()),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(_) => formatter.write_str("postgres://…"),
            Self::Sqlite(path) => write!(formatter, "sqlite://{}", path.display()),
        }
    }
}

/// The servers that a PostgreSQL URL names.
pub struct Hosts {
    /// The connection options of each server, in the URL's order; at least one.
    pub each: Vec<PgConnectOptions>,
    /// The URL's parameters that are ignored.
    pub(super) passed_over: Vec<&'static str>,
}

impl Hosts {
    /// Parses `postgres://user:password@host:port,host:port/database?parameters`.
    pub fn read(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Malformed)?;
        if rest.contains('#') {
            return Err(UrlError::Malformed);
        }
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        // A password with a raw slash or @ in it would be read, and shown, as a host or a database.
        if authority.matches('@').count() > 1 || path.contains('@') {
            return Err(UrlError::Malformed);
        }
        let (user, servers) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let parameters = Parameters::read(query)?;

        let servers: Vec<&str> = servers.split(',').collect();
        let Parameters { hosts, ports, .. } = &parameters;
        let count = servers.len().max(hosts.len());
        let is_named = |host: &str| !host.is_empty() && !host.starts_with(':');
        let named = if hosts.is_empty() {
            servers.iter().all(|host| is_named(host))
        } else {
            servers.len() == 1 && hosts.iter().all(|host| is_named(host))
        };
        let alike = count == 1
            || named
                && !parameters
                    .kept
                    .iter()
                    .any(|one| one.starts_with("hostaddr="));
        if !alike || count > HOSTS_MAX || ports.len() > 1 && ports.len() != count {
            return Err(UrlError::Hosts);
        }

        let mut each = Vec::with_capacity(count);
        for number in 0..count {
            // A single host or port applies to every server.
            let of = |list: &[String]| list.get(number).or(list.first()).cloned();
            let server = servers.get(number).or(servers.first()).unwrap_or(&"");
            let mut query = parameters.kept.clone();
            query.extend(of(hosts).map(|host| format!("host={host}")));
            query.extend(of(ports).map(|port| format!("port={port}")));
            let url = format!("{scheme}://{user}{server}{path}?{}", query.join("&"));
            // sqlx's log messages about a parameter, or a line of .pgpass, contain its value.
            let read = with_default(NoSubscriber::default(), || PgConnectOptions::from_str(&url));
            each.push(read.map_err(|_| UrlError::Malformed)?);
        }
        Ok(Self {
            each,
            passed_over: parameters.passed_over,
        })
    }

    fn place(&self) -> String {
        let database = self.each.first().map_or("", |server| {
            server.get_database().unwrap_or(server.get_username())
        });
        let at: Vec<String> = self.each.iter().map(address).collect();
        format!("the PostgreSQL database {database} at {}", at.join(", "))
    }
}

/// Returns a server's address for people.
fn address(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}

/// The parameters after the `?` of a URL.
#[derive(Default)]
struct Parameters {
    hosts: Vec<String>,
    ports: Vec<String>,
    kept: Vec<String>,
    passed_over: Vec<&'static str>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, UrlError> {
        let mut read = Self::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "host" => read.hosts = list(value),
                "port" => read.ports = list(value),
                "target_session_attrs" if SESSIONS_THAT_WRITE.contains(&value) => {}
                "target_session_attrs" => return Err(UrlError::Session),
                _ if FOLLOWED.contains(&name) || is_option(name) => {
                    read.kept.push(parameter.to_owned());
                }
                _ => {
                    let mut known = PASSED_OVER.into_iter();
                    let known = known.find(|known| *known == name);
                    read.passed_over.push(known.ok_or(UrlError::Parameter)?);
                }
            }
        }
        Ok(read)
    }
}

/// Returns true if a parameter sets something on the server: `options[statement_timeout]`.
fn is_option(name: &str) -> bool {
    name.starts_with("options[") || name.to_ascii_lowercase().starts_with("options%5b")
}

fn list(value: &str) -> Vec<String> {
    let commas = value.replace("%2C", ",").replace("%2c", ",");
    commas.split(',').map(ToOwned::to_owned).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns true if the folder of the file exists.
pub(super) fn has_folder(path: &Path) -> bool {
    absolute(path).parent().is_none_or(Path::is_dir)
}
