//! The previous version and this one run side by side on the same databases, under load.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};
use homeroom_tests::{
    Claims, Engine, School,
    databases::Databases,
    processes::{Callers, Processes, Service},
    reason,
};
use tokio::task::JoinHandle;

use crate::{admitted, request};

/// The folder of the binaries that `tests/processes/build_previous` built.
const PREVIOUS_VARIABLE: &str = "HOMEROOM_PREVIOUS_BINARIES";
/// The number of students who redeem under load.
const REDEEMERS: usize = 400;
/// The number of all students: those and the one whose redemption is stuck.
const STUDENTS: usize = REDEEMERS + 1;
/// The number of concurrent redeemers.
const AT_ONCE: usize = 50;

/// Returns these processes, with some of them from the previous version, which does not know the
/// new migrations.
fn with_previous(processes: Processes, folder: &Path, previous: &[Service]) -> Processes {
    previous.iter().fold(processes, |processes, &service| {
        processes.with_binary(service, folder.join(service.name()))
    })
}

/// Redeems for these students, each through the next of the `callers`, and once more through the
/// one after it.
fn load(callers: Vec<Callers>, code: &str, students: Range<usize>) -> JoinHandle<()> {
    let code = code.to_owned();
    let load = stream::iter(students).for_each_concurrent(AT_ONCE, move |number| {
        let (callers, request) = (callers.clone(), request(&code, number));
        async move {
            let mut answers = Vec::new();
            for turn in 0..2 {
                let caller = &callers[(number + turn) % callers.len()];
                let student = caller.user(&format!("student-{number}"));
                answers.push(admitted(&student, request.clone()).await);
            }
            assert_eq!(answers[0], answers[1], "the same from either version");
        }
    });
    tokio::spawn(load)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_and_this_one_run_side_by_side() {
    let folder = std::env::var_os(PREVIOUS_VARIABLE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        panic!("{PREVIOUS_VARIABLE} is not set: run this by `tests/run upgrade`")
    });
    // Given the previous version in service,
    let databases = Databases::create(Engine::Postgres).await;
    let mut old = with_previous(Processes::on(databases), &folder, &Service::BOTH);
    old.launch_both().await;
    let seats = i64::try_from(STUDENTS).unwrap();
    let school = School::create("hamilton", seats, |claims| old.user_with(claims)).await;
    let code = school.class_code().await.code;
    // with a redemption of a person whose name membership refuses permanently,
    let noam = Claims {
        name: "\u{200f}Noam",
        ..Claims::of("noam")
    };
    let stuck = request(&code, REDEEMERS);
    let unknown = old.user_with(noam).redeem_with(stuck.clone()).await;
    assert_eq!(reason(&unknown.unwrap_err()), "MEMBERSHIP_UNAVAILABLE");
    let before = load(vec![old.callers()], &code, 0..REDEEMERS / 4);

    // when this version migrates the databases and starts beside it under load, and each version
    // calls the other,
    let mut new = old.beside();
    new.launch_both().await;
    let mut mixed = Service::BOTH.map(|one| {
        with_previous(old.beside(), &folder, &[one]).with_setting(one, "MIGRATE_AT_START", "false")
    });
    for pair in &mut mixed {
        pair.launch_both().await;
    }
    before.await.unwrap();
    let all = [&old, &mixed[0], &mixed[1], &new].map(Processes::callers);
    let beside = load(all.into(), &code, REDEEMERS / 4..REDEEMERS / 4 * 3);
    beside.await.unwrap();

    // and the previous version is stopped,
    let after = load(vec![new.callers()], &code, REDEEMERS / 4 * 3..REDEEMERS);
    let [first, second] = mixed;
    for mut pair in [old, first, second] {
        for service in [Service::Invitations, Service::Membership] {
            pair.end(service).await;
        }
    }
    after.await.unwrap();

    // then every student is admitted once.
    admitted(&new.user_with(noam), stuck).await;
    new.settled().await;
    let school = school.through(|claims| new.user_with(claims));
    assert_eq!(school.seats().await.seats_used, seats);
    assert_eq!(
        school.roster().await.len(),
        STUDENTS + 2,
        "and two teachers"
    );
    let (holds, printed) = new.audit();
    assert!(holds, "{printed}");
    new.stop().await;
}
