//! The previous version and this one run side by side on the same databases, under load.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use homeroom_api::invitations::v1::RedemptionOutcome;
use homeroom_tests::{
    Claims, Engine,
    databases::Databases,
    processes::{Callers, Processes, Service},
    reason,
};
use tokio::task::JoinSet;

use crate::crowd::{OpenClass, redeem};

/// The folder of the binaries that `tests/processes/build_previous` built.
const PREVIOUS_VARIABLE: &str = "HOMEROOM_PREVIOUS_BINARIES";
/// The number of students who redeem under load.
const REDEEMERS: usize = 400;
/// The number of all students: those and the one whose redemption is stuck.
const STUDENTS: usize = REDEEMERS + 1;
/// The number of concurrent redeemers.
const AT_ONCE: usize = 50;
/// The time within which the previous version must stop.
const STOP_SECONDS: u64 = 60;

const BOTH: [Service; 2] = [Service::Membership, Service::Invitations];

/// Returns these processes, with some of them from the previous version, which does not know the
/// new migrations.
fn with_previous(processes: Processes, folder: &Path, previous: &[Service]) -> Processes {
    previous.iter().fold(processes, |processes, &service| {
        processes.with_binary(service, folder.join(service.name()))
    })
}

/// Redeems for one student after the other, each through the next of the `callers`, and once more
/// through the one after it.
async fn redeem_on(
    callers: Vec<Callers>,
    class: Arc<OpenClass>,
    next: Arc<AtomicUsize>,
    end: usize,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        let mut answers = Vec::new();
        for turn in 0..2 {
            let caller = &callers[(number + turn) % callers.len()];
            let student = caller.user(&format!("student-{number}"));
            let answer = redeem(&student, class.request(number), |_, _| {}).await;
            let answer = answer.unwrap();
            assert_eq!(answer.outcome(), RedemptionOutcome::Admitted);
            answers.push(answer.redemption);
        }
        assert_eq!(
            answers[0], answers[1],
            "the same answer from either version"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_and_this_one_run_side_by_side() {
    let folder = std::env::var_os(PREVIOUS_VARIABLE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        panic!("{PREVIOUS_VARIABLE} is not set: run this by `tests/run upgrade`")
    });
    // Given the previous version in service,
    let databases = Databases::create(Engine::Postgres).await;
    let mut old = with_previous(Processes::on(databases), &folder, &BOTH);
    old.launch_both().await;
    let class = Arc::new(OpenClass::create(&old, STUDENTS).await);
    // with a redemption of a person whose name membership refuses permanently,
    let noam = Claims {
        name: "\u{200f}Noam",
        ..Claims::of("noam")
    };
    let stuck = class.request(REDEEMERS);
    let unknown = old.user_with(noam).redeem_with(stuck.clone()).await;
    assert_eq!(reason(&unknown.unwrap_err()), "MEMBERSHIP_UNAVAILABLE");
    let load = |callers: Vec<Callers>, students: Range<usize>| -> JoinSet<()> {
        let next = Arc::new(AtomicUsize::new(students.start));
        let one = || redeem_on(callers.clone(), class.clone(), next.clone(), students.end);
        (0..AT_ONCE).map(|_| one()).collect()
    };
    let mut before = load(vec![old.callers()], 0..REDEEMERS / 4);

    // when this version migrates the databases and starts beside it under load, and each version
    // calls the other,
    let mut new = old.beside();
    new.launch_both().await;
    let mut mixed = [Service::Membership, Service::Invitations]
        .map(|one| with_previous(old.beside(), &folder, &[one]).without_migrations(one));
    for pair in &mut mixed {
        pair.launch_both().await;
    }
    while let Some(done) = before.join_next().await {
        done.unwrap();
    }
    let all = [&old, &mixed[0], &mixed[1], &new].map(Processes::callers);
    let mut beside = load(all.into(), REDEEMERS / 4..REDEEMERS / 4 * 3);
    while let Some(done) = beside.join_next().await {
        done.unwrap();
    }

    // and the previous version is stopped,
    let mut after = load(vec![new.callers()], REDEEMERS / 4 * 3..REDEEMERS);
    let [first, second] = mixed;
    for mut pair in [old, first, second] {
        for service in [Service::Invitations, Service::Membership] {
            pair.order_stop(service);
            pair.ended(service, Duration::from_secs(STOP_SECONDS)).await;
        }
    }
    while let Some(done) = after.join_next().await {
        done.unwrap();
    }

    // then every student is admitted once.
    class.settled(&new, STUDENTS, STUDENTS).await;
    let redeemed = new.user_with(noam).redeem_with(stuck).await.unwrap();
    assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
    let (holds, printed) = new.audit();
    assert!(holds, "{printed}");
    new.stop().await;
}
