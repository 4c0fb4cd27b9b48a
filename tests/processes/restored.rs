//! Two databases that were restored to different moments: what recovery repairs, and what remains.

use std::fs;

use homeroom_api::invitations::v1::{RedemptionOutcome, ResetClassCodeResponse};
use homeroom_audit::{Invariant, Options, audit};
use homeroom_kit::{
    clock::{Clock as _, SystemClock},
    database::Url,
};
use homeroom_tests::{
    Engine, School,
    databases::{DATABASE_URL_VARIABLE, Databases, Reader},
    eventually,
    processes::{Processes, Service, database_url},
    reason,
};
use serde_json::json;

/// Copies the databases of services that do not run.
async fn copies(processes: &Processes, name: &str) -> Databases {
    let Databases {
        membership,
        invitations,
        ..
    } = processes.databases();
    let membership = copy(membership, name).await;
    Databases::of(membership, copy(invitations, name).await, None)
}

async fn copy(url: &Url, name: &str) -> Url {
    match url {
        Url::Sqlite(path) => {
            let copy = path.with_extension(name);
            fs::copy(path, &copy).unwrap();
            Url::Sqlite(copy)
        }
        Url::Postgres(text) => {
            let (server, database) = text.rsplit_once('/').unwrap();
            let create = format!("CREATE DATABASE {database}_{name} TEMPLATE {database}");
            run(create).await;
            Url::parse(&format!("{server}/{database}_{name}")).unwrap()
        }
    }
}

async fn run(statement: String) {
    let server = Url::Postgres(std::env::var(DATABASE_URL_VARIABLE).unwrap());
    let mut server = Reader::open(&server).await.unwrap();
    server.execute(&statement).await.unwrap();
}

async fn stop(processes: &mut Processes) {
    for service in [Service::Invitations, Service::Membership] {
        processes.end(service).await;
    }
}

/// Starts services on these databases; returns them with the school there.
async fn restored(
    processes: &Processes,
    school: &School,
    databases: &Databases,
) -> (Processes, School) {
    let mut restored = processes.beside();
    for service in Service::BOTH {
        let url = database_url(databases.url_of(service));
        restored = restored.with_setting(service, "DATABASE_URL", &url);
    }
    restored.launch_both().await;
    let school = school.through(|claims| restored.user_with(claims));
    (restored, school)
}

/// Checks which invariants the auditor finds broken once recovery is done.
async fn broken(databases: &Databases, expected: &[Invariant]) {
    let options = Options {
        quiescent: true,
        ..Options::at(SystemClock.now())
    };
    eventually(&format!("the auditor finds {expected:?}"), async || {
        let report = audit(&databases.membership, &databases.invitations, &options).await;
        report.unwrap().broken() == expected
    })
    .await;
}

async fn redeemed(processes: &Processes, user: &str, credential: &str) -> RedemptionOutcome {
    let redeemed = processes.user(user).redeem(credential).await;
    redeemed.unwrap().outcome()
}

/// Checks that these students are admitted.
async fn come(processes: &Processes, code: &str, students: &[usize]) {
    for number in students {
        let outcome = redeemed(processes, &format!("student-{number}"), code).await;
        assert_eq!(outcome, RedemptionOutcome::Admitted, "{number}");
    }
}

/// Checks that this person waits.
async fn waits(processes: &Processes, user: &str, url: &str) {
    let outcome = redeemed(processes, user, url).await;
    assert_eq!(outcome, RedemptionOutcome::PendingApproval);
}

/// Approves the one waiting request.
async fn approve(school: &School) {
    let [waiting] = school.waiting().await.try_into().unwrap();
    let name = json!({"name": waiting.name});
    let method = "JoinRequestService.ApproveJoinRequest";
    school.teacher.call(method, &name).await.unwrap();
}

async fn reset_code(school: &School) -> String {
    let name = json!({"name": format!("{}/classCode", school.class)});
    let reset = school.teacher.ask("ClassCodeService.ResetClassCode", name);
    let reset: ResetClassCodeResponse = reset.await;
    reset.class_code.unwrap().code
}

async fn restored_as_of_different_moments(engine: Engine) {
    // Given a class at one moment, with two students and one who waits,
    let mut processes = Processes::start(engine).await;
    let school = processes.school().await;
    let first_code = school.class_code().await.code;
    let join_url = school.join_url().await.url;
    come(&processes, &first_code, &[0, 1]).await;
    waits(&processes, "waits", &join_url).await;
    processes.settled().await;
    stop(&mut processes).await;
    let before = copies(&processes, "before").await;

    // and at a later moment, with another code, more students, and the waiting one let in.
    processes.launch_both().await;
    come(&processes, &first_code, &[2, 3]).await;
    approve(&school).await;
    let second_code = reset_code(&school).await;
    come(&processes, &second_code, &[4, 5]).await;
    broken(processes.databases(), &[]).await;
    stop(&mut processes).await;
    let after = copies(&processes, "after").await;

    // When membership is older than invitations, whose feed is shorter than the position that
    // invitations stored, which is forgotten as docs/operating.md says,
    let older = Databases::of(before.membership, after.invitations, None);
    older
        .change_invitations("DELETE FROM feed_positions WHERE feed = 'membership'")
        .await;
    let (mut service, of_older) = restored(&processes, &school, &older).await;
    // then a student who came in between has to come again, and can,
    assert_eq!(of_older.roster().await.len(), 2 + 2);
    come(&service, &second_code, &[3, 4, 9]).await;
    approve(&of_older).await;
    waits(&service, "late", &join_url).await;
    approve(&of_older).await;
    // and the auditor reports the reset that membership does not have, until the next reset, and what cannot be
    // repaired: redemptions without their admissions.
    broken(&older, &[Invariant::I5, Invariant::I7]).await;
    reset_code(&of_older).await;
    broken(&older, &[Invariant::I7]).await;
    stop(&mut service).await;

    // When invitations is older than membership,
    let newer = Databases::of(after.membership, before.invitations, None);
    let (mut service, of_newer) = restored(&processes, &school, &newer).await;
    // then everybody is a member, and nobody gets in with the code from before its reset,
    assert_eq!(of_newer.roster().await.len(), 2 + 7);
    assert_eq!(
        redeemed(&service, "student-3", &join_url).await,
        RedemptionOutcome::AlreadyMember
    );
    let refused = service.user("stranger").redeem(&first_code).await;
    assert_eq!(reason(&refused.unwrap_err()), "MEMBERSHIP_UNAVAILABLE");
    // until staff reset it again.
    let third_code = reset_code(&of_newer).await;
    come(&service, &third_code, &[9]).await;
    broken(&newer, &[Invariant::I7]).await;
    stop(&mut service).await;
    for databases in [older, newer] {
        for service in Service::BOTH {
            if let Url::Postgres(text) = databases.url_of(service) {
                let (_, database) = text.rsplit_once('/').unwrap();
                run(format!("DROP DATABASE {database} WITH (FORCE)")).await;
            }
        }
    }
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_recovery_heals_of_databases_of_different_moments_on_postgres() {
    restored_as_of_different_moments(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_recovery_heals_of_databases_of_different_moments_on_sqlite() {
    restored_as_of_different_moments(Engine::Sqlite).await;
}
