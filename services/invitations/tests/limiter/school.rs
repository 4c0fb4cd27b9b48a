//! A school behind one address gets in, a guesser does not (R10): simulated arrivals and attackers.

use std::collections::BTreeSet;

use futures::future::join_all;
use homeroom_invitations::limiter::{Attempt, Effect, Receipt};
use homeroom_kit::random::{SeededRandomness, below};

use super::support::{
    AttemptWith as _, Bench, FAILED, Form, HOUR, MINUTE, SCHOOL, over_every_form, user,
};

const STUDENTS: u32 = 300;
const ATTACKERS: u32 = 200;
/// The percentage of students' attempts that are mistyped.
const TYPOS_PERCENT: u32 = 15;

fn student(number: u32) -> Attempt {
    user(&format!("student-{number}"))
        .at(SCHOOL)
        .naming("hamilton")
        .with(|attempt| attempt.organization_seats = Some(STUDENTS))
}

fn attacker(number: u32) -> Attempt {
    user(&format!("attacker-{number}")).at(SCHOOL)
}

async fn r10_three_hundred_arrive_at_once_behind_a_spent_address(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    // when all are under way at once, one by one, or in one slice
    let students: Vec<_> = (0..2 * STUDENTS).map(student).collect();
    let (singly, slice) = students.split_at(students.len() / 2);
    let mut verdicts = join_all(singly.iter().map(|attempt| bench.charge(attempt))).await;
    verdicts.extend(bench.charge_all(slice).await);
    // then all get in at once, and none queues
    let receipts: Vec<Receipt> = verdicts.into_iter().map(Result::unwrap).collect();
    assert!(receipts.iter().all(|receipt| !receipt.guess_guarded));
}

async fn r10_at_least_298_of_300_get_in_within_60_s_beside_200_attackers(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let random = SeededRandomness::new(7);
    let mut waiting: BTreeSet<u32> = (0..STUDENTS).collect();
    let mut guesses = 0_u32;
    for second in 0..60_u32 {
        bench.advance(1);
        // the attackers come first, each four times a second
        let attempts: Vec<_> = (0..ATTACKERS)
            .flat_map(|number| vec![attacker(number); 4])
            .collect();
        for receipt in bench.charge_all(&attempts).await.into_iter().flatten() {
            guesses += 1;
            bench.settle(receipt, FAILED).await;
        }
        // a student arrives each tenth of a second, and tries once every five seconds until admitted
        for number in waiting.clone() {
            let arrives = number * 40 / STUDENTS;
            if second < arrives || !(second - arrives).is_multiple_of(5) {
                continue;
            }
            let Ok(receipt) = bench.charge(&student(number)).await else {
                continue;
            };
            if below(&random, 100) < TYPOS_PERCENT {
                bench.settle(receipt, FAILED).await;
                continue;
            }
            assert!(!receipt.guess_guarded);
            bench.give_back_all(vec![receipt], Effect::Admitted).await;
            waiting.remove(&number);
        }
    }
    assert!(waiting.len() <= 2, "still out: {waiting:?}");
    // 3 for each account; 30 of the address, one more at half a minute, and the additions of 300 admissions
    let most = 3 * ATTACKERS + 31 + STUDENTS;
    assert!(guesses <= most, "{guesses} guesses, at most {most}");
}

async fn r10_one_attacker_gets_five_then_five_an_hour_and_twenty_a_day(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let attempt = user("attacker");
    let mut times = Vec::new();
    let mut now = 0_i64;
    // it attempts whenever it is allowed
    while now < 72 * HOUR {
        match bench.charge(&attempt).await {
            Ok(receipt) => {
                times.push(now);
                bench.settle(receipt, FAILED).await;
            }
            Err(refused) => {
                let wait = i64::try_from(refused.retry_after.as_secs()).unwrap();
                bench.advance(wait);
                now += wait;
            }
        }
    }
    let most_within = |period: i64| {
        let within = |start: i64| {
            times
                .iter()
                .filter(|time| (start..start + period).contains(*time))
                .count()
        };
        times.iter().map(|start| within(*start)).max().unwrap_or(0)
    };
    assert_eq!(most_within(12 * MINUTE), 5);
    assert_eq!(
        most_within(HOUR),
        5 + 4,
        "the burst, and what comes back within the hour"
    );
    assert_eq!(most_within(24 * HOUR), 20);
    assert_eq!(times.len(), 60);
}

over_every_form!(
    r10_three_hundred_arrive_at_once_behind_a_spent_address,
    r10_at_least_298_of_300_get_in_within_60_s_beside_200_attackers,
    r10_one_attacker_gets_five_then_five_an_hour_and_twenty_a_day,
);
