//! Two databases for one test, on either engine, and the auditor run on them.

use std::process::{Command, Output};

use chrono::TimeDelta;
use homeroom_kit::{
    clock::{Clock as _, SystemClock, micros},
    database::Url,
    random::{Randomness as _, SystemRandomness},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// The variable that names a PostgreSQL database from which others can be created.
const POSTGRES: &str = "HOMEROOM_TEST_DATABASE_URL";

/// The service whose database a statement is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum In {
    Membership,
    Invitations,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine {
    Postgres,
    Sqlite,
}

pub(crate) struct Databases {
    pub(crate) membership: String,
    pub(crate) invitations: String,
    created: Vec<String>,
    _folder: Option<TempDir>,
}

impl Databases {
    /// Creates two empty databases.
    pub(crate) async fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
                Self {
                    membership: url("membership.db"),
                    invitations: url("invitations.db"),
                    created: Vec::new(),
                    _folder: Some(folder),
                }
            }
            Engine::Postgres => {
                let mut bytes = [0; 8];
                SystemRandomness.fill(&mut bytes);
                let created = ["membership", "invitations"].map(|service| {
                    format!("audit_test_{:016x}_{service}", u64::from_be_bytes(bytes))
                });
                let mut connection = administrator().await;
                for name in &created {
                    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
                    connection.execute(create).await.unwrap();
                }
                let url = |name: &str| {
                    let mut url = url::Url::parse(&std::env::var(POSTGRES).unwrap()).unwrap();
                    url.set_path(name);
                    url.to_string()
                };
                Self {
                    membership: url(&created[0]),
                    invitations: url(&created[1]),
                    created: created.into(),
                    _folder: None,
                }
            }
        }
    }

    /// Creates the school of `membership.sql` and `invitations.sql`, with one redemption in progress.
    pub(crate) async fn school(engine: Engine) -> Self {
        let databases = Self::create(engine).await;
        homeroom_membership::migrate(&databases.url(In::Membership))
            .await
            .unwrap();
        homeroom_invitations::migrate(&databases.url(In::Invitations))
            .await
            .unwrap();
        databases
            .run(In::Membership, include_str!("membership.sql"))
            .await;
        databases
            .run(In::Invitations, include_str!("invitations.sql"))
            .await;
        databases
    }

    pub(crate) fn url(&self, which: In) -> Url {
        Url::parse(match which {
            In::Membership => &self.membership,
            In::Invitations => &self.invitations,
        })
        .unwrap()
    }

    /// Runs statements without foreign key checks. `{past}`, `{later}`, `{now}` and `{future}` are times: an hour ago,
    /// half an hour ago, now and in 90 days.
    pub(crate) async fn run(&self, which: In, sql: &str) {
        let now = SystemClock.now();
        let time = |minutes| micros(now + TimeDelta::minutes(minutes)).to_string();
        let sql = sql
            .replace("{past}", &time(-60))
            .replace("{later}", &time(-30))
            .replace("{now}", &time(0))
            .replace("{future}", &time(90 * 24 * 60));
        match self.url(which) {
            Url::Postgres(url) => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let unguarded = "SET session_replication_role = replica";
                connection.execute(unguarded).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            }
            Url::Sqlite(path) => {
                let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(path)
                    .foreign_keys(false)
                    .connect()
                    .await
                    .unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Runs `homeroom audit` on them.
    pub(crate) fn audit(&self, arguments: &[&str]) -> Audited {
        let urls = [
            "--membership",
            &self.membership,
            "--invitations",
            &self.invitations,
        ];
        Audited(homeroom_audit(&[&urls, arguments].concat()))
    }

    /// Drops what was created on a server; files are deleted with their folder.
    pub(crate) async fn end(self) {
        if self.created.is_empty() {
            return;
        }
        let mut connection = administrator().await;
        for name in &self.created {
            let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
            connection.execute(drop).await.unwrap();
        }
    }
}

async fn administrator() -> PgConnection {
    let url = std::env::var(POSTGRES).unwrap_or_else(|_| {
        panic!(
            "set {POSTGRES} to a PostgreSQL URL whose user may create databases, such as \
             postgres://postgres@127.0.0.1:5432/postgres: these tests are not skipped"
        )
    });
    PgConnection::connect(&url).await.unwrap()
}

/// Runs the binary with these arguments.
pub(crate) fn homeroom_audit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_homeroom"))
        .arg("audit")
        .args(arguments)
        .env_remove("MEMBERSHIP_DATABASE_URL")
        .env_remove("INVITATIONS_DATABASE_URL")
        .output()
        .unwrap()
}

/// The output and exit status of the binary.
pub(crate) struct Audited(Output);

impl Audited {
    pub(crate) fn status(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub(crate) fn text(&self) -> String {
        let text = [self.0.stdout.as_slice(), self.0.stderr.as_slice()].concat();
        String::from_utf8(text).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns the ids of the invariants that it reports as broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let json = self.json();
        let invariants = json["invariants"].as_array().unwrap();
        invariants
            .iter()
            .filter(|invariant| invariant["holds"] == false)
            .map(|invariant| invariant["invariant"].as_str().unwrap().to_owned())
            .collect()
    }
}
