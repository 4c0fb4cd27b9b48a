//! A migration is killed at any point: nothing is left half done, and the next one continues.

mod slow;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom_kit::database::Url;
use homeroom_tests::{
    Engine,
    databases::Databases,
    processes::{Service, binary, database_url},
};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

/// The time within which a migration must reach a statement.
const REACH_SECONDS: u64 = 60;
/// The lock that the test holds, so that a migration waits at one statement.
const GATE: i64 = 7;

/// Counts the statements that change the schema, including those that are rolled back, and waits
/// after one of them.
const COUNTER: &str = "
    CREATE SCHEMA faults;
    CREATE SEQUENCE faults.statements;
    CREATE TABLE faults.gate (statement BIGINT);
    CREATE FUNCTION faults.count() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('faults.statements') = (SELECT statement FROM faults.gate) THEN
            PERFORM pg_advisory_xact_lock(7);
        END IF;
    END $$;
    CREATE EVENT TRIGGER faults ON ddl_command_end EXECUTE FUNCTION faults.count();";

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

type Schema = BTreeSet<String>;

/// Returns the migrations of a service for an engine, oldest first.
fn migrations(service: Service, engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../services")
        .join(service.name())
        .join("migrations")
        .join(engine);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// Starts the service's `migrate` on that database, under `wrapper` if there is one.
fn migrate(service: Service, url: &Url, wrapper: &[&str]) -> Child {
    let mut command = Command::new("env");
    command
        .args(wrapper)
        .arg(binary(service.name()))
        .arg("migrate")
        .env("DATABASE_URL", database_url(url))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.spawn().unwrap()
}

fn migrated(service: Service, url: &Url) {
    assert!(migrate(service, url, &[]).wait().unwrap().success());
}

/// A PostgreSQL database.
struct Target {
    url: Url,
    connection: PgConnection,
    all: Databases,
}

impl Target {
    async fn create(service: Service) -> Self {
        let all = Databases::create(Engine::Postgres).await;
        let url = match service {
            Service::Membership => all.membership.clone(),
            Service::Invitations => all.invitations.clone(),
        };
        let connection = PgConnection::connect(&database_url(&url)).await.unwrap();
        Self {
            url,
            connection,
            all,
        }
    }

    async fn execute(&mut self, statements: String) {
        self.connection
            .execute(AssertSqlSafe(statements))
            .await
            .unwrap();
    }

    /// Drops everything, and counts statements from now on.
    async fn empty(&mut self) {
        let clear = "DROP EVENT TRIGGER IF EXISTS faults; DROP SCHEMA IF EXISTS faults CASCADE;
            DROP SCHEMA public CASCADE; CREATE SCHEMA public;";
        self.execute([clear, COUNTER].concat()).await;
    }

    async fn number(&mut self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    async fn until(&mut self, what: &str, query: &'static str) {
        let wait = async {
            while self.number(query).await == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(REACH_SECONDS), wait).await;
        waited.unwrap_or_else(|_| panic!("not within {REACH_SECONDS} s: {what}"));
    }

    async fn schema(&mut self) -> Schema {
        let lines: Vec<String> = sqlx::query_scalar(POSTGRES_SCHEMA)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        lines.into_iter().collect()
    }

    /// Returns the number of applied migrations.
    async fn applied(&mut self) -> usize {
        if self
            .number("SELECT count(to_regclass('_sqlx_migrations'))")
            .await
            == 0
        {
            return 0;
        }
        let applied = self.number("SELECT count(*) FROM _sqlx_migrations WHERE success");
        usize::try_from(applied.await).unwrap()
    }

    async fn drop_all(self) {
        drop(self.connection);
        self.all.drop_all().await;
    }
}

async fn killed_at_each_statement(service: Service) {
    // Given the schema after each number of migrations, and the number of statements that create
    // it,
    let files = migrations(service, "postgres");
    let mut target = Target::create(service).await;
    let mut schemas = vec![target.schema().await];
    for file in &files {
        target.execute(file.clone()).await;
        schemas.push(target.schema().await);
    }
    target.empty().await;
    migrated(service, &target.url);
    let statements = target
        .number("SELECT last_value FROM faults.statements")
        .await;
    let in_files: usize = files
        .iter()
        .map(|file| {
            file.lines()
                .filter(|line| line.starts_with("CREATE "))
                .count()
        })
        .sum();
    assert!(
        statements > i64::try_from(in_files).unwrap(),
        "with the migrator's own"
    );

    for statement in 1..=statements {
        // when the process is killed after this statement,
        target.empty().await;
        target
            .execute(format!(
                "INSERT INTO faults.gate VALUES ({statement}); SELECT pg_advisory_lock({GATE})"
            ))
            .await;
        let mut process = migrate(service, &target.url, &[]);
        target
            .until(
                "the statement",
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event = 'advisory'",
            )
            .await;
        process.kill().unwrap();
        process.wait().unwrap();
        target
            .execute(format!(
                "SELECT pg_advisory_unlock({GATE}); DELETE FROM faults.gate"
            ))
            .await;
        target
            .until(
                "the end of its session",
                "SELECT (count(*) = 1)::int::bigint FROM pg_stat_activity WHERE datname = current_database()",
            )
            .await;

        // then only complete migrations are applied, so that the previous version still runs on the
        // schema,
        let applied = target.applied().await;
        assert_eq!(
            target.schema().await,
            schemas[applied],
            "after statement {statement}"
        );

        // and the next migration continues.
        migrated(service, &target.url);
        assert_eq!(target.applied().await, files.len());
        assert_eq!(Some(&target.schema().await), schemas.last());
    }
    println!(
        "{}: killed after each of {statements} statements",
        service.name()
    );
    target.drop_all().await;
}

#[tokio::test]
async fn a_migration_of_membership_killed_at_each_statement_resumes_on_postgres() {
    killed_at_each_statement(Service::Membership).await;
}

#[tokio::test]
async fn a_migration_of_invitations_killed_at_each_statement_resumes_on_postgres() {
    killed_at_each_statement(Service::Invitations).await;
}

async fn sqlite_schema(path: &Path) -> (usize, Schema) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let lines: Vec<String> = sqlx::query_scalar(SQLITE_SCHEMA)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let applied = "SELECT count(*) FROM _sqlx_migrations WHERE success";
    // The migrator's table may not exist yet.
    let applied: i64 = sqlx::query_scalar(applied)
        .fetch_one(&mut connection)
        .await
        .unwrap_or_default();
    connection.close().await.unwrap();
    (
        usize::try_from(applied).unwrap(),
        lines.into_iter().collect(),
    )
}

/// The system calls by which SQLite's statements change files.
const SQLITE_CALLS: [&str; 5] = ["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"];
/// The number of first calls of a kind at each of which the process is killed; of the others one in
/// this many is chosen.
const EACH_CALL: usize = 10;
const CALLS_BETWEEN: usize = 5;
/// The most calls of a kind; every migration makes fewer and ends before.
const CALLS_MAX: usize = 1_000;
/// The number of SIGKILL.
const SIGKILL: i32 = 9;
/// The tracer, with the options to follow every thread and to print nothing.
const TRACER: [&str; 5] = ["strace", "-f", "-qqq", "-o", "/dev/null"];

/// Panics if no program can be traced, because nothing would be killed.
fn can_trace() {
    let traced = Command::new("env").args(TRACER).arg("true").status();
    assert!(
        traced.unwrap().success(),
        "strace cannot trace a program here: it must be installed, and ptrace allowed \
         (in a container, the capability SYS_PTRACE)"
    );
}

async fn killed_at_each_write(service: Service) {
    can_trace();
    let files = migrations(service, "sqlite");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reference.db");
    let mut schemas = vec![sqlite_schema(&path).await.1];
    for file in &files {
        let options = SqliteConnectOptions::new().filename(&path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        connection
            .execute(AssertSqlSafe(file.clone()))
            .await
            .unwrap();
        connection.close().await.unwrap();
        schemas.push(sqlite_schema(&path).await.1);
    }

    let mut kills = 0;
    for call in SQLITE_CALLS {
        for time in (1..EACH_CALL).chain((EACH_CALL..).step_by(CALLS_BETWEEN)) {
            assert!(time <= CALLS_MAX, "killed at {CALLS_MAX} calls of {call}");
            // When the process is killed at this call's n-th occurrence,
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("database.db");
            let url = Url::Sqlite(path.clone());
            let (trace, inject) = (
                format!("--trace={call}"),
                format!("--inject={call}:signal=KILL:when={time}"),
            );
            let mut process = migrate(service, &url, &[&TRACER[..], &[&trace, &inject]].concat());
            let status = process.wait().unwrap();
            if status.success() {
                break;
            }
            // strace ends in the same way as the traced process.
            assert_eq!(status.signal(), Some(SIGKILL), "{call} {time}: {status}");
            kills += 1;

            // then only complete migrations are applied,
            let (applied, schema) = sqlite_schema(&path).await;
            assert_eq!(schema, schemas[applied], "{call} {time}");

            // and the next migration continues.
            migrated(service, &url);
            let (applied, schema) = sqlite_schema(&path).await;
            assert_eq!((applied, Some(&schema)), (files.len(), schemas.last()));
        }
    }
    assert!(kills > files.len(), "{kills}");
    println!("{}: killed at {kills} calls", service.name());
}

#[tokio::test]
async fn a_migration_of_membership_killed_at_each_write_resumes_on_sqlite() {
    killed_at_each_write(Service::Membership).await;
}

#[tokio::test]
async fn a_migration_of_invitations_killed_at_each_write_resumes_on_sqlite() {
    killed_at_each_write(Service::Invitations).await;
}
