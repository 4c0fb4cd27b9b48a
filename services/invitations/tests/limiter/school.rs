//! A school behind one address gets in, a guesser does not (R10): simulated arrivals and attackers.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::future::join_all;
use homeroom_invitations::limiter::{Attempt, Budgets, Effect};
use homeroom_kit::random::{SeededRandomness, below};

use super::support::{AttemptWith as _, Bench, Form, Outcome, over_every_form, seconds, user};

const SCHOOL: &str = "203.0.113.7";
const STUDENTS: u32 = 300;
const ATTACKERS: u32 = 200;
/// The percentage of students' attempts that are mistyped.
const TYPOS_PERCENT: u32 = 15;

fn student(number: u32) -> Attempt {
    user(&format!("student-{number}"))
        .at(SCHOOL)
        .naming("hamilton", STUDENTS)
}

fn attacker(number: u32) -> Attempt {
    user(&format!("attacker-{number}")).at(SCHOOL)
}

async fn r10_three_hundred_arrive_at_once_behind_a_spent_address(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    bench.spend_address(SCHOOL).await;
    // when all are under way at once, one by one
    let students: Vec<_> = (0..STUDENTS).map(student).collect();
    let outcomes = join_all(students.iter().map(|attempt| bench.charge(attempt))).await;
    // then all get in at once, and none queues
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_allowed() && !outcome.is_guarded())
    );
    let receipts = outcomes.into_iter().map(Outcome::receipt).collect();
    bench.give_back_all(receipts, Effect::Admitted).await;
    // and the same holds in one slice
    let students: Vec<_> = (STUDENTS..2 * STUDENTS).map(student).collect();
    let outcomes = bench.charge_all(&students).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_allowed() && !outcome.is_guarded())
    );
}

async fn r10_at_least_298_of_300_get_in_within_60_s_beside_200_attackers(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    let random = SeededRandomness::new(7);
    let mut waiting: BTreeSet<u32> = (0..STUDENTS).collect();
    let mut guesses = 0_u32;
    for second in 0..60_u32 {
        bench.advance(seconds(1));
        // the attackers come first, each four times a second
        let attempts: Vec<_> = (0..ATTACKERS)
            .flat_map(|number| vec![attacker(number); 4])
            .collect();
        for outcome in bench.charge_all(&attempts).await {
            if let Outcome::Allowed { receipt, .. } = outcome {
                guesses += 1;
                bench.keep(receipt).await;
            }
        }
        // a student arrives each tenth of a second, and tries once every five seconds until admitted
        for number in waiting.clone() {
            let arrives = number * 40 / STUDENTS;
            if second < arrives || !(second - arrives).is_multiple_of(5) {
                continue;
            }
            let Outcome::Allowed {
                receipt,
                guess_guarded,
            } = bench.charge(&student(number)).await
            else {
                continue;
            };
            if below(&random, 100) < TYPOS_PERCENT {
                bench.keep(receipt).await;
                continue;
            }
            assert!(!guess_guarded);
            bench.give_back(receipt, Effect::Admitted).await;
            waiting.remove(&number);
        }
    }
    assert!(waiting.len() <= 2, "still out: {waiting:?}");
    // 3 for each account; 30 of the address, one more at half a minute, and the additions of 300 admissions
    let most = 3 * ATTACKERS + 31 + STUDENTS;
    assert!(guesses <= most, "{guesses} guesses, at most {most}");
}

async fn r10_one_attacker_gets_five_then_five_an_hour_and_twenty_a_day(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    let attempt = user("attacker");
    let mut times = Vec::new();
    let mut now = 0_i64;
    // it attempts whenever it is allowed
    while now < 72 * 3600 {
        match bench.charge(&attempt).await {
            Outcome::Allowed { receipt, .. } => {
                times.push(now);
                bench.keep(receipt).await;
            }
            Outcome::Refused(_, retry) => {
                let retry = i64::try_from(retry).unwrap();
                bench.advance(TimeDelta::seconds(retry));
                now += retry;
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
    assert_eq!(most_within(12 * 60), 5);
    assert_eq!(
        most_within(3600),
        5 + 4,
        "the burst, and what comes back within the hour"
    );
    assert_eq!(most_within(24 * 3600), 20);
    assert_eq!(times.len(), 60);
}

over_every_form!(
    r10_three_hundred_arrive_at_once_behind_a_spent_address,
    r10_at_least_298_of_300_get_in_within_60_s_beside_200_attackers,
    r10_one_attacker_gets_five_then_five_an_hour_and_twenty_a_day,
);
