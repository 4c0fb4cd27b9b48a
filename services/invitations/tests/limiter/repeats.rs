//! A repeated guess reveals nothing new to a guesser (R10): it costs the user nothing, and nobody can poll by it.

use homeroom_invitations::limiter::{Budgets, Dimension, Effect, GuessScope, Receipt};

use super::support::{
    AttemptWith as _, BY_ADDRESS, BY_USER, Bench, DAY, FAILED, Form, SCHOOL, organization,
    over_every_form, user, without_user_limit,
};

/// The number of repeats of a user at once, the same as an address's failures.
const REPEATS: usize = 30;
/// The number of presses that are free of the address: a failure, and one repeat more than a burst.
const FREE_PRESSES: usize = 7;

over_every_form!(
    u3_a_repeat_costs_the_user_nothing,
    u3_presses_in_parallel_are_one_guess,
    u3_a_user_has_no_more_repeats_than_an_address_has_failures,
    u3_repeats_beyond_a_burst_count_against_the_address,
    u3_a_repeat_that_the_address_refuses_is_none,
    u3_a_class_that_presses_at_a_spent_address_is_not_refused,
    u3_a_repeat_is_a_guess_of_the_service_and_none_of_an_organization,
    u3_what_was_given_back_is_no_repeat,
    u3_what_let_somebody_in_is_no_repeat_any_more,
    u3_a_guess_is_remembered_of_its_user_alone_for_24_hours,
);

/// Fails once with each of these texts.
async fn type_all(bench: &Bench, id: &str, texts: std::ops::RangeInclusive<u8>) {
    for text in texts {
        bench.fail(&user(id).typing(text), 1).await;
    }
}

async fn u3_a_repeat_costs_the_user_nothing(form: Form) {
    // given a button that is pressed ten times
    let bench = Bench::with_defaults(form).await;
    let press = user("ada").typing(1);
    bench.fail(&press, 10).await;
    // then four other guesses are left of five, and all repeats, such as the button
    type_all(&bench, "ada", 2..=5).await;
    assert_eq!(bench.refusal(&user("ada").typing(6)).await, BY_USER);
    type_all(&bench, "ada", 1..=5).await;
    assert!(bench.charge(&press).await.unwrap().is_repeat);
}

async fn u3_presses_in_parallel_are_one_guess(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let presses = vec![user("ada").typing(1); 10];
    let verdicts = bench.charge_all(&presses).await;
    let receipts: Vec<Receipt> = verdicts.into_iter().map(Result::unwrap).collect();
    let repeats = receipts.iter().filter(|receipt| receipt.is_repeat);
    assert_eq!(repeats.count(), 9);
    for receipt in receipts {
        bench.settle(receipt, FAILED).await;
    }
    type_all(&bench, "ada", 2..=5).await;
    assert!(!bench.allows(&user("ada").typing(6)).await);
}

async fn u3_a_user_has_no_more_repeats_than_an_address_has_failures(form: Form) {
    // given a user who polls without an address
    let bench = Bench::with_defaults(form).await;
    let poll = user("eve").typing(1);
    bench.fail(&poll, 1 + REPEATS).await;
    let refused = (Dimension::User, 120);
    // vouched for or not
    for poll in [poll.clone(), poll.clone().vouched()] {
        assert_eq!(bench.refusal(&poll).await, refused);
    }
    // then one more passes every two minutes, and other guesses as before
    bench.advance(119);
    assert_eq!(bench.refusal(&poll).await, (Dimension::User, 1));
    bench.advance(1);
    bench.fail(&poll, 1).await;
    assert_eq!(bench.refusal(&poll).await, refused);
    bench.fail(&user("eve").typing(2), 1).await;
}

async fn u3_repeats_beyond_a_burst_count_against_the_address(form: Form) {
    // given a user who presses as often as possible: 24 count
    let bench = Bench::with_defaults(form).await;
    let poll = user("eve").at(SCHOOL).typing(1);
    bench.fail(&poll, 1 + REPEATS).await;
    // when another presses there, then there is room for six beyond her seven
    let press = user("ada").at(SCHOOL).typing(1);
    bench.fail(&press, FREE_PRESSES + 6).await;
    assert_eq!(bench.refusal(&press).await, BY_ADDRESS);
    // but a user who types something else has failed once
    bench.fail(&user("ada").at(SCHOOL).typing(2), 1).await;
    // and a user who is vouched for does not count against the address
    bench.fail(&press.vouched(), 1).await;
}

async fn u3_a_repeat_that_the_address_refuses_is_none(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    let press = user("ada").at(SCHOOL).typing(1);
    bench.fail(&press, FREE_PRESSES + 1).await;
    for _ in 0..2 * REPEATS {
        assert_eq!(bench.refusal(&press).await, BY_ADDRESS);
    }
    // elsewhere all repeats except the earlier ones are left
    let elsewhere = user("ada").typing(1);
    bench.fail(&elsewhere, REPEATS - FREE_PRESSES).await;
    assert_eq!(bench.refusal(&elsewhere).await, (Dimension::User, 120));
}

async fn u3_a_class_that_presses_at_a_spent_address_is_not_refused(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    for pupil in 0..30 {
        let press = user(&format!("pupil-{pupil}")).at(SCHOOL).typing(1);
        bench.fail(&press, 5).await;
        bench.give_back(&press, 1, Effect::Admitted).await;
    }
}

async fn u3_a_repeat_is_a_guess_of_the_service_and_none_of_an_organization(form: Form) {
    let budgets = Budgets {
        service_hourly: 5,
        address_hourly: 10_000,
        ..without_user_limit()
    };
    let bench = Bench::new(form, budgets).await;
    let scopes = [organization("hamilton"), GuessScope::Service];
    // given a class that presses the button, and whose code names the school
    for student in ["ada", "grace", "joan"] {
        let press = user(student).naming("hamilton").typing(1);
        bench.fail(&press, 40).await;
    }
    assert_eq!(bench.limiter.guarded(&scopes).await, [false, false]);
    // then 47 guesses are left of fifty, and the next one closes the guard
    let guess = user("eve").naming("hamilton");
    bench.fail(&guess, 47).await;
    assert_eq!(bench.closes(&guess).await, Some(organization("hamilton")));
    // a guess that names no organization counts each time
    let press = user("ada").typing(2);
    bench.fail(&press, 5).await;
    assert_eq!(bench.closes(&press).await, Some(GuessScope::Service));
}

async fn u3_what_was_given_back_is_no_repeat(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let press = user("ada").typing(1);
    bench.give_back(&press, 1, Effect::Nothing).await;
    bench.fail(&user("ada"), 5).await;
    assert_eq!(bench.refusal(&press).await, BY_USER);
}

async fn u3_what_let_somebody_in_is_no_repeat_any_more(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let press = user("ada").typing(1);
    bench.fail(&press, 2).await;
    bench.give_back(&press, 1, Effect::Filed).await;
    // the earlier failure remains one
    bench.fail(&user("ada"), 4).await;
    assert_eq!(bench.refusal(&press).await, BY_USER);
}

async fn u3_a_guess_is_remembered_of_its_user_alone_for_24_hours(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let press = user("ada").typing(1);
    bench.fail(&press, 1).await;
    let other = bench.charge(&user("eve").typing(1)).await.unwrap();
    assert!(!other.is_repeat);
    bench.advance(DAY - 1);
    bench.fail(&user("ada"), 5).await;
    bench.fail(&press, 1).await;
    bench.advance(1);
    assert_eq!(bench.refusal(&press).await.0, Dimension::User);
}
