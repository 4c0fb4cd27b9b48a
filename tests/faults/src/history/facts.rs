//! Reads the databases once everything has settled.

use std::collections::{HashMap, HashSet};

use homeroom_kit::database::Url;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

/// The driver's own connection, which bypasses every proxy.
pub(crate) enum Reader {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Reader {
    pub(crate) async fn open(url: &Url) -> Result<Self, sqlx::Error> {
        match url {
            Url::Postgres(url) => {
                let options: PgConnectOptions = url.parse()?;
                Ok(Self::Postgres(options.connect().await?))
            }
            Url::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                Ok(Self::Sqlite(options.connect().await?))
            }
        }
    }

    /// Returns rows in which every column is text.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        macro_rules! rows {
            ($connection:ident) => {{
                let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
                let rows = query.fetch_all($connection).await?;
                let texts = rows.iter().map(|row| {
                    (0..row.len())
                        .map(|column| row.try_get::<Option<String>, _>(column))
                        .map(|text| text.map(Option::unwrap_or_default))
                        .collect()
                });
                texts.collect()
            }};
        }
        match self {
            Self::Postgres(connection) => rows!(connection),
            Self::Sqlite(connection) => rows!(connection),
        }
    }

    /// Runs a statement of the driver.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let query = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Postgres(connection) => sqlx::query(query)
                .execute(connection)
                .await?
                .rows_affected(),
            Self::Sqlite(connection) => sqlx::query(query)
                .execute(connection)
                .await?
                .rows_affected(),
        })
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Postgres(connection) => drop(connection.close().await),
            Self::Sqlite(connection) => drop(connection.close().await),
        }
    }
}

/// A row of `redemptions` in invitations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redeemed {
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) outcome: String,
}

/// The contents of both databases. Ids and resource names have the services' form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// By id.
    pub(crate) redemptions: HashMap<String, Redeemed>,
    /// Membership's answers, by the redemption's id.
    pub(crate) admissions: HashMap<String, String>,
    /// The states, by resource name.
    pub(crate) join_requests: HashMap<String, String>,
    /// The resource names of the members.
    pub(crate) members: HashSet<String>,
}

const PLACE: &str = "'organizations/' || organization_id || CASE WHEN class_id = '' THEN '' ELSE '/classes/' || class_id END";

impl Facts {
    /// Reads both databases.
    pub(crate) async fn read(membership: &Url, invitations: &Url) -> Result<Self, sqlx::Error> {
        let mut facts = Self::default();
        let mut reader = Reader::open(invitations).await?;
        let sql = "SELECT redemption_id, user_id, state, outcome FROM redemptions";
        for row in reader.rows(sql).await? {
            let redeemed = Redeemed {
                user: row[1].clone(),
                state: row[2].clone(),
                outcome: row[3].clone(),
            };
            facts.redemptions.insert(row[0].clone(), redeemed);
        }
        reader.close().await;
        let mut reader = Reader::open(membership).await?;
        let sql = "SELECT redemption_id, outcome FROM admissions";
        let pairs = reader.rows(sql).await?;
        facts.admissions.extend(
            pairs
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone())),
        );
        let sql =
            format!("SELECT {PLACE} || '/joinRequests/' || request_id, state FROM join_requests");
        let pairs = reader.rows(&sql).await?;
        facts.join_requests.extend(
            pairs
                .into_iter()
                .map(|row| (row[0].clone(), row[1].clone())),
        );
        let sql = "SELECT 'organizations/' || organization_id || '/members/' || user_id FROM organization_members \
             UNION ALL SELECT 'organizations/' || organization_id || '/classes/' || class_id || '/members/' || user_id \
             FROM class_members";
        let names = reader.rows(sql).await?;
        facts
            .members
            .extend(names.into_iter().map(|row| row[0].clone()));
        reader.close().await;
        Ok(facts)
    }
}
