//! A migration is killed at any point: nothing is left half done, and the next one continues.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use homeroom_kit::database::Url;
use homeroom_tests::{
    Engine,
    databases::{Databases, Reader},
    processes::{Service, binary, database_url},
};

/// The numbers of the first system calls of a kind at each of which the process is killed; of the
/// others one in `CALLS_BETWEEN` is chosen.
const EACH_CALL: usize = 10;
const CALLS_BETWEEN: usize = 5;
/// The most calls of a kind; every migration makes fewer and ends before.
const CALLS_MAX: usize = 1_000;
/// The number of SIGKILL.
const SIGKILL: i32 = 9;
/// The tracer, with the options to follow every thread and to print nothing.
const TRACER: [&str; 5] = ["strace", "-f", "-qqq", "-o", "/dev/null"];

/// Selects the schema, without the migrator's own table.
const POSTGRES_SCHEMA: &str = "
    SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, collation_name)
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'
    UNION ALL
    SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> COALESCE(to_regclass('_sqlx_migrations'), 0)";
const SQLITE_SCHEMA: &str = "
    SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT IN ('_sqlx_migrations', 'sqlite_sequence')";
/// Counts the sessions of a database, of which one is the test's.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
const APPLIED: &str = "SELECT CAST(count(*) AS TEXT) FROM _sqlx_migrations WHERE success";

/// The system calls by which a migration changes a database's files, or talks to its server.
const fn calls(url: &Url) -> &'static [&'static str] {
    match url {
        Url::Sqlite(_) => &["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"],
        Url::Postgres(_) => &["sendto", "recvfrom"],
    }
}

/// Returns the migrations of a service for an engine, oldest first.
fn migrations(service: Service, url: &Url) -> Vec<String> {
    let engine = match url {
        Url::Sqlite(_) => "sqlite",
        Url::Postgres(_) => "postgres",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    let folder = folder.join(service.name()).join("migrations").join(engine);
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    texts.collect()
}

/// Runs the service's `migrate` on that database, under `wrapper` if there is one.
fn migrate(service: Service, url: &Url, wrapper: &[&str]) -> ExitStatus {
    let mut command = Command::new("env");
    command
        .args(wrapper)
        .arg(binary(service.name()))
        .arg("migrate")
        .env("DATABASE_URL", database_url(url))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.status().unwrap()
}

/// Returns the number of applied migrations, and the schema.
async fn schema(url: &Url) -> (usize, BTreeSet<String>) {
    let mut reader = Reader::open(url).await.unwrap();
    let query = match url {
        Url::Sqlite(_) => SQLITE_SCHEMA,
        Url::Postgres(_) => {
            // A killed process's session ends a little later.
            while reader.count(SESSIONS).await > 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            POSTGRES_SCHEMA
        }
    };
    let lines = reader.rows(query).await.unwrap();
    // The migrator's table may not exist yet.
    let applied = reader.rows(APPLIED).await;
    let applied = applied.map_or(0, |rows| rows[0][0].parse().unwrap());
    reader.close().await;
    (applied, lines.into_iter().flatten().collect())
}

/// Removes everything in the database.
async fn clear(url: &Url) {
    match url {
        Url::Sqlite(path) => {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                drop(fs::remove_file(format!("{}{suffix}", path.display())));
            }
        }
        Url::Postgres(_) => {
            let mut reader = Reader::open(url).await.unwrap();
            let clear = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
            reader.execute(clear).await.unwrap();
            reader.close().await;
        }
    }
}

/// Panics if no program can be traced, because nothing would be killed.
fn can_trace() {
    let traced = Command::new("env").args(TRACER).arg("true").status();
    assert!(
        traced.unwrap().success(),
        "strace cannot trace a program here: it must be installed, and ptrace allowed \
         (in a container, the capability SYS_PTRACE)"
    );
}

async fn killed_at_each_call(service: Service, engine: Engine) {
    can_trace();
    // Given the schema after each number of migrations,
    let databases = Databases::create(engine).await;
    let url = databases.url_of(service);
    let files = migrations(service, url);
    let mut schemas = vec![schema(url).await.1];
    for file in &files {
        let mut reader = Reader::open(url).await.unwrap();
        reader.execute(file).await.unwrap();
        reader.close().await;
        schemas.push(schema(url).await.1);
    }

    let mut kills = 0;
    for call in calls(url) {
        for time in (1..EACH_CALL).chain((EACH_CALL..).step_by(CALLS_BETWEEN)) {
            assert!(time <= CALLS_MAX, "killed at {CALLS_MAX} calls of {call}");
            // when the process is killed at this call's n-th occurrence,
            clear(url).await;
            let (trace, inject) = (
                format!("--trace={call}"),
                format!("--inject={call}:signal=KILL:when={time}"),
            );
            let status = migrate(service, url, &[&TRACER[..], &[&trace, &inject]].concat());
            if status.success() {
                break;
            }
            // strace ends in the same way as the traced process.
            assert_eq!(status.signal(), Some(SIGKILL), "{call} {time}: {status}");
            kills += 1;

            // then only complete migrations are applied, so that the previous version still runs on
            // the schema,
            let (applied, found) = schema(url).await;
            assert_eq!(found, schemas[applied], "{call} {time}");

            // and the next migration continues.
            assert!(migrate(service, url, &[]).success());
            let (applied, found) = schema(url).await;
            assert_eq!((applied, Some(&found)), (files.len(), schemas.last()));
        }
    }
    assert!(kills > 2 * files.len(), "{kills}");
    println!("{} on {engine:?}: killed at {kills} calls", service.name());
    databases.drop_all().await;
}

#[tokio::test]
async fn a_migration_of_membership_killed_at_each_statement_resumes_on_postgres() {
    killed_at_each_call(Service::Membership, Engine::Postgres).await;
}

#[tokio::test]
async fn a_migration_of_invitations_killed_at_each_statement_resumes_on_postgres() {
    killed_at_each_call(Service::Invitations, Engine::Postgres).await;
}

#[tokio::test]
async fn a_migration_of_membership_killed_at_each_write_resumes_on_sqlite() {
    killed_at_each_call(Service::Membership, Engine::Sqlite).await;
}

#[tokio::test]
async fn a_migration_of_invitations_killed_at_each_write_resumes_on_sqlite() {
    killed_at_each_call(Service::Invitations, Engine::Sqlite).await;
}

/// Records the limit under which each statement changes a table that existed before its migration.
const LIMITS: &str = "
    CREATE SCHEMA faults;
    CREATE TABLE faults.made (relation OID, transaction XID8);
    CREATE TABLE faults.limits (statement TEXT, statement_timeout TEXT);
    CREATE FUNCTION faults.note() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE command RECORD;
    BEGIN
        FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
            IF command.command_tag = 'CREATE TABLE' THEN
                INSERT INTO faults.made VALUES (command.objid, pg_current_xact_id());
            ELSIF command.command_tag IN ('ALTER TABLE', 'CREATE INDEX') AND NOT EXISTS (
                SELECT FROM faults.made WHERE transaction = pg_current_xact_id() AND relation IN
                (command.objid, (SELECT indrelid FROM pg_index WHERE indexrelid = command.objid))
            ) THEN
                INSERT INTO faults.limits VALUES (command.object_identity, current_setting('statement_timeout'));
            END IF;
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER faults ON ddl_command_end EXECUTE FUNCTION faults.note();";

#[tokio::test]
async fn a_migration_may_take_longer_than_a_statement_of_a_call() {
    let databases = Databases::create(Engine::Postgres).await;
    for service in Service::BOTH {
        let url = databases.url_of(service);
        let mut reader = Reader::open(url).await.unwrap();
        reader.execute(LIMITS).await.unwrap();
        assert!(migrate(service, url, &[]).success());
        // When a schema in use is migrated, no statement is cancelled for being slow.
        let limits = "SELECT statement_timeout, statement FROM faults.limits";
        let limits = reader.rows(limits).await.unwrap();
        assert!(!limits.is_empty());
        assert!(limits.iter().all(|limit| limit[0] == "0"), "{limits:?}");
        reader.close().await;
    }
    databases.drop_all().await;
}
