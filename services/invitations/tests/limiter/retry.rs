//! `RetryInfo` is exact to the second (R10): after it an attempt passes, and a second earlier it does not.

use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect, Receipt};
use homeroom_kit::random::{SeededRandomness, below};

use super::support::{AttemptWith as _, Bench, FAILED, Form, SCHOOL, over_every_form, user};

/// The number of walks through each set of budgets, and of attempts in each.
const WALKS: u64 = 4;
const STEPS: u32 = 120;

over_every_form!(
    r10_a_wait_takes_what_is_under_way_as_given_back,
    r10_a_wait_counts_what_nobody_settled_within_a_minute,
    r10_a_wait_looks_at_the_address_too,
    r10_a_wait_looks_at_the_calling_service_too,
    r10_after_a_refusals_wait_an_attempt_passes_and_a_second_earlier_not,
);

/// Charges all of them, which are then under way.
async fn begin(bench: &Bench, attempts: &[Attempt]) -> Vec<Receipt> {
    let verdicts = bench.charge_all(attempts).await;
    verdicts.into_iter().map(Result::unwrap).collect()
}

async fn r10_a_wait_takes_what_is_under_way_as_given_back(form: Form) {
    // given a user with five attempts under way at once
    let bench = Bench::with_defaults(form).await;
    let ada = user("ada");
    let mut receipts = begin(&bench, &vec![ada.clone(); 5]).await;
    // then the sixth is refused, for a second
    assert_eq!(bench.refusal(&ada).await, (Dimension::User, 1));
    // and when one is given back, it passes
    bench
        .give_back_all(vec![receipts.remove(0)], Effect::Nothing)
        .await;
    assert!(bench.allows(&ada).await);
    // given an address at which thirty third attempts are under way
    let students: Vec<Attempt> = (0..30)
        .map(|number| user(&format!("student-{number}")).at(SCHOOL))
        .collect();
    for student in &students {
        bench.fail(student, 2).await;
    }
    let receipts = begin(&bench, &students).await;
    let late = user("late").at(SCHOOL);
    bench.fail(&late, 3).await;
    assert_eq!(bench.refusal(&late).await, (Dimension::Address, 1));
    bench.give_back_all(receipts, Effect::Nothing).await;
    assert!(bench.allows(&late).await);
}

async fn r10_a_wait_counts_what_nobody_settled_within_a_minute(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let ada = user("ada");
    let mut lost = begin(&bench, &vec![ada.clone(); 5]).await;
    // an attempt that turns out to be a failure counts at once
    bench.settle(lost.remove(0), FAILED).await;
    assert_eq!(bench.refusal(&ada).await, (Dimension::User, 1));
    bench.advance(60);
    assert_eq!(bench.refusal(&ada).await, (Dimension::User, 11 * 60));
    // and an attempt that is settled late still counts
    bench.give_back_all(lost, Effect::Nothing).await;
    bench.fail(&ada, 4).await;
    assert!(!bench.allows(&ada).await);
}

async fn r10_a_wait_looks_at_the_address_too(form: Form) {
    // given a user whose next failure is a second away, and an address that is spent
    let bench = Bench::with_defaults(form).await;
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, 5).await;
    bench.advance(12 * 60 - 1);
    bench.spend_address(SCHOOL).await;
    // then the wait is the address's, and is right
    let (_, wait) = bench.refusal(&attempt).await;
    assert!((2..=120).contains(&wait), "{wait} s");
    bench.advance(i64::try_from(wait).unwrap() - 1);
    assert!(!bench.allows(&attempt).await);
    bench.advance(1);
    assert!(bench.allows(&attempt).await);
    // but not for a user who is vouched for
    let (_, wait) = bench.refusal(&attempt.vouched()).await;
    assert_eq!(wait, 1, "the one under way");
}

async fn r10_a_wait_looks_at_the_calling_service_too(form: Form) {
    // given a calling service whose last attempt is taken by a user who is refused for a second
    let six = |budgets: &mut Budgets| budgets.calling_service_attempts_per_minute = Some(6);
    let bench = Bench::with(form, Budgets::default(), six).await;
    bench.fail(&user("ada"), 5).await;
    bench.advance(12 * 60 - 1);
    for number in 0..5 {
        bench.fail(&user(&format!("other-{number}")), 1).await;
    }
    assert_eq!(bench.refusal(&user("ada")).await.1, 10);
    bench.advance(10);
    assert!(bench.allows(&user("ada")).await);
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
            let bench = Bench::new(form, budgets.clone()).await;
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
        match (bench.charge(&attempt).await, below(random, 8)) {
            (Ok(receipt), 0) => bench.give_back_all(vec![receipt], Effect::Admitted).await,
            (Ok(receipt), 1) => under_way.push(receipt),
            (Ok(receipt), _) => drop(bench.settle(receipt, FAILED).await),
            (Err(refused), _) => {
                let (dimension, wait) = (refused.dimension, refused.retry_after.as_secs());
                refusals[dimension as usize] += 1;
                // when everything is settled
                let settled = std::mem::take(&mut under_way);
                bench.give_back_all(settled, Effect::Nothing).await;
                bench.advance(i64::try_from(wait).unwrap() - 1);
                // An attempt in vain costs the calling service, unless that refuses it.
                if wait > 1 && (!services || dimension == Dimension::CallingService) {
                    let passes = bench.allows(&attempt).await;
                    assert!(!passes, "{dimension:?}, a second before {wait} s");
                }
                bench.advance(1);
                bench.fail(&attempt, 1).await;
            }
        }
        if below(random, 4) == 0 {
            // An attempt that is under way for a minute would count as a failure.
            let settled = std::mem::take(&mut under_way);
            bench.give_back_all(settled, Effect::Nothing).await;
            bench.advance(i64::from(below(random, 400)));
        }
    }
}
