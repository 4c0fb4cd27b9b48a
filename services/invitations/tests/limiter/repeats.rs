//! A repeated guess reveals nothing new to a guesser (R10): it costs the user nothing, and nobody can poll by it.

use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect, GuessScope};

use super::support::{
    AttemptWith as _, Bench, Form, over_every_form, seconds, user, without_user_limit,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const SCHOOL: &str = "203.0.113.7";
/// The number of repeats of a user at once, the same as an address's failures.
const REPEATS: usize = 30;
/// The number of presses that are free of the address: a failure, and one repeat more than a burst.
const FREE_PRESSES: usize = 7;

over_every_form!(
    u3_a_repeat_costs_the_user_nothing,
    u3_presses_in_parallel_are_one_guess,
    u3_a_repeat_passes_though_the_user_has_spent_the_burst,
    u3_a_user_has_no_more_repeats_than_an_address_has_failures,
    u3_repeats_beyond_a_burst_count_against_the_address,
    u3_a_repeat_that_the_address_refuses_is_none,
    u3_a_class_that_presses_at_a_spent_address_is_not_refused,
    u3_a_repeat_is_a_guess_of_the_service_and_none_of_an_organization,
    u3_every_repeat_counts_against_the_calling_service,
    u3_what_was_given_back_is_no_repeat,
    u3_what_let_somebody_in_is_no_repeat_any_more,
    u3_the_same_change_over_and_over_stays_charged_from_the_fifty_first_on,
    u3_a_guess_is_remembered_for_24_hours,
    u3_a_guess_is_remembered_of_its_user_alone,
    u3_a_clock_set_back_locks_no_repeat_out,
    r10_a_cleared_user_begins_anew,
);

fn default_bench(form: Form) -> Bench {
    Bench::new(form, Budgets::default())
}

/// Returns budgets under which repeats are not limited either.
fn without_limits() -> Budgets {
    Budgets {
        address_hourly: 10_000,
        ..without_user_limit()
    }
}

async fn u3_a_repeat_costs_the_user_nothing(form: Form) {
    // given a button that is pressed ten times
    let bench = default_bench(form);
    let press = user("ada").typing(1);
    bench.fail(&press, 10).await;
    // then four other guesses are left of five, and the button
    for text in 2..=5 {
        bench.fail(&user("ada").typing(text), 1).await;
    }
    let sixth = bench.charge(&user("ada").typing(6)).await;
    assert_eq!(sixth.refusal(), (Dimension::User, 12 * 60));
    let receipt = bench.charge(&press).await.receipt();
    assert!(receipt.is_repeat());
    bench.give_back(receipt, Effect::Admitted).await;
}

async fn u3_presses_in_parallel_are_one_guess(form: Form) {
    let bench = default_bench(form);
    let outcomes = bench.charge_all(&vec![user("ada").typing(1); 10]).await;
    let receipts: Vec<_> = outcomes
        .into_iter()
        .map(super::support::Outcome::receipt)
        .collect();
    let repeats = receipts.iter().filter(|receipt| receipt.is_repeat());
    assert_eq!(repeats.count(), 9);
    for receipt in receipts {
        bench.keep(receipt).await;
    }
    for text in 2..=5 {
        bench.fail(&user("ada").typing(text), 1).await;
    }
    assert!(!bench.charge(&user("ada").typing(6)).await.is_allowed());
}

async fn u3_a_repeat_passes_though_the_user_has_spent_the_burst(form: Form) {
    let bench = default_bench(form);
    for text in 1..=5 {
        bench.fail(&user("ada").typing(text), 1).await;
    }
    for text in 1..=5 {
        bench.fail(&user("ada").typing(text), 1).await;
    }
    assert!(!bench.charge(&user("ada").typing(6)).await.is_allowed());
}

async fn u3_a_user_has_no_more_repeats_than_an_address_has_failures(form: Form) {
    // given a user who polls without an address
    let bench = default_bench(form);
    let poll = user("eve").typing(1);
    bench.fail(&poll, 1 + REPEATS).await;
    let refused = (Dimension::User, 120);
    assert_eq!(bench.charge(&poll).await.refusal(), refused);
    // vouched for or not
    assert_eq!(
        bench.charge(&poll.clone().vouched()).await.refusal(),
        refused
    );
    // then one more passes every two minutes, and other guesses as before
    bench.advance(seconds(119));
    assert_eq!(bench.charge(&poll).await.refusal(), (Dimension::User, 1));
    bench.advance(seconds(1));
    bench.fail(&poll, 1).await;
    assert_eq!(bench.charge(&poll).await.refusal(), refused);
    bench.fail(&user("eve").typing(2), 1).await;
}

async fn u3_repeats_beyond_a_burst_count_against_the_address(form: Form) {
    // given a user who presses as often as possible: 24 count
    let bench = default_bench(form);
    bench
        .fail(&user("eve").at(SCHOOL).typing(1), 1 + REPEATS)
        .await;
    // when another presses there, then there is room for six beyond her seven
    let press = user("ada").at(SCHOOL).typing(1);
    bench.fail(&press, FREE_PRESSES + 6).await;
    assert_eq!(
        bench.charge(&press).await.refusal(),
        (Dimension::Address, 120)
    );
    // but a user who types something else has failed once
    bench.fail(&user("ada").at(SCHOOL).typing(2), 1).await;
    // and a user who is vouched for does not count against the address
    bench.fail(&press.vouched(), 1).await;
}

async fn u3_a_repeat_that_the_address_refuses_is_none(form: Form) {
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    let press = user("ada").at(SCHOOL).typing(1);
    bench.fail(&press, FREE_PRESSES + 1).await;
    for _ in 0..2 * REPEATS {
        assert_eq!(
            bench.charge(&press).await.refusal(),
            (Dimension::Address, 120)
        );
    }
    // elsewhere all repeats except the earlier ones are left
    let elsewhere = user("ada").typing(1);
    bench.fail(&elsewhere, REPEATS - FREE_PRESSES).await;
    assert_eq!(
        bench.charge(&elsewhere).await.refusal(),
        (Dimension::User, 120)
    );
}

async fn u3_a_class_that_presses_at_a_spent_address_is_not_refused(form: Form) {
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    for pupil in 0..30 {
        let press = user(&format!("pupil-{pupil}")).at(SCHOOL).typing(1);
        bench.fail(&press, 5).await;
        let receipt = bench.charge(&press).await.receipt();
        bench.give_back(receipt, Effect::Admitted).await;
    }
}

async fn u3_a_repeat_is_a_guess_of_the_service_and_none_of_an_organization(form: Form) {
    let budgets = Budgets {
        service_hourly: 5,
        ..without_limits()
    };
    let bench = Bench::new(form, budgets);
    let hamilton = GuessScope::Organization(OrganizationId::parse("hamilton").unwrap());
    let scopes = [hamilton.clone(), GuessScope::Service];
    // given a class that presses the button, and whose code names the school
    for student in ["ada", "grace", "joan"] {
        bench
            .fail(&user(student).naming("hamilton", 0).typing(1), 40)
            .await;
    }
    assert_eq!(bench.limiter.guarded(&scopes).await, [false, false]);
    // then 47 guesses are left of fifty, and the next one closes the guard
    bench.fail(&user("eve").naming("hamilton", 0), 47).await;
    let last = bench
        .charge(&user("eve").naming("hamilton", 0))
        .await
        .receipt();
    assert_eq!(bench.keep(last).await, Some(hamilton));
    // a guess that names no organization counts each time
    let press = user("ada").typing(2);
    bench.fail(&press, 5).await;
    let last = bench.charge(&press).await.receipt();
    assert_eq!(bench.keep(last).await, Some(GuessScope::Service));
}

async fn u3_every_repeat_counts_against_the_calling_service(form: Form) {
    let budgets = Budgets {
        calling_service_attempts_per_minute: Some(6),
        ..Budgets::default()
    };
    let bench = Bench::new(form, budgets);
    bench.fail(&user("ada").typing(1), 6).await;
    let refused = bench.charge(&user("ada").typing(1)).await.refusal();
    assert_eq!(refused, (Dimension::CallingService, 10));
}

async fn u3_what_was_given_back_is_no_repeat(form: Form) {
    let bench = default_bench(form);
    let press = user("ada").typing(1);
    let receipt = bench.charge(&press).await.receipt();
    bench.give_back(receipt, Effect::Nothing).await;
    bench.fail(&user("ada"), 5).await;
    assert_eq!(
        bench.charge(&press).await.refusal(),
        (Dimension::User, 12 * 60)
    );
}

async fn u3_what_let_somebody_in_is_no_repeat_any_more(form: Form) {
    let bench = default_bench(form);
    let press = user("ada").typing(1);
    bench.fail(&press, 2).await;
    let receipt = bench.charge(&press).await.receipt();
    bench.give_back(receipt, Effect::Filed).await;
    // the earlier failure remains one
    bench.fail(&user("ada"), 4).await;
    assert_eq!(
        bench.charge(&press).await.refusal(),
        (Dimension::User, 12 * 60)
    );
}

async fn u3_the_same_change_over_and_over_stays_charged_from_the_fifty_first_on(form: Form) {
    let bench = default_bench(form);
    let join = user("ada").typing(1);
    for _ in 0..50 + 5 {
        let receipt = bench.charge(&join).await.receipt();
        assert!(!receipt.is_repeat());
        bench.give_back(receipt, Effect::Admitted).await;
    }
    assert_eq!(
        bench.charge(&join).await.refusal(),
        (Dimension::User, 12 * 60)
    );
}

async fn u3_a_guess_is_remembered_for_24_hours(form: Form) {
    let bench = default_bench(form);
    let press = user("ada").typing(1);
    bench.fail(&press, 1).await;
    bench.advance(seconds(DAY - 1));
    bench.fail(&user("ada"), 5).await;
    bench.fail(&press, 1).await;
    bench.advance(seconds(1));
    assert_eq!(bench.charge(&press).await.refusal().0, Dimension::User);
}

async fn u3_a_guess_is_remembered_of_its_user_alone(form: Form) {
    let bench = default_bench(form);
    bench.fail(&user("eve").typing(1), 1).await;
    assert!(
        !bench
            .charge(&user("ada").typing(1))
            .await
            .receipt()
            .is_repeat()
    );
}

async fn u3_a_clock_set_back_locks_no_repeat_out(form: Form) {
    let bench = default_bench(form);
    let press = user("ada").typing(1);
    bench.fail(&press, 1 + REPEATS).await;
    bench.advance(seconds(-365 * DAY));
    assert_eq!(bench.charge(&press).await.refusal(), (Dimension::User, 120));
    bench.advance(seconds(120));
    bench.fail(&press, 1).await;
}

async fn r10_a_cleared_user_begins_anew(form: Form) {
    let bench = default_bench(form);
    let ada: UserId = user("ada").user;
    let under_way = bench.charge(&user("ada")).await.receipt();
    bench.fail(&user("ada"), 4).await;
    bench.fail(&user("eve"), 5).await;
    assert!(!bench.charge(&user("ada")).await.is_allowed());
    // when support clears her
    assert!(bench.limiter.clear(&ada).await);
    // then she fails five times again, and nobody else
    bench.keep(under_way).await;
    bench.fail(&user("ada"), 5).await;
    for name in ["ada", "eve"] {
        assert!(!bench.charge(&user(name)).await.is_allowed(), "{name}");
    }
    // and an unknown user is cleared as well
    let nobody: Attempt = user("nobody");
    assert!(bench.limiter.clear(&nobody.user).await);
}
