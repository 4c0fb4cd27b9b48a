//! Either service is killed in the middle of its work.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Instant};

use homeroom_api::invitations::v1::RedemptionOutcome;
use homeroom_tests::{
    Engine,
    processes::{Processes, Service},
};

use crate::crowd::{OpenClass, redeem};

/// The number of students who redeem while a service is killed.
const REDEEMERS: usize = 200;
/// The numbers of answers after which the service is killed. A service that works in batches may be
/// idle at one of them.
const KILL_AFTER_ANSWERS: [usize; 3] = [5, 60, 120];

async fn kill_in_the_middle(engine: Engine, victim: Service) {
    let mut processes = Processes::start(engine).await;
    let class = OpenClass::create(&processes, REDEEMERS).await;

    // When 200 students redeem, and the service is killed after 5 answers and restarted,
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..REDEEMERS {
        let student = processes.user(&format!("student-{number}"));
        let (answered, request) = (answered.clone(), class.request(number));
        tokio::spawn(async move {
            let mut failures = Vec::new();
            let answer = redeem(&student, request, |begun, failure| {
                failures.extend(failure.map(|_| begun..=Instant::now()));
            });
            let answer = answer.await;
            answered.send((answer, failures)).unwrap();
        });
    }
    drop(answered);
    let mut redemptions = BTreeSet::new();
    let mut killed = Vec::new();
    let mut failures = Vec::new();
    while let Some((answer, failed)) = answers.recv().await {
        let redeemed = answer.unwrap();
        failures.push(failed);
        // each ends once: with the first answer, or with the same one repeated.
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        assert!(
            redemptions.insert(redeemed.redemption),
            "one redemption each"
        );
        if KILL_AFTER_ANSWERS.contains(&redemptions.len()) {
            killed.push(Instant::now());
            processes.kill(victim);
            processes.launch(victim).await;
        }
    }
    assert_eq!(redemptions.len(), REDEEMERS);
    let met = |one: &RangeInclusive<Instant>| killed.iter().any(|killed| one.contains(killed));
    let met_it = failures.iter().filter(|tries| tries.iter().any(met));
    let met_it = met_it.count();
    assert!(met_it > 0, "{victim:?} was only killed while idle");
    println!("{victim:?} was killed in the middle of {met_it} tries, each answered later");

    // Then seats, members and redemptions agree once everything has settled.
    class.settled(&processes, REDEEMERS, REDEEMERS).await;
    processes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_membership_killed_in_the_middle_of_200_redemptions_on_postgres() {
    kill_in_the_middle(Engine::Postgres, Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_invitations_killed_in_the_middle_of_200_redemptions_on_postgres() {
    kill_in_the_middle(Engine::Postgres, Service::Invitations).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_membership_killed_in_the_middle_of_200_redemptions_on_sqlite() {
    kill_in_the_middle(Engine::Sqlite, Service::Membership).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_invitations_killed_in_the_middle_of_200_redemptions_on_sqlite() {
    kill_in_the_middle(Engine::Sqlite, Service::Invitations).await;
}
