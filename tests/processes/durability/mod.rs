//! An answer is given only after an fdatasync of the data that it reports, as strace shows on both
//! engines.

mod frames;
mod trace;

use std::{fs, path::Path};

use homeroom_api::invitations::v1::{
    CreateEnrollmentCodeRequest, EnrollmentCode, RedemptionOutcome,
};
use homeroom_kit::database::Url;
use homeroom_tests::{
    databases::Databases,
    postgres::{Postgres, PostgresOptions},
    processes::{Processes, Service},
};

use self::{
    frames::{answered, asked, contains},
    trace::{Call, Deed, Micros, tracer},
};
use crate::crowd::{OpenClass, new_class, redeem};

/// The number of students who redeem, one after the other.
const REDEEMERS: usize = 10;

/// The requirement of one answer: a database's log must contain `text`, synced before `limit`.
struct Promise<'a> {
    what: &'static str,
    log: &'a [Call],
    text: &'a str,
    limit: Option<Micros>,
}

impl Promise<'_> {
    /// Returns the reason if the requirement is not met.
    fn broken(&self) -> Option<String> {
        let Self {
            what,
            log,
            text,
            limit,
        } = *self;
        let Some(limit) = limit else {
            return Some(format!("{what}: no message with {text} was seen to leave"));
        };
        let is_synced = log
            .iter()
            .filter(|call| call.deed == Deed::Written && is_log(&call.target))
            .filter(|write| write.ended <= limit && contains(&write.bytes, text))
            .any(|write| {
                log.iter().any(|sync| {
                    sync.deed == Deed::Synced
                        && sync.target == write.target
                        && (write.ended..=limit).contains(&sync.begun)
                        && sync.ended <= limit
                })
            });
        (!is_synced).then(|| format!("{what}: told before {text} was synced"))
    }
}

/// Returns true if the path is a write-ahead log: SQLite's beside its database, or a segment of
/// PostgreSQL's.
fn is_log(path: &str) -> bool {
    path.ends_with("-wal") || path.contains("/pg_wal/")
}

/// The changes that were made; each has a text in its messages and its rows.
struct Done {
    /// The ids of the redemptions, by request id.
    redemptions: Vec<(String, String)>,
    /// The display name of a class.
    class: &'static str,
    /// The display name of an enrollment code.
    code: &'static str,
}

async fn work(processes: &Processes) -> Done {
    let open = OpenClass::create(processes, REDEEMERS).await;
    let mut redemptions = Vec::new();
    for number in 0..REDEEMERS {
        let student = processes.user(&format!("student-{number}"));
        let request = open.request(number);
        let request_id = request.request_id.clone();
        let redeemed = redeem(&student, request, |_, failure| {
            assert!(failure.is_none(), "{failure:?}");
        });
        let redeemed = redeemed.await.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        let id = redeemed.redemption.rsplit('/').next().unwrap().to_owned();
        redemptions.push((request_id, id));
        open.settled(processes, number + 1, REDEEMERS).await;
    }
    let (class, code) = ("A class to be synced", "A code to be synced");
    let mut teacher = processes.user("teacher");
    let created = teacher.classes.create_class(new_class("chemistry", class));
    created.await.unwrap();
    teacher
        .enrollment_codes
        .create_enrollment_code(CreateEnrollmentCodeRequest {
            parent: open.name,
            enrollment_code: Some(EnrollmentCode {
                code: "violet heron walks slowly through seven gardens".to_owned(),
                display_name: code.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .unwrap();
    Done {
        redemptions,
        class,
        code,
    }
}

/// The traces of a service and of the process that writes its database.
struct Traced {
    service: Vec<Call>,
    log: Vec<Call>,
    port: u16,
}

/// Returns every requirement that was not met.
fn broken(done: &Done, membership: &Traced, invitations: &Traced) -> Vec<String> {
    let Done {
        redemptions,
        class,
        code,
    } = done;
    let (m, i) = (membership, invitations);
    let mut promises = vec![
        Promise {
            what: "CreateClass",
            log: &m.log,
            text: class,
            limit: answered(&m.service, m.port, class),
        },
        Promise {
            what: "CreateEnrollmentCode",
            log: &i.log,
            text: code,
            limit: answered(&i.service, i.port, code),
        },
    ];
    for (request, redemption) in redemptions {
        let told = answered(&i.service, i.port, request);
        promises.extend([
            Promise {
                what: "T1 before membership is asked",
                log: &i.log,
                text: redemption,
                limit: asked(&i.service, m.port, redemption),
            },
            Promise {
                what: "T2 before membership answers",
                log: &m.log,
                text: redemption,
                limit: answered(&m.service, m.port, redemption),
            },
            Promise {
                what: "T1 before the answer",
                log: &i.log,
                text: redemption,
                limit: told,
            },
            Promise {
                what: "T2 before the answer",
                log: &m.log,
                text: redemption,
                limit: told,
            },
        ]);
    }
    promises.iter().filter_map(Promise::broken).collect()
}

/// Returns the folder of the traces of one process and its children.
fn folder(of: &Path, name: &str) -> std::path::PathBuf {
    let folder = of.join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// Runs both services traced; returns their traces and the changes.
async fn traced(
    databases: Databases,
    scratch: &Path,
    options: &[&str],
) -> (Done, [(Vec<Call>, u16); 2]) {
    let folders = ["membership", "invitations"].map(|name| folder(scratch, name));
    let mut processes = Processes::on(databases)
        .with_wrapper(Service::Membership, tracer(&folders[0], options))
        .with_wrapper(Service::Invitations, tracer(&folders[1], options));
    processes.launch_both().await;
    let ports =
        [Service::Membership, Service::Invitations].map(|one| processes.address(one).port());
    let done = work(&processes).await;
    processes.stop().await;
    let membership = trace::read(&folders[0]).await;
    let invitations = trace::read(&folders[1]).await;
    (done, [(membership, ports[0]), (invitations, ports[1])])
}

async fn on_sqlite(options: &[&str]) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let url = |name: &str| Url::Sqlite(scratch.path().join(name));
    let databases = Databases::of(url("membership.db"), url("invitations.db"), None);
    let (done, services) = traced(databases, scratch.path(), options).await;
    // These services write their database files themselves.
    let both = services.map(|(calls, port)| {
        let (log, service) = calls
            .into_iter()
            .partition(|call| call.target.starts_with('/'));
        Traced { service, log, port }
    });
    broken(&done, &both[0], &both[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_after_fdatasync_on_sqlite() {
    assert_eq!(on_sqlite(&[]).await, Vec::<String>::new());
}

/// Proves that the test can fail: calls that sync nothing are detected, for every answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_fdatasync_is_noticed_on_sqlite() {
    let broken = on_sqlite(&["--inject=fsync,fdatasync:retval=0"]).await;
    assert!(broken.len() > REDEEMERS, "{broken:#?}");
}

async fn on_postgres(setting: &str) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let traces = ["of membership", "of invitations"].map(|name| folder(scratch.path(), name));
    let options = |traces: &Path| PostgresOptions {
        wrapper: tracer(traces, &[]),
        settings: vec!["fsync=on".to_owned(), setting.to_owned()],
        ..PostgresOptions::default()
    };
    let mut for_membership = Postgres::start(options(&traces[0])).await;
    let mut for_invitations = Postgres::start(options(&traces[1])).await;
    let databases = Databases::of(
        for_membership.create_database("membership").await,
        for_invitations.create_database("invitations").await,
        None,
    );
    let (done, [membership, invitations]) = traced(databases, scratch.path(), &[]).await;
    for_membership.crash().await;
    for_invitations.crash().await;
    let both = [(membership, &traces[0]), (invitations, &traces[1])];
    let mut found = Vec::new();
    for ((service, port), folder) in both {
        let log = trace::read(folder).await;
        found.push(Traced { service, log, port });
    }
    broken(&done, &found[0], &found[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_after_fdatasync_on_postgres() {
    assert_eq!(
        on_postgres("synchronous_commit=on").await,
        Vec::<String>::new()
    );
}

/// Proves the same with a PostgreSQL that answers before it syncs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_fdatasync_is_noticed_on_postgres() {
    let broken = on_postgres("synchronous_commit=off").await;
    assert!(broken.len() > REDEEMERS, "{broken:#?}");
}
