//! Two databases for one test, on either engine, and the auditor run on them.

#[path = "../../../kit/tests/support/databases.rs"]
#[expect(dead_code, reason = "no test needs all of it")]
mod kit_databases;

use std::process::{Command, Output};

use chrono::TimeDelta;
use homeroom_kit::{
    clock::{Clock as _, SystemClock, micros},
    database::Url,
};
use serde_json::Value;

pub(crate) use homeroom_kit::database::Engine;
use kit_databases::TestDatabase;

/// The service whose database a statement is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum In {
    Membership,
    Invitations,
}

pub(crate) struct Databases {
    pub(crate) membership: TestDatabase,
    pub(crate) invitations: TestDatabase,
}

impl Databases {
    /// Creates two empty databases.
    pub(crate) async fn create(engine: Engine) -> Self {
        Self {
            membership: TestDatabase::empty(engine).await,
            invitations: TestDatabase::empty(engine).await,
        }
    }

    /// Creates the school of `membership.sql` and `invitations.sql`, with one redemption in progress.
    pub(crate) async fn school(engine: Engine) -> Self {
        let databases = Self::create(engine).await;
        let (membership, invitations) = (&databases.membership.url, &databases.invitations.url);
        homeroom_membership::migrate(membership).await.unwrap();
        homeroom_invitations::migrate(invitations).await.unwrap();
        let membership = include_str!("membership.sql");
        databases.run(In::Membership, membership).await;
        let invitations = include_str!("invitations.sql");
        databases.run(In::Invitations, invitations).await;
        databases
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
        let database = match which {
            In::Membership => &self.membership,
            In::Invitations => &self.invitations,
        };
        let unguarded = match database.url {
            Url::Postgres(_) => "SET session_replication_role = replica",
            Url::Sqlite(_) => "PRAGMA foreign_keys = OFF",
        };
        database.run(&format!("{unguarded}; {sql}")).await;
    }

    /// Runs `homeroom audit` on them.
    pub(crate) fn audit(&self, arguments: &[&str]) -> Audited {
        let (membership, invitations) = (self.membership.setting(), self.invitations.setting());
        let urls = ["--membership", &membership, "--invitations", &invitations];
        Audited(homeroom_audit(&[&urls, arguments].concat()))
    }
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
