use sqlx::migrate::Migrator;

use super::*;
use crate::tests::log::Log;

async fn pools(folder: &tempfile::TempDir) -> Pools<Sqlite> {
    let url = Url::Sqlite(folder.path().join("test.db"));
    connect_sqlite(&url, Options::default()).await.unwrap()
}

type Session = super::Session<Sqlite>;

async fn try_run(session: &mut Session, sql: &'static str) -> Result<(), sqlx::Error> {
    let run = sqlx::raw_sql(sql).execute(session.connection());
    run.await.map(drop)
}

async fn run(session: &mut Session, sql: &'static str) {
    try_run(session, sql).await.unwrap();
}

async fn number(session: &mut Session, sql: &str) -> i64 {
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()));
    query.fetch_one(session.connection()).await.unwrap()
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

/// Returns the addresses of the hosts that a URL names.
fn hosts(text: &str) -> Result<String, UrlError> {
    Hosts::read(text)?;
    let place = Url::Postgres(text.to_owned()).place();
    let (_, at) = place.split_once(" at ").unwrap();
    Ok(at.to_owned())
}

#[test]
fn a_url_may_name_several_hosts_as_libpq_has_it() {
    for (url, expected) in [
        ("postgres://u:p@h/d", "h:5432"),
        ("postgres://u:p@h1:5432,h2:5433/d", "h1:5432, h2:5433"),
        (
            "postgres://u:p%40,@h1,h2:7/d?target_session_attrs=any",
            "h1:5432, h2:7",
        ),
        (
            "postgresql://h1:1,h2:2,h3:3/d?target_session_attrs=read-write",
            "h1:1, h2:2, h3:3",
        ),
        (
            "postgres://u@[::1]:1,[::2]:2/d?target_session_attrs=primary",
            "[::1]:1, [::2]:2",
        ),
        ("postgres:///d?host=h1,h2&port=1,2&user=u", "h1:1, h2:2"),
        ("postgres:///d?host=h1%2Ch2&port=7", "h1:7, h2:7"),
        ("postgres://h1,h2/d?port=1%2c2", "h1:1, h2:2"),
        (
            "postgres:///d?host=%2Frun%2Fpostgresql,h2",
            "/run/postgresql, h2:5432",
        ),
        (
            "postgres://h/d?options[statement_timeout]=5&options=-c%20a%3Db",
            "h:5432",
        ),
    ] {
        assert_eq!(hosts(url).as_deref(), Ok(expected), "{url}");
    }
}

#[test]
fn a_url_whose_meaning_would_be_lost_is_refused_with_the_reason() {
    let many = |count: usize| format!("postgres://{}/d", vec!["h"; count].join(","));
    assert!(hosts(&many(HOSTS_MAX)).is_ok());
    assert_eq!(hosts(&many(HOSTS_MAX + 1)), Err(UrlError::Hosts));
    for (expected, urls) in [
        (
            UrlError::Hosts,
            &[
                "postgres://h1,/d",
                "postgres://,h2/d",
                "postgres://h1:1,:2/d",
                "postgres://h1,h2/d?host=h3",
                "postgres:///d?host=h1,",
                "postgres:///d?host=h1,h2&port=1,2,3",
                "postgres://h1/d?port=1,2",
                "postgres://h1,h2/d?hostaddr=127.0.0.1",
            ][..],
        ),
        (
            UrlError::Session,
            &[
                "postgres://h/d?target_session_attrs=standby",
                "postgres://h1,h2/d?target_session_attrs=prefer-standby",
                "postgres://h1,h2/d?target_session_attrs=read-only",
                "postgres://h/d?target_session_attrs=",
            ],
        ),
        (
            UrlError::Parameter,
            &[
                "postgres://h/d?sslmdoe=verify-full",
                "postgres://h/d?channel_binding=require",
                "postgres://h/d?sslcrl=/etc/crl.pem",
                "postgres://h/d?service=school",
                "postgres://h/d?sslmode=require&pgbouncer=true",
                "postgres://u:p?w@h/d",
            ],
        ),
        (
            UrlError::Malformed,
            &[
                "postgres://h1:x,h2/d",
                "postgres://u:p#w@h/d",
                "postgres://h1,h2:99999/d",
            ],
        ),
    ] {
        for url in urls {
            assert_eq!(hosts(url), Err(expected), "{url}");
            assert_eq!(Url::parse(url), Err(expected), "{url}");
        }
    }
}

#[tokio::test]
async fn f7_no_value_of_a_database_url_is_logged() {
    let parameters = [
        "sslpassword=hunter2",
        "connect_timeout=hunter2",
        "application_name=hunter2&keepalives=hunter2",
        "password=hunter2",
        "sslkey=hunter2&sslcert=hunter2&sslrootcert=hunter2",
        "options=-c%20hunter2%3D1&options[hunter2]=1",
        "dbname=school&load_balance_hosts=hunter2",
        // These are refused.
        "unheard_of=hunter2",
        "hunter2",
        "hunter2=1",
        "sslmode=hunter2",
        "target_session_attrs=hunter2",
        "host=h1,h2,&port=hunter2",
    ];
    let (log, listening) = Log::of_this_thread();
    let mut told = Vec::new();
    for parameter in parameters {
        // Signs that a password has as they are make hosts and databases of its parts.
        for user in [
            "user:hunter2@",
            "",
            "user:p@hunter2/w@",
            "user:p/hunter2@",
            "user:hunter2/p@",
        ] {
            let text = format!("postgres://{user}127.0.0.1:1,127.0.0.1:2/school?{parameter}");
            let url = Url::parse(&text);
            told.push(format!("{url:?}"));
            let options = Options {
                acquire_timeout: std::time::Duration::from_millis(20),
                ..Options::default()
            };
            match url {
                Ok(url) => {
                    let error = connect_postgres(&url, options).await.unwrap_err();
                    told.push(format!("{} {error} {error:?}", url.place()));
                }
                Err(error) => told.push(error.to_string()),
            }
        }
    }
    drop(listening);
    let log = log.text();
    assert!(
        log.contains("sslpassword") && log.contains("are ignored"),
        "{log}"
    );
    for text in [log, told.join("\n")] {
        let lines = text.lines().filter(|line| line.contains("hunter2"));
        assert_eq!(lines.collect::<Vec<_>>(), [""; 0]);
    }
}

#[tokio::test]
async fn f4_only_a_missing_table_or_column_means_that_nobody_has_migrated() {
    for (made, expected) in [
        ("", "has `service migrate` been run?"),
        (
            "CREATE TABLE _sqlx_migrations (version BIGINT)",
            "has `service migrate` been run?",
        ),
        (
            "CREATE VIEW _sqlx_migrations AS SELECT json('{') AS version, x'' AS checksum",
            "cannot be used (malformed JSON)",
        ),
        (
            "CREATE VIEW _sqlx_migrations AS SELECT abs(-9223372036854775808) AS version, x'' AS checksum",
            "cannot be used (integer overflow)",
        ),
        (
            "CREATE VIEW _sqlx_migrations AS SELECT 'one' AS version, x'' AS checksum",
            "cannot be used (",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let pools = pools(&folder).await;
        let pool = &pools.writers.pool;
        sqlx::raw_sql(made).execute(pool).await.unwrap();
        let refused = check_ready(&pools, &Migrator::DEFAULT, "service migrate").await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(expected), "{made}: {said}");
    }
}

#[tokio::test]
async fn f8_a_database_whose_file_is_gone_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let table = "CREATE TABLE _sqlx_migrations (version BIGINT, checksum BLOB)";
    let pool = &pools.writers.pool;
    sqlx::raw_sql(table).execute(pool).await.unwrap();
    let ready = async || check_ready(&pools, &Migrator::DEFAULT, "service migrate").await;
    ready().await.unwrap();
    std::fs::remove_file(folder.path().join("test.db")).unwrap();
    let refused = ready().await.unwrap_err();
    assert!(matches!(refused, OpenError::Unwritable { .. }), "{refused}");
    assert!(
        refused.to_string().contains("test.db: No such file"),
        "{refused}"
    );
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
    run(&mut session, "CREATE TABLE t (n BIGINT PRIMARY KEY)").await;
    session.commit("kit", "test").await.unwrap();

    let mut session = pools.write().await.unwrap();
    run(&mut session, "INSERT INTO t VALUES (1)").await;
    drop(session);

    let mut session = pools.read().await.unwrap();
    let count = number(&mut session, "SELECT count(*) FROM t").await;
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_session_that_reads_cannot_write_and_settings_hold() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let mut session = pools.read().await.unwrap();
    let refused = try_run(&mut session, "CREATE TABLE t (n BIGINT)").await;
    assert!(refused.is_err());

    let mut session = pools.write().await.unwrap();
    for (pragma, expected) in [("foreign_keys", 1_i64), ("synchronous", 2)] {
        let value = number(&mut session, &format!("PRAGMA {pragma}")).await;
        assert_eq!(value, expected, "{pragma}");
    }
    let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
    let mode = mode.fetch_one(session.connection()).await;
    assert_eq!(mode.unwrap(), "wal");
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
    let session = pools.write().await.unwrap();
    session.commit("kit", "test").await.unwrap();
    pools.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_unique_violation_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let pools = pools(&folder).await;
    let mut session = pools.write().await.unwrap();
    run(&mut session, "CREATE TABLE t (n BIGINT PRIMARY KEY)").await;
    run(&mut session, "INSERT INTO t VALUES (1)").await;
    let failure = try_run(&mut session, "INSERT INTO t VALUES (1)").await;
    let error = Error::from(failure.unwrap_err());
    assert!(matches!(error, Error::Conflict(_)));
    assert!(error.is_unique_violation());
}

#[tokio::test]
async fn after_a_full_disk_writes_go_on() {
    for rolled_back in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let pools = pools(&folder).await;
        let mut session = pools.write().await.unwrap();
        run(&mut session, "CREATE TABLE t (data BLOB)").await;
        session.commit("kit", "test").await.unwrap();

        // Given a connection for which the file may not grow,
        let mut session = pools.write().await.unwrap();
        run(&mut session, "PRAGMA max_page_count = 1").await;
        // when a transaction needs more room, SQLite ends it by itself.
        let full = try_run(&mut session, "INSERT INTO t VALUES (zeroblob(100000))").await;
        let full = Error::from(full.unwrap_err());
        assert!(matches!(full, Error::Unavailable(_)));
        if rolled_back {
            session.rollback().await;
        } else {
            drop(session);
        }

        // Then the next one finds a connection that writes.
        let mut session = pools.write().await.unwrap();
        run(&mut session, "INSERT INTO t VALUES (zeroblob(100000))").await;
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
        // A temporary table belongs to its connection.
        let mut session = pools.write().await.unwrap();
        run(&mut session, "CREATE TEMP TABLE mark (n BIGINT)").await;
        session.commit("kit", "test").await.unwrap();

        let session = pools.write().await.unwrap();
        match end {
            End::Commit => session.commit("kit", "test").await.unwrap(),
            End::Rollback => session.rollback().await,
            End::Drop => drop(session),
        }

        let mut session = pools.write().await.unwrap();
        let marks = number(&mut session, "SELECT count(*) FROM temp.sqlite_master").await;
        assert_eq!(marks, serves_again, "{end:?}");
    }
}
