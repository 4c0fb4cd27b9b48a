//! A SQLite file with the kit's tables, for the kit's own tests.

use sqlx::{Sqlite, migrate::Migrator};
use tempfile::TempDir;

use crate::{
    database::{Options, Pools, Url, connect_sqlite},
    store::{AnyPools, Schema, Session, Store},
};

static SCHEMA: Schema = Schema {
    service: "kit",
    migrate_command: "none",
    postgres: Migrator::DEFAULT,
    sqlite: Migrator::DEFAULT,
};

/// A store on [`pools`].
pub(crate) async fn store() -> (Store<Session>, TempDir) {
    let (pools, folder) = pools().await;
    (Store::on(&SCHEMA, AnyPools::Sqlite(pools)), folder)
}

/// As each service's first migration has them.
const TABLES: &str = "
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, position BIGINT UNIQUE, event_id TEXT NOT NULL UNIQUE,
        event_type TEXT NOT NULL, organization_id TEXT NOT NULL, class_id TEXT, subject TEXT NOT NULL,
        actor TEXT NOT NULL, notify TEXT NOT NULL, data TEXT NOT NULL, create_time BIGINT NOT NULL);
    CREATE TABLE request_ids (
        subject TEXT NOT NULL, acting_user TEXT NOT NULL, method TEXT NOT NULL, request_id TEXT NOT NULL,
        body_mac BLOB NOT NULL, response BLOB, create_time BIGINT NOT NULL,
        PRIMARY KEY (subject, acting_user, method, request_id));
    CREATE TABLE pruned_events (
        organization_id TEXT NOT NULL, class_id TEXT NOT NULL, position BIGINT NOT NULL, create_time BIGINT NOT NULL,
        PRIMARY KEY (organization_id, class_id));";

/// The pools; the file goes with the folder.
pub(crate) async fn pools() -> (Pools<Sqlite>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::Sqlite(folder.path().join("test.db"));
    let pools = connect_sqlite(&url, Options::default()).await.unwrap();
    let mut session = pools.write().await.unwrap();
    let made = sqlx::raw_sql(TABLES).execute(session.connection());
    made.await.unwrap();
    session.commit("kit", "test").await.unwrap();
    (pools, folder)
}
