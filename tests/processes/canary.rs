//! No secret is written anywhere in clear: every kind is created, used correctly and incorrectly,
//! read, reset and retried on real processes with the most verbose logs, and then searched for in
//! everything that they and their servers have written (R12).

mod search;
mod servers;
mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    time::Duration,
};

use homeroom_kit::database::Url;
use homeroom_tests::{
    Engine,
    databases::Databases,
    free_address,
    probes::scrape,
    processes::{Callers, Processes, Service},
};
use search::{Evidence, Search};
use serde_json::json;
use servers::{RedisMonitor, logging_postgres, redis_dump};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use story::story;

use crate::ways::ORGANIZATION;

/// The time within which a service must stop.
const STOP_SECONDS: u64 = 60;
/// The fewest secrets; fewer would mean that something was not created.
const SECRETS_MIN: usize = 30;

/// Returns everything in both feeds and in the records of reads and guesses, as staff and platforms
/// read it.
async fn feeds(callers: &Callers) -> Vec<u8> {
    let teacher = callers.user("teacher");
    let request = json!({"parent": ORGANIZATION, "page_size": 1_000});
    let mut told = String::new();
    for method in [
        "invitations.v1.EventService.ListEvents",
        "membership.v1.EventService.ListEvents",
        "AuditService.ListAuditEntries",
        "RedemptionService.ListRefusedAttempts",
    ] {
        write!(told, "{} ", teacher.call(method, &request).await.unwrap()).unwrap();
    }
    told.into_bytes()
}

/// Returns all rows of a PostgreSQL database as text, with bytes in hexadecimal.
async fn postgres_rows(url: &str) -> Vec<u8> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut text = String::new();
    for table in tables {
        let query = format!("SELECT t::text FROM {table} AS t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        writeln!(text, "{table}\n{}", rows.join("\n")).unwrap();
    }
    text.into_bytes()
}

/// Returns the file, together with its write-ahead log.
fn sqlite_bytes(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let log = format!("{}-wal", path.display());
    bytes.extend(fs::read(log).unwrap_or_default());
    bytes
}

/// Runs the story on services with the most verbose logs, and returns the secrets and everything
/// that was written.
async fn run(
    databases: Databases,
    logs: &Path,
) -> (BTreeMap<String, String>, Evidence, BTreeSet<String>) {
    let metrics = [free_address(), free_address()];
    let both = [Service::Membership, Service::Invitations];
    let mut processes = Processes::on(databases);
    for (service, metrics) in both.into_iter().zip(metrics) {
        processes = processes
            .with_setting(service, "RUST_LOG", "trace")
            .with_setting(service, "LOG_FORMAT", "json")
            .with_setting(service, "METRICS_LISTEN_ADDRESS", &metrics.to_string())
            .with_log(service, logs.join(service.name()));
    }
    processes.launch_both().await;
    let redis = processes.databases().redis.clone();
    let monitor = match &redis {
        Some(url) => Some(RedisMonitor::listen(url).await),
        None => None,
    };
    let callers = processes.callers();
    let addresses = both.map(|service| processes.address(service));
    let canaries = story(&callers, addresses).await;
    let mut secrets = canaries.secrets;
    for service in both {
        let ring = fs::read_to_string(processes.keys_file(service)).unwrap();
        let key = ring.trim().split_once(':').unwrap().1.to_owned();
        secrets.insert(format!("the key of {}", service.name()), key);
    }

    let mut evidence = Evidence::from([
        ("refusals".to_owned(), canaries.refusals.into_bytes()),
        ("feeds".to_owned(), feeds(&callers).await),
    ]);
    for (service, metrics) in both.into_iter().zip(metrics) {
        let name = service.name();
        evidence.insert(
            format!("metrics of {name}"),
            scrape(metrics).await.into_bytes(),
        );
    }
    for (service, url) in both.into_iter().zip([
        processes.databases().membership.clone(),
        processes.databases().invitations.clone(),
    ]) {
        let rows = match &url {
            Url::Postgres(url) => postgres_rows(url).await,
            Url::Sqlite(path) => sqlite_bytes(path),
        };
        evidence.insert(format!("database of {}", service.name()), rows);
    }
    if let (Some(url), Some(monitor)) = (redis, monitor) {
        evidence.insert("Redis".to_owned(), redis_dump(&url).await);
        evidence.insert("commands of Redis".to_owned(), monitor.heard());
    }
    for service in [Service::Invitations, Service::Membership] {
        processes.order_stop(service);
        let ended = processes.ended(service, Duration::from_secs(STOP_SECONDS));
        assert!(ended.await.success());
        let log = fs::read(logs.join(service.name())).unwrap();
        evidence.insert(format!("log of {}", service.name()), log);
    }
    processes.stop().await;
    (secrets, evidence, canaries.reasons)
}

/// Checks that each place has content, so that no search is in vain.
fn is_told(evidence: &Evidence, place: &str, what: &str) {
    let bytes = &evidence[place];
    let found = bytes
        .windows(what.len())
        .any(|window| window == what.as_bytes());
    assert!(found, "{what} is not in {place}, of {} bytes", bytes.len());
}

fn judge(secrets: &BTreeMap<String, String>, mut evidence: Evidence, reasons: &BTreeSet<String>) {
    for (place, what) in [
        ("refusals", "CODE_NOT_USABLE"),
        ("feeds", "class_code.reset"),
        ("feeds", "ClassCodeService/ResetClassCode"),
        ("metrics of membership", "homeroom_build_info"),
        ("metrics of invitations", "homeroom_redemptions_stuck"),
        ("database of membership", "student-1"),
        ("database of invitations", "student-1"),
        ("log of membership", "\"level\":\"TRACE\""),
        ("log of invitations", "\"level\":\"TRACE\""),
    ] {
        is_told(&evidence, place, what);
    }
    for expected in [
        "CODE_NOT_USABLE",
        "CODE_MALFORMED",
        "INVALID_REQUEST",
        "CODE_TAKEN",
        "WEAK_CODE",
        "REQUEST_ID_CONFLICT",
        "ACCESS_TOKEN_INVALID",
        "TOKEN_NOT_FOUND",
        "INVALID_FILTER",
    ] {
        assert!(reasons.contains(expected), "{expected}: {reasons:?}");
    }
    assert!(secrets.len() >= SECRETS_MIN, "{}", secrets.len());

    let search = Search::of(secrets);
    let found = search.find(&evidence);
    assert!(found.is_empty(), "written down: {found:#?}");
    // No other access token appears either, such as those that one service creates for the other.
    for (place, bytes) in &evidence {
        let payload = b".eyJ";
        let found = bytes.windows(payload.len()).any(|part| part == payload);
        assert!(!found, "an access token stands in {place}");
    }
    let bytes: usize = evidence.values().map(Vec::len).sum();
    println!(
        "{} secrets in none of {} places, {bytes} bytes",
        secrets.len(),
        evidence.len()
    );

    // If each secret is planted in each place, the search finds it there.
    let planted: Vec<&String> = secrets.values().collect();
    for (place, (name, bytes)) in evidence.iter_mut().enumerate() {
        *bytes = format!("{name} {} .", planted[place % planted.len()]).into_bytes();
    }
    let found: BTreeSet<String> = search
        .find(&evidence)
        .into_iter()
        .map(|hit| hit.0)
        .collect();
    assert_eq!(found, evidence.into_keys().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r12_no_secret_is_written_down_on_postgres_with_redis() {
    let postgres = logging_postgres().await;
    let membership = postgres.create_database("membership").await;
    let invitations = postgres.create_database("invitations").await;
    let redis = std::env::var(homeroom_tests::databases::REDIS_URL_VARIABLE).unwrap();
    let databases = Databases::of(membership, invitations, Some(redis));
    let logs = tempfile::tempdir().unwrap();
    let (secrets, mut evidence, reasons) = run(databases, logs.path()).await;
    let log = fs::read(postgres.log()).unwrap();
    evidence.insert("log of PostgreSQL".to_owned(), log);
    is_told(&evidence, "log of PostgreSQL", "parameters: $1 = '");
    is_told(&evidence, "log of PostgreSQL", "lookup_mac");
    is_told(&evidence, "Redis", "homeroom:limiter:");
    is_told(&evidence, "commands of Redis", "homeroom:limiter:");
    judge(&secrets, evidence, &reasons);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r12_no_secret_is_written_down_on_sqlite() {
    let databases = Databases::create(Engine::Sqlite).await;
    let logs = tempfile::tempdir().unwrap();
    let (secrets, evidence, reasons) = run(databases, logs.path()).await;
    judge(&secrets, evidence, &reasons);
}
