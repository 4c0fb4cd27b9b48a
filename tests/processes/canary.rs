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
};

use homeroom_kit::database::Url;
use homeroom_tests::{
    Engine, School,
    databases::{Databases, REDIS_URL_VARIABLE, Reader},
    free_address,
    probes::scrape,
    processes::{Processes, Service},
};
use search::{Evidence, Search};
use serde_json::json;
use servers::{RedisMonitor, logging_postgres, redis_dump};
use story::story;

/// The fewest secrets; fewer would mean that something was not created.
const SECRETS_MIN: usize = 30;

/// Returns everything in both feeds and in the records of reads and guesses, as staff and platforms
/// read it.
async fn feeds(school: &School) -> Vec<u8> {
    let request = json!({"parent": school.organization, "page_size": 1_000});
    let mut told = String::new();
    for method in [
        "invitations.v1.EventService.ListEvents",
        "membership.v1.EventService.ListEvents",
        "AuditService.ListAuditEntries",
        "RedemptionService.ListRefusedAttempts",
    ] {
        let feed = school.admin.call(method, &request).await.unwrap();
        write!(told, "{feed} ").unwrap();
    }
    told.into_bytes()
}

/// Returns everything in a database: all rows of PostgreSQL as text, with bytes in hexadecimal, or
/// the file of SQLite with its write-ahead log.
async fn stored(url: &Url) -> Vec<u8> {
    let mut bytes = Vec::new();
    match url {
        Url::Sqlite(path) => {
            for suffix in ["", "-wal"] {
                let file = fs::read(format!("{}{suffix}", path.display()));
                bytes.extend(file.unwrap_or_default());
            }
        }
        Url::Postgres(_) => {
            let mut reader = Reader::open(url).await.unwrap();
            for table in reader.tables().await {
                let rows = reader
                    .rows(&format!("SELECT t::text FROM {table} AS t"))
                    .await;
                bytes.extend(rows.unwrap().concat().join("\n").into_bytes());
            }
        }
    }
    bytes
}

/// Runs the story on services with the most verbose logs, and returns the secrets and everything
/// that was written.
async fn run(
    databases: Databases,
    logs: &Path,
) -> (BTreeMap<String, String>, Evidence, BTreeSet<String>) {
    let metrics = [free_address(), free_address()];
    let mut processes = Processes::on(databases);
    for (service, metrics) in Service::BOTH.into_iter().zip(metrics) {
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
    let (canaries, school) = story(&processes).await;
    let mut secrets = canaries.secrets;
    let mut evidence = Evidence::from([
        ("refusals".to_owned(), canaries.refusals.into_bytes()),
        ("feeds".to_owned(), feeds(&school).await),
    ]);
    for (service, metrics) in Service::BOTH.into_iter().zip(metrics) {
        let name = service.name();
        let ring = fs::read_to_string(processes.keys_file(service)).unwrap();
        let key = ring.trim().split_once(':').unwrap().1.to_owned();
        secrets.insert(format!("the key of {name}"), key);
        let page = scrape(metrics).await.into_bytes();
        evidence.insert(format!("metrics of {name}"), page);
        let rows = stored(processes.databases().url_of(service)).await;
        evidence.insert(format!("database of {name}"), rows);
    }
    if let (Some(url), Some(monitor)) = (redis, monitor) {
        evidence.insert("Redis".to_owned(), redis_dump(&url).await);
        evidence.insert("commands of Redis".to_owned(), monitor.heard());
    }
    for service in [Service::Invitations, Service::Membership] {
        processes.end(service).await;
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
    let redis = std::env::var(REDIS_URL_VARIABLE).unwrap();
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
