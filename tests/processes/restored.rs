//! Two databases that were restored to different moments: what recovery repairs, and what remains.

use std::{fs, time::Duration};

use homeroom_api::invitations::v1::{RedemptionOutcome, ResetClassCodeResponse};
use homeroom_audit::{Invariant, Options, audit};
use homeroom_kit::{
    clock::{Clock as _, SystemClock},
    database::Url,
};
use homeroom_tests::{
    Engine, School,
    databases::{DATABASE_URL_VARIABLE, Databases, Reader},
    processes::{Processes, Service},
    reason,
};
use serde_json::json;

const BOTH: [Service; 2] = [Service::Invitations, Service::Membership];
const STOP_SECONDS: u64 = 30;
const SETTLE_SECONDS: u64 = 60;

/// Both databases at one moment.
struct Moment {
    membership: Url,
    invitations: Url,
}

impl Moment {
    /// Copies the databases of services that do not run.
    async fn of(processes: &Processes, name: &str) -> Self {
        Self {
            membership: copy(&processes.databases().membership, name).await,
            invitations: copy(&processes.databases().invitations, name).await,
        }
    }
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
    for service in BOTH {
        processes.order_stop(service);
        processes
            .ended(service, Duration::from_secs(STOP_SECONDS))
            .await;
    }
}

async fn come(processes: &Processes, code: &str, students: std::ops::Range<usize>) {
    for number in students {
        let student = processes.user(&format!("student-{number}"));
        let redeemed = student.redeem(code).await.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
    }
}

/// Checks which invariants the auditor finds broken once recovery is done.
async fn broken(moment: &Moment, expected: &[Invariant]) {
    let options = Options {
        quiescent: true,
        ..Options::at(SystemClock.now())
    };
    let audited = async {
        loop {
            let report = audit(&moment.membership, &moment.invitations, &options).await;
            let report = report.unwrap();
            if report.broken() == expected {
                return;
            }
            println!("{}", report.to_json());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(SETTLE_SECONDS), audited).await;
    waited.unwrap_or_else(|_| panic!("the auditor finds other than {expected:?}"));
}

/// Runs the statement that docs/operating.md gives for this case.
async fn forget_the_feed(invitations: &Url) {
    Databases::of(invitations.clone(), invitations.clone(), None)
        .change_invitations("DELETE FROM feed_positions WHERE feed = 'membership'")
        .await;
}

async fn redeemed(processes: &Processes, user: &str, credential: &str) -> RedemptionOutcome {
    processes
        .user(user)
        .redeem(credential)
        .await
        .unwrap()
        .outcome()
}

/// Approves the one waiting request.
async fn approve(school: &School) {
    let [waiting] = school.waiting().await.try_into().unwrap();
    let name = json!({"name": waiting.name});
    let approved = school
        .teacher
        .call("JoinRequestService.ApproveJoinRequest", &name)
        .await;
    approved.unwrap();
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
    come(&processes, &first_code, 0..2).await;
    assert_eq!(
        redeemed(&processes, "waits", &join_url).await,
        RedemptionOutcome::PendingApproval
    );
    processes.settled().await;
    stop(&mut processes).await;
    let before = Moment::of(&processes, "before").await;

    // and at a later moment, with another code, more students, and the waiting one let in.
    processes.launch_both().await;
    come(&processes, &first_code, 2..4).await;
    approve(&school).await;
    let second_code = reset_code(&school).await;
    come(&processes, &second_code, 4..6).await;
    let now = Moment {
        membership: processes.databases().membership.clone(),
        invitations: processes.databases().invitations.clone(),
    };
    broken(&now, &[]).await;
    stop(&mut processes).await;
    let after = Moment::of(&processes, "after").await;

    // When membership is older than invitations,
    let older = Moment {
        membership: before.membership,
        invitations: after.invitations,
    };
    // whose feed is shorter than the position that invitations stored,
    forget_the_feed(&older.invitations).await;
    let mut restored = processes
        .beside()
        .with_database_url(Service::Membership, older.membership.clone())
        .with_database_url(Service::Invitations, older.invitations.clone());
    restored.launch_both().await;
    let school_of = |restored: &Processes| School {
        admin: restored.user("admin"),
        teacher: restored.user("teacher"),
        co_teacher: restored.user("co-teacher"),
        ..school.clone()
    };
    let of_older = school_of(&restored);
    // then a student who came in between has to come again, and can,
    assert_eq!(of_older.roster().await.len(), 2 + 2);
    for student in ["student-3", "student-4", "student-9"] {
        assert_eq!(
            redeemed(&restored, student, &second_code).await,
            RedemptionOutcome::Admitted
        );
    }
    approve(&of_older).await;
    assert_eq!(
        redeemed(&restored, "late", &join_url).await,
        RedemptionOutcome::PendingApproval
    );
    approve(&of_older).await;
    // and the auditor reports the reset that membership does not have, until the next reset, and what cannot be
    // repaired: redemptions without their admissions.
    broken(&older, &[Invariant::I5, Invariant::I7]).await;
    reset_code(&of_older).await;
    broken(&older, &[Invariant::I7]).await;
    stop(&mut restored).await;

    // When invitations is older than membership,
    let newer = Moment {
        membership: after.membership,
        invitations: before.invitations,
    };
    let mut restored = processes
        .beside()
        .with_database_url(Service::Membership, newer.membership.clone())
        .with_database_url(Service::Invitations, newer.invitations.clone());
    restored.launch_both().await;
    let of_newer = school_of(&restored);
    // then everybody is a member, and nobody gets in with the code from before its reset,
    assert_eq!(of_newer.roster().await.len(), 2 + 7);
    assert_eq!(
        redeemed(&restored, "student-3", &join_url).await,
        RedemptionOutcome::AlreadyMember
    );
    let refused = restored
        .user("stranger")
        .redeem(&first_code)
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "MEMBERSHIP_UNAVAILABLE");
    // until staff reset it again.
    let third_code = reset_code(&of_newer).await;
    assert_eq!(
        redeemed(&restored, "student-9", &third_code).await,
        RedemptionOutcome::Admitted
    );
    broken(&newer, &[Invariant::I7]).await;
    stop(&mut restored).await;
    for url in [
        older.membership,
        older.invitations,
        newer.membership,
        newer.invitations,
    ] {
        if let Url::Postgres(text) = url {
            let (_, database) = text.rsplit_once('/').unwrap();
            run(format!("DROP DATABASE {database} WITH (FORCE)")).await;
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
