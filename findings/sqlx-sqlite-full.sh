#!/usr/bin/env bash
# sqlx with SQLite: after one full disk a pooled connection answers Ok to every
# commit and stores nothing.
#
# Guessed: a transaction that failed is over, and the pool's connection is as
#   new, or gone.
# Happens: SQLite ends the transaction by itself on SQLITE_FULL, so that sqlx's
#   ROLLBACK fails ("no transaction is active") and sqlx goes on counting one
#   open transaction. From then on begin_with() is refused and begin() makes a
#   savepoint. The first rollback leaves that savepoint open, and every commit
#   after it commits within it: Ok to the caller, seen by nobody else, and gone
#   when the connection closes. Statements outside of transactions as well.
# Versions: sqlx 0.9.0 (libsqlite3-sys 0.37, bundled), Rust 2024 edition.
# Matters: the embedded database of a service has one writer, which lives as
#   long as the process: a disk that was full for a moment costs everything
#   that is answered until the next start. Close a connection whose rollback
#   failed.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

recorded='the disk is full: (code: 13) database or disk is full
rollback: (code: 1) cannot rollback - no transaction is active
there is space again
begin_with("BEGIN IMMEDIATE"): attempted to call begin_with at non-zero transaction depth
insert 1, commit: Ok; others see 1 row
insert 2, rollback: Ok; others see 1 row
insert 3, commit: Ok; others see 1 row
insert 4, commit: Ok; others see 1 row
insert 5, outside of a transaction: Ok; others see 1 row
closed and opened again: 1 row'

mkdir "$scratch/src"
cat >"$scratch/Cargo.toml" <<'TOML'
[package]
name = "full"
version = "0.0.0"
edition = "2024"

[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["runtime-tokio", "sqlite"] }
tokio = { version = "=1.54.1", features = ["macros", "rt-multi-thread"] }

[profile.dev]
debug = 0
TOML
cat >"$scratch/src/main.rs" <<'RUST'
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Executor, Row};

async fn rows(pool: &SqlitePool) -> String {
    let row = pool.fetch_one("select count(*) from class").await.unwrap();
    match row.get::<i64, _>(0) {
        1 => "1 row".into(),
        many => format!("{many} rows"),
    }
}

fn told(error: sqlx::Error) -> String {
    let text = error.to_string();
    text.trim_start_matches("error returned from database: ").into()
}

#[tokio::main]
async fn main() {
    let file = SqliteConnectOptions::new()
        .filename(std::env::args().nth(1).unwrap())
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let one = || SqlitePoolOptions::new().max_connections(1);
    let writer = one().connect_with(file.clone()).await.unwrap();
    let others = one().connect_with(file.clone()).await.unwrap();
    writer.execute("create table class (id integer primary key, about blob)").await.unwrap();

    // A limit on the file's pages stands for the disk.
    let pages: i64 = writer.fetch_one("pragma page_count").await.unwrap().get(0);
    writer.execute(AssertSqlSafe(format!("pragma max_page_count = {}", pages + 2))).await.unwrap();
    let mut transaction = writer.begin().await.unwrap();
    let full = transaction.execute("insert into class (about) values (zeroblob(1000000))").await;
    println!("the disk is full: {}", told(full.unwrap_err()));
    println!("rollback: {}", told(transaction.rollback().await.unwrap_err()));
    writer.execute("pragma max_page_count = 1000000").await.unwrap();
    println!("there is space again");

    let immediate = writer.begin_with("BEGIN IMMEDIATE").await.map(|_| ());
    println!("begin_with(\"BEGIN IMMEDIATE\"): {}", immediate.map_or_else(told, |()| "Ok".into()));
    for (id, end) in [(1, "commit"), (2, "rollback"), (3, "commit"), (4, "commit")] {
        let mut transaction = writer.begin().await.unwrap();
        let insert = sqlx::query("insert into class (id) values (?)").bind(id);
        insert.execute(&mut *transaction).await.unwrap();
        let ended = if end == "commit" { transaction.commit().await } else { transaction.rollback().await };
        let ended = ended.map_or_else(told, |()| "Ok".into());
        println!("insert {id}, {end}: {ended}; others see {}", rows(&others).await);
    }
    writer.execute("insert into class (id) values (5)").await.unwrap();
    println!("insert 5, outside of a transaction: Ok; others see {}", rows(&others).await);
    writer.close().await;
    others.close().await;
    println!("closed and opened again: {}", rows(&one().connect_with(file).await.unwrap()).await);
}
RUST

cd "$scratch"
unset CARGO_TARGET_DIR
cargo build --quiet >&2
seen=$(timeout 60 cargo run --quiet -- "$scratch/school.db") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
