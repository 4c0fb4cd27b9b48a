use super::*;

async fn pools(folder: &tempfile::TempDir) -> Pools<Sqlite> {
    let url = Url::Sqlite(folder.path().join("test.db"));
    connect_sqlite(&url, Options::default()).await.unwrap()
}

#[test]
fn urls_name_an_engine() {
    let engine = |text| Url::parse(text).map(|url| url.engine());
    assert_eq!(engine("postgres://u:p@h/d"), Ok(Engine::Postgres));
    assert_eq!(engine("postgresql://h/d"), Ok(Engine::Postgres));
    assert_eq!(engine("sqlite:///var/lib/x.db"), Ok(Engine::Sqlite));
    assert_eq!(engine("sqlite://"), Err(UrlError::Malformed));
    assert_eq!(engine("mysql://h/d"), Err(UrlError::Malformed));
    assert_eq!(engine(""), Err(UrlError::Malformed));
    let verified = "postgres://h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem";
    assert_eq!(engine(verified), Ok(Engine::Postgres));
    let unknown = engine("postgres://h/d?sslmode=perhaps");
    assert_eq!(unknown, Err(UrlError::Malformed));
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named_without_its_password() {
    let absent = Url::parse("postgres://user:hunter2@127.0.0.1:1/school").unwrap();
    let options = Options {
        acquire_timeout: std::time::Duration::from_millis(50),
        ..Options::default()
    };
    let silent = connect_postgres(&absent, options).await.unwrap_err();
    assert!(matches!(silent, OpenError::Silent { .. }), "{silent}");
    let text = silent.to_string();
    assert!(text.contains("the PostgreSQL database school at 127.0.0.1:1 does not answer"));
    assert!(
        !text.contains("hunter2") && !text.contains("pool"),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/test.db");
    let url = Url::Sqlite(path.clone());
    let error = connect_sqlite(&url, Options::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::NoFolder { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
}

#[test]
fn debug_shows_no_password() {
    let url = Url::parse("postgres://user:hunter2@host/database").unwrap();
    assert!(!format!("{url:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_is_not_committed_does_not_stand() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let mut session = pools.write().await.unwrap();
    sqlx::query("CREATE TABLE t (n BIGINT PRIMARY KEY)")
        .execute(session.connection())
        .await
        .unwrap();
    session.commit("kit", "test").await.unwrap();

    let mut session = pools.write().await.unwrap();
    sqlx::query("INSERT INTO t VALUES (1)")
        .execute(session.connection())
        .await
        .unwrap();
    drop(session);

    let mut session = pools.read().await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
        .fetch_one(session.connection())
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_session_that_reads_cannot_write_and_settings_hold() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let mut session = pools.read().await.unwrap();
    let refused = sqlx::query("CREATE TABLE t (n BIGINT)")
        .execute(session.connection())
        .await;
    assert!(refused.is_err());

    let mut session = pools.write().await.unwrap();
    for (pragma, expected) in [("foreign_keys", 1_i64), ("synchronous", 2)] {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
        let value: i64 = sqlx::query_scalar(sql)
            .fetch_one(session.connection())
            .await
            .unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(session.connection())
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_dropped_begin_leaves_the_writer_usable() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    for _ in 0..20 {
        let mut begin = Box::pin(pools.write());
        let _unfinished = futures::poll!(&mut begin);
        drop(begin);
    }
    pools
        .write()
        .await
        .unwrap()
        .commit("kit", "test")
        .await
        .unwrap();
    pools.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_unique_violation_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let mut session = pools.write().await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (n BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)")
        .execute(session.connection())
        .await
        .unwrap();
    let failure = sqlx::query("INSERT INTO t VALUES (1)")
        .execute(session.connection())
        .await
        .unwrap_err();
    assert!(is_unique_violation(&failure));
    let error = Error::from(failure);
    assert!(matches!(error, Error::Conflict(_)));
    assert!(error.is_unique_violation());
}

#[tokio::test]
async fn after_a_full_disk_writes_go_on() {
    for rolled_back in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let pools = pools(&folder).await;
        let mut session = pools.write().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (data BLOB)")
            .execute(session.connection())
            .await
            .unwrap();
        session.commit("kit", "test").await.unwrap();

        // Given a connection for which the file may not grow,
        let mut session = pools.write().await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 1")
            .execute(session.connection())
            .await
            .unwrap();
        // when a transaction needs more room, SQLite ends it by itself.
        let full = sqlx::raw_sql("INSERT INTO t VALUES (zeroblob(100000))")
            .execute(session.connection())
            .await;
        assert!(matches!(
            Error::from(full.unwrap_err()),
            Error::Unavailable(_)
        ));
        if rolled_back {
            session.rollback().await;
        } else {
            drop(session);
        }

        // Then the next one finds a connection that writes.
        let mut session = pools.write().await.unwrap();
        sqlx::raw_sql("INSERT INTO t VALUES (zeroblob(100000))")
            .execute(session.connection())
            .await
            .unwrap();
        session.commit("kit", "test").await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_serves_again_only_after_its_transaction_has_ended_in_good_order() {
    #[derive(Debug, Clone, Copy)]
    enum End {
        Commit,
        Rollback,
        Drop,
    }
    for (end, serves_again) in [(End::Commit, 1_i64), (End::Rollback, 1), (End::Drop, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let pools = pools(&folder).await;
        // A temporary table is its connection's own.
        let mut session = pools.write().await.unwrap();
        sqlx::raw_sql("CREATE TEMP TABLE mark (n BIGINT)")
            .execute(session.connection())
            .await
            .unwrap();
        session.commit("kit", "test").await.unwrap();

        let session = pools.write().await.unwrap();
        match end {
            End::Commit => session.commit("kit", "test").await.unwrap(),
            End::Rollback => session.rollback().await,
            End::Drop => drop(session),
        }

        let mut session = pools.write().await.unwrap();
        let marks: i64 = sqlx::query_scalar("SELECT count(*) FROM temp.sqlite_master")
            .fetch_one(session.connection())
            .await
            .unwrap();
        assert_eq!(marks, serves_again, "{end:?}");
    }
}
