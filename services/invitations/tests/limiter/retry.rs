//! `RetryInfo` is exact to the second (R10): after it an attempt passes, and a second earlier it does not.

use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect, Receipt};
use homeroom_kit::random::{SeededRandomness, below};

use super::support::{AttemptWith as _, Bench, Form, Outcome, over_every_form, seconds, user};

const SCHOOL: &str = "203.0.113.7";
/// The number of walks through each set of budgets, and of attempts in each.
const WALKS: u64 = 4;
const STEPS: u32 = 120;

over_every_form!(
    r10_a_wait_takes_what_is_under_way_as_given_back,
    r10_a_wait_counts_what_has_failed,
    r10_a_wait_counts_what_nobody_settled_within_a_minute,
    r10_a_wait_looks_at_the_address_too,
    r10_a_wait_looks_at_the_calling_service_too,
    r10_a_wait_at_the_address_takes_what_is_under_way_as_given_back,
    r10_after_a_refusals_wait_an_attempt_passes_and_a_second_earlier_not,
);

async fn r10_a_wait_takes_what_is_under_way_as_given_back(form: Form) {
    // given a user with five attempts under way at once
    let bench = Bench::new(form, Budgets::default());
    let mut receipts = Vec::new();
    for _ in 0..5 {
        receipts.push(bench.charge(&user("ada")).await.receipt());
    }
    // then the sixth is refused, for a second
    let refused = bench.charge(&user("ada")).await.refusal();
    assert_eq!(refused, (Dimension::User, 1));
    // and when they are given back, it passes
    bench.give_back_all(receipts, Effect::Nothing).await;
    assert!(bench.charge(&user("ada")).await.is_allowed());
}

async fn r10_a_wait_counts_what_has_failed(form: Form) {
    // given the same, with two failures among the five
    let bench = Bench::new(
        form,
        Budgets {
            user_burst: 2,
            ..Budgets::default()
        },
    );
    bench.fail(&user("ada"), 1).await;
    let under_way = bench.charge(&user("ada")).await.receipt();
    let refused = bench.charge(&user("ada")).await.refusal();
    assert_eq!(refused, (Dimension::User, 1));
    // when the attempt under way turns out to be a failure
    bench.keep(under_way).await;
    // then the wait is the true one
    let refused = bench.charge(&user("ada")).await.refusal();
    assert_eq!(refused, (Dimension::User, 12 * 60));
}

async fn r10_a_wait_counts_what_nobody_settled_within_a_minute(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    let mut lost = Vec::new();
    for _ in 0..5 {
        lost.push(bench.charge(&user("ada")).await.receipt());
    }
    bench.advance(seconds(60));
    let refused = bench.charge(&user("ada")).await.refusal();
    assert_eq!(refused, (Dimension::User, 11 * 60));
    // and an attempt that is settled late still counts
    bench.give_back_all(lost, Effect::Nothing).await;
    bench.fail(&user("ada"), 5).await;
}

async fn r10_a_wait_looks_at_the_address_too(form: Form) {
    // given a user whose next failure is a second away, and an address that is spent
    let bench = Bench::new(form, Budgets::default());
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, 5).await;
    bench.advance(seconds(12 * 60 - 1));
    bench.spend_address(SCHOOL).await;
    // then the wait is the address's, and is right
    let (_, wait) = bench.charge(&attempt).await.refusal();
    assert!((1..=120).contains(&wait), "{wait} s");
    bench.advance(seconds(i64::try_from(wait).unwrap() - 1));
    assert!(!bench.charge(&attempt).await.is_allowed());
    bench.advance(seconds(1));
    assert!(bench.charge(&attempt).await.is_allowed());
    // but not for a user who is vouched for
    let (_, wait) = bench.charge(&attempt.vouched()).await.refusal();
    assert_eq!(wait, 1, "the one under way");
}

async fn r10_a_wait_looks_at_the_calling_service_too(form: Form) {
    // given a calling service whose last attempt is taken by a user who is refused for a second
    let budgets = Budgets {
        calling_service_attempts_per_minute: Some(6),
        ..Budgets::default()
    };
    let bench = Bench::new(form, budgets);
    bench.fail(&user("ada"), 5).await;
    bench.advance(seconds(12 * 60 - 1));
    for number in 0..5 {
        bench.fail(&user(&format!("other-{number}")), 1).await;
    }
    let (_, wait) = bench.charge(&user("ada")).await.refusal();
    assert_eq!(wait, 10);
    bench.advance(seconds(10));
    assert!(bench.charge(&user("ada")).await.is_allowed());
}

async fn r10_a_wait_at_the_address_takes_what_is_under_way_as_given_back(form: Form) {
    // given an address at which thirty third attempts are under way
    let bench = Bench::new(form, Budgets::default());
    let mut receipts = Vec::new();
    for number in 0..30 {
        let attempt = user(&format!("student-{number}")).at(SCHOOL);
        bench.fail(&attempt, 2).await;
        receipts.push(bench.charge(&attempt).await.receipt());
    }
    let late = user("late").at(SCHOOL);
    bench.fail(&late, 3).await;
    let refused = bench.charge(&late).await.refusal();
    assert_eq!(refused, (Dimension::Address, 1));
    bench.give_back_all(receipts, Effect::Nothing).await;
    assert!(bench.charge(&late).await.is_allowed());
}

/// Returns an attempt of a walk; they share an address and a calling service.
fn walker(number: u32) -> Attempt {
    user(&format!("walker-{number}")).at(SCHOOL)
}

async fn r10_after_a_refusals_wait_an_attempt_passes_and_a_second_earlier_not(form: Form) {
    let tight = Budgets {
        user_daily: 12,
        address_hourly: 7,
        address_admissions_max: 3,
        ..Budgets::default()
    };
    let by_service = Budgets {
        calling_service_attempts_per_minute: Some(3),
        ..Budgets::default()
    };
    // A burst is spent again and again for longer than a day.
    let long = Budgets {
        user_burst: 40,
        user_hourly: 2,
        user_daily: 1_000,
        ..Budgets::default()
    };
    let mut refusals = [0_u32; 3];
    for budgets in [Budgets::default(), tight, by_service, long] {
        for seed in 0..WALKS {
            let bench = Bench::new(form, budgets.clone());
            let services = budgets.calling_service_attempts_per_minute.is_some();
            walk(
                &bench,
                &SeededRandomness::new(seed),
                services,
                &mut refusals,
            )
            .await;
        }
    }
    assert!(refusals.iter().all(|count| *count > 50), "{refusals:?}");
}

async fn walk(bench: &Bench, random: &SeededRandomness, services: bool, refusals: &mut [u32; 3]) {
    let mut under_way: Vec<Receipt> = Vec::new();
    for _ in 0..STEPS {
        let attempt = walker(below(random, 3));
        match bench.charge(&attempt).await {
            Outcome::Allowed { receipt, .. } => match below(random, 8) {
                0 => bench.give_back(receipt, Effect::Admitted).await,
                1 => under_way.push(receipt),
                _ => drop(bench.keep(receipt).await),
            },
            Outcome::Refused(dimension, wait) => {
                refusals[dimension as usize] += 1;
                // when everything is settled
                bench
                    .give_back_all(std::mem::take(&mut under_way), Effect::Nothing)
                    .await;
                bench.advance(seconds(i64::try_from(wait).unwrap() - 1));
                // An attempt in vain costs the calling service, unless that refuses it.
                if wait > 1 && (!services || dimension == Dimension::CallingService) {
                    let early = bench.charge(&attempt).await;
                    assert!(
                        !early.is_allowed(),
                        "{dimension:?}, a second before {wait} s"
                    );
                }
                bench.advance(seconds(1));
                let outcome = bench.charge(&attempt).await;
                assert!(
                    outcome.is_allowed(),
                    "{dimension:?} after {wait} s: {outcome:?}"
                );
                bench.keep(outcome.receipt()).await;
            }
        }
        if below(random, 4) == 0 {
            // An attempt that is under way for a minute would count as a failure.
            bench
                .give_back_all(std::mem::take(&mut under_way), Effect::Nothing)
                .await;
            bench.advance(seconds(i64::from(below(random, 400))));
        }
    }
}
