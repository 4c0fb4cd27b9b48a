//! An answer is given only after an fdatasync of what it reports: strace makes each one slow, and
//! the answers wait for it.

use std::time::{Duration, Instant};

use homeroom_tests::{
    Engine, School,
    databases::Databases,
    postgres::{Postgres, PostgresOptions},
    processes::{Processes, Service},
};
use serde_json::json;

use crate::request;

/// The time that each sync of membership's database takes: longer than all syncs that invitations
/// makes for one answer.
const MEMBERSHIPS_SYNC: Duration = Duration::from_millis(600);
/// The time that each sync of invitations' database takes.
const INVITATIONS_SYNC: Duration = Duration::from_millis(120);

/// The calls by which SQLite syncs.
const SQLITE_SYNCS: &str = "fsync,fdatasync";
/// The call by which PostgreSQL syncs its log. It calls `fsync` for every other file when it starts
/// after a crash.
const POSTGRES_SYNCS: &str = "fdatasync";

/// Returns the tracer by which each of these calls of the program that follows takes longer.
fn slow_syncs(service: Service, calls: &str) -> Vec<String> {
    let time = match service {
        Service::Membership => MEMBERSHIPS_SYNC,
        Service::Invitations => INVITATIONS_SYNC,
    };
    // With -D the traced program stays our child, so that signals reach it.
    let inject = format!(
        "strace -D -f --seccomp-bpf -qqq -o /dev/null --trace={calls} \
         --inject={calls}:delay_exit={} --",
        time.as_micros()
    );
    inject.split(' ').map(str::to_owned).collect()
}

/// Returns the answers that were given before every sync that must precede them could end.
async fn too_early(processes: &Processes, school: &School, number: usize) -> Vec<&'static str> {
    let school = school.through(|claims| processes.user_with(claims));
    let code = school.class_code().await.code;
    let student = processes.user(&format!("student-{number}"));
    // Connections are made before the time is taken.
    student.preview(&code).await.unwrap();
    let mut early = Vec::new();
    let mut note = |what, begun: Instant, least| {
        if begun.elapsed() < least {
            early.push(what);
        }
    };
    // T1 is synced before membership is asked, and T2 before it answers.
    let begun = Instant::now();
    student.redeem_with(request(&code, number)).await.unwrap();
    note("Redeem", begun, INVITATIONS_SYNC + MEMBERSHIPS_SYNC);
    let begun = Instant::now();
    school.another_class(&format!("class-{number}")).await;
    note("CreateClass", begun, MEMBERSHIPS_SYNC);
    let begun = Instant::now();
    let token = json!({"parent": school.class, "token": {}});
    let created = school.teacher.call("TokenService.CreateToken", &token);
    created.await.unwrap();
    note("CreateToken", begun, INVITATIONS_SYNC);
    early
}

/// Every answer.
const ALL: [&str; 3] = ["Redeem", "CreateClass", "CreateToken"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_after_fdatasync_on_sqlite() {
    let mut processes = Processes::start(Engine::Sqlite).await;
    let school = processes.school().await;
    assert_eq!(too_early(&processes, &school, 0).await, ALL, "not traced");
    for service in Service::BOTH {
        processes.kill(service);
        processes = processes.with_wrapper(service, slow_syncs(service, SQLITE_SYNCS));
    }
    processes.launch_both().await;
    let none: [&str; 0] = [];
    assert_eq!(too_early(&processes, &school, 1).await, none);
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_after_fdatasync_on_postgres() {
    let mut servers = Vec::new();
    let mut urls = Vec::new();
    for service in Service::BOTH {
        let server = Postgres::start(PostgresOptions::default()).await;
        urls.push(server.create_database(service.name()).await);
        servers.push(server);
    }
    let [membership, invitations] = urls.try_into().unwrap();
    let mut processes = Processes::on(Databases::of(membership, invitations, None));
    processes.launch_both().await;
    let school = processes.school().await;
    // A PostgreSQL that answers before it syncs is noticed.
    for (turn, (setting, early)) in [
        ("synchronous_commit=off", &ALL[..]),
        ("synchronous_commit=on", &[]),
    ]
    .into_iter()
    .enumerate()
    {
        for (service, server) in Service::BOTH.into_iter().zip(&mut servers) {
            processes.kill(service);
            let slow = slow_syncs(service, POSTGRES_SYNCS);
            server.restart_with(slow, &["fsync=on", setting]).await;
        }
        processes.launch_both().await;
        assert_eq!(
            too_early(&processes, &school, turn).await,
            early,
            "{setting}"
        );
    }
    processes.stop().await;
}
