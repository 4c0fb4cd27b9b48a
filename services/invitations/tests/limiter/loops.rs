//! A user who joins and leaves, or files and withdraws, in a loop gains nothing by it (R10).

use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect};

use super::support::{
    AttemptWith as _, Bench, Form, over_every_form, seconds, user, without_user_limit,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const SCHOOL: &str = "203.0.113.7";
/// The number of failures that an address allows at once.
const ADDRESS: usize = 30;

over_every_form!(
    r10_a_user_who_joins_again_and_again_adds_to_an_address_once,
    r10_a_user_adds_to_an_address_again_after_24_hours,
    r10_a_user_adds_to_one_address_alone,
    r10_the_fifty_first_change_of_a_day_stays_charged,
    r10_changes_are_given_back_again_after_24_hours,
    r10_what_changes_nothing_is_given_back_however_often,
);

/// Returns the number of failures of users from the address that pass at once.
async fn allowed_at(bench: &Bench, address: &str) -> usize {
    let guesses: Vec<Attempt> = vec![user("eve").at(address); 2 * ADDRESS];
    let outcomes = bench.charge_all(&guesses).await;
    outcomes
        .iter()
        .filter(|outcome| outcome.is_allowed())
        .count()
}

async fn join(bench: &Bench, attempt: &Attempt) {
    let receipt = bench.charge(attempt).await.receipt();
    bench.give_back(receipt, Effect::Admitted).await;
}

async fn r10_a_user_who_joins_again_and_again_adds_to_an_address_once(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    for _ in 0..10 {
        join(&bench, &user("ada").at(SCHOOL)).await;
    }
    join(&bench, &user("grace").at(SCHOOL)).await;
    assert_eq!(allowed_at(&bench, SCHOOL).await, ADDRESS + 2);
}

async fn r10_a_user_adds_to_an_address_again_after_24_hours(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    join(&bench, &user("ada").at(SCHOOL)).await;
    bench.advance(seconds(DAY - 1));
    join(&bench, &user("ada").at(SCHOOL)).await;
    assert_eq!(allowed_at(&bench, SCHOOL).await, ADDRESS);
    bench.advance(seconds(HOUR + 1));
    join(&bench, &user("ada").at(SCHOOL)).await;
    assert_eq!(allowed_at(&bench, SCHOOL).await, ADDRESS + 1);
}

async fn r10_a_user_adds_to_one_address_alone(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    join(&bench, &user("ada").at(SCHOOL)).await;
    join(&bench, &user("ada").at("203.0.113.8")).await;
    assert_eq!(allowed_at(&bench, "203.0.113.8").await, ADDRESS);
}

/// Makes as many changes as a day gives back.
async fn spend_changes(bench: &Bench, attempt: &Attempt) {
    for number in 0..Budgets::default().user_refunds_daily_max {
        let receipt = bench.charge(attempt).await.receipt();
        let effect = if number % 2 == 0 {
            Effect::Admitted
        } else {
            Effect::Filed
        };
        bench.give_back(receipt, effect).await;
    }
}

async fn r10_the_fifty_first_change_of_a_day_stays_charged(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    spend_changes(&bench, &user("ada")).await;
    // when the user goes on, five more pass at once, as five failures would
    for _ in 0..5 {
        let receipt = bench.charge(&user("ada")).await.receipt();
        bench.give_back(receipt, Effect::Filed).await;
    }
    let refused = bench.charge(&user("ada")).await.refusal();
    assert_eq!(refused, (Dimension::User, 12 * 60));
    // and it does not affect anybody else
    assert!(bench.charge(&user("grace")).await.is_allowed());
}

async fn r10_changes_are_given_back_again_after_24_hours(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    spend_changes(&bench, &user("ada")).await;
    bench.advance(seconds(DAY));
    spend_changes(&bench, &user("ada")).await;
    bench.fail(&user("ada"), 5).await;
}

async fn r10_what_changes_nothing_is_given_back_however_often(form: Form) {
    let bench = Bench::new(form, Budgets::default());
    spend_changes(&bench, &user("ada")).await;
    for _ in 0..20 {
        let receipt = bench.charge(&user("ada")).await.receipt();
        bench.give_back(receipt, Effect::Nothing).await;
    }
    bench.fail(&user("ada"), 5).await;
}
