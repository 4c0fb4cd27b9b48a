//! Statements: the SQL text of each engine, from one function for both, and the values that they bind.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use homeroom_api::ids::{ClassId, OrganizationId, UserId};
use serde::Serialize;
use uuid::Uuid;

use crate::{clock::micros, database::Engine};

/// A statement. Its text is made once for each engine.
#[derive(Debug)]
pub struct Statement {
    name: &'static str,
    text: fn(Engine) -> String,
    postgres: OnceLock<String>,
    sqlite: OnceLock<String>,
}

impl Statement {
    /// Returns a statement; `name` is for messages.
    #[must_use]
    pub const fn new(name: &'static str, text: fn(Engine) -> String) -> Self {
        Self {
            name,
            text,
            postgres: OnceLock::new(),
            sqlite: OnceLock::new(),
        }
    }

    /// Returns the text for an engine.
    pub fn sql(&'static self, engine: Engine) -> &'static str {
        let text = match engine {
            Engine::Postgres => &self.postgres,
            Engine::Sqlite => &self.sqlite,
        };
        text.get_or_init(|| (self.text)(engine))
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }
}

/// Declares a file's statements, and `STATEMENTS`, the list of all of them, for the test that prepares each on both
/// engines. A statement that differs between the engines is a function of the engine: `NAME(on) = format!(…)`.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident $(($on:ident))? = $text:expr;)+) => {
        $($(#[$doc])* pub(super) static $name: $crate::store::Statement = $crate::store::Statement::new(
            concat!(module_path!(), "::", stringify!($name)),
            |_engine| {
                $(let $on = _engine;)?
                String::from($text)
            },
        );)+

        pub(crate) static STATEMENTS: &[&$crate::store::Statement] = &[$(&$name),+];
    };
}

impl Engine {
    /// Returns the rows of a JSON array that is bound as a parameter, in a column `value` of the table `name`.
    ///
    /// PostgreSQL estimates 100 rows for `jsonb_array_elements` whatever the array holds, and prefers to read a whole
    /// table over looking up 100 rows. It estimates that a LIMIT of unknown value keeps a tenth of the rows: with two
    /// of them, which limit nothing, it estimates one row, looks each row up by an index, and keeps the plan.
    #[must_use]
    pub fn rows(self, parameter: &str, name: &str) -> String {
        match self {
            Self::Postgres => format!(
                "(SELECT value FROM (SELECT value FROM jsonb_array_elements({parameter}::jsonb) \
                 LIMIT (SELECT NULL::bigint)) AS tenth LIMIT (SELECT NULL::bigint)) AS {name}"
            ),
            Self::Sqlite => format!("json_each({parameter}) AS {name}"),
        }
    }

    /// Returns the bytes of a hexadecimal text.
    #[must_use]
    pub fn bytes(self, text: &str) -> String {
        match self {
            Self::Postgres => format!("decode({text}, 'hex')"),
            Self::Sqlite => format!("unhex({text})"),
        }
    }

    /// Returns a JSON object of names and values as text.
    #[must_use]
    pub fn object(self, pairs: &[String]) -> String {
        let function = match self {
            Self::Postgres => "json_build_object",
            Self::Sqlite => "json_object",
        };
        format!("CAST({function}({}) AS TEXT)", pairs.join(", "))
    }

    /// Locks the rows that a statement selects. SQLite has one writing transaction and needs no locks.
    #[must_use]
    pub const fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE",
            Self::Sqlite => "",
        }
    }

    /// Locks the rows that a statement selects, skipping those that another transaction has locked.
    #[must_use]
    pub const fn skip_locked(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }
}

/// A value that a statement binds.
#[derive(Debug, Clone)]
pub enum Arg {
    /// A text, or NULL.
    Text(Option<String>),
    /// A number, or NULL. Times are microseconds since the epoch.
    Number(Option<i64>),
    /// True or false.
    Flag(bool),
    /// Bytes, or NULL.
    Bytes(Option<Vec<u8>>),
}

/// Returns the values that a statement binds, in order.
#[macro_export]
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        vec![$($crate::store::Arg::from($arg)),*]
    };
}

/// Returns rows as one JSON array, for [`Engine::rows`].
pub fn json_rows<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Arg {
    let rows = rows.into_iter().map(|row| serde_json::json!(row));
    Arg::from(serde_json::Value::Array(rows.collect()).to_string())
}

/// Returns ids as one JSON array of rows with an `id`.
pub fn json_ids<T: ToString>(ids: impl IntoIterator<Item = T>) -> Arg {
    json_rows(
        ids.into_iter()
            .map(|id| serde_json::json!({ "id": id.to_string() })),
    )
}

impl Arg {
    /// Returns true for rows of which there are none.
    #[must_use]
    pub fn is_no_rows(&self) -> bool {
        matches!(self, Self::Text(Some(rows)) if rows == "[]")
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $arg:expr;)+) => {
        $(impl From<$type> for Arg {
            fn from($value: $type) -> Self {
                $arg
            }
        })+
    };
}

from! {
    String: text => Self::Text(Some(text));
    &String: text => Self::from(text.as_str());
    &str: text => Self::Text(Some(text.to_owned()));
    &OrganizationId: id => Self::from(id.as_str());
    &ClassId: id => Self::from(id.as_str());
    &UserId: id => Self::from(id.as_str());
    Option<&OrganizationId>: id => Self::from(id.map_or("", OrganizationId::as_str));
    Option<&ClassId>: id => Self::from(id.map_or("", ClassId::as_str));
    Option<&UserId>: id => Self::from(id.map_or("", UserId::as_str));
    Option<&str>: text => Self::from(text.unwrap_or_default());
    Uuid: id => Self::from(id.to_string());
    Option<Uuid>: id => Self::from(id.map(|id| id.to_string()).unwrap_or_default());
    i64: number => Self::Number(Some(number));
    u32: number => Self::from(i64::from(number));
    usize: number => Self::from(i64::try_from(number).unwrap_or(i64::MAX));
    DateTime<Utc>: time => Self::from(micros(time));
    bool: flag => Self::Flag(flag);
    &[u8]: bytes => Self::Bytes(Some(bytes.to_vec()));
}
