//! The budgets of user, address and calling service at their limits, run over all forms.

use futures::future::join_all;
use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect};

use super::support::{
    AttemptWith as _, Bench, Form, over_every_form, seconds, user, without_user_limit,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const SCHOOL: &str = "203.0.113.7";

over_every_form!(
    r10_a_user_fails_five_times_at_once_and_not_six,
    r10_a_user_regains_one_failure_each_twelve_minutes,
    r10_a_user_fails_twenty_times_in_any_24_hours,
    r10_parallel_guesses_buy_nothing,
    r10_what_is_given_back_is_restored_exactly,
    r10_giving_back_is_exact_whatever_came_between,
    r10_an_address_refuses_nobody_before_the_fourth_failure,
    r10_a_users_third_failure_is_the_first_that_its_address_pays,
    r10_an_address_regains_one_failure_each_two_minutes,
    r10_a_refused_attempt_costs_nothing,
    r10_the_addresss_charge_is_given_back,
    r10_a_64_of_ipv6_is_one_address,
    r10_each_first_admission_adds_one_failure_to_its_address,
    r10_first_admissions_add_at_most_three_hundred,
    r10_a_calling_service_is_limited_when_configured,
    r10_a_clock_set_back_locks_nobody_out,
);

fn default_bench(form: Form) -> Bench {
    Bench::new(form, Budgets::default())
}

async fn r10_a_user_fails_five_times_at_once_and_not_six(form: Form) {
    let bench = default_bench(form);
    bench.fail(&user("eve"), 5).await;
    assert_eq!(
        bench.charge(&user("eve")).await.refusal(),
        (Dimension::User, 12 * 60)
    );
    // vouched for or not
    assert_eq!(
        bench.charge(&user("eve").vouched()).await.refusal(),
        (Dimension::User, 12 * 60)
    );
    assert!(bench.charge(&user("another")).await.is_allowed());
}

async fn r10_a_user_regains_one_failure_each_twelve_minutes(form: Form) {
    let bench = default_bench(form);
    bench.fail(&user("eve"), 5).await;
    for _ in 0..3 {
        bench.advance(seconds(12 * MINUTE - 1));
        assert_eq!(
            bench.charge(&user("eve")).await.refusal(),
            (Dimension::User, 1)
        );
        bench.advance(seconds(1));
        bench.fail(&user("eve"), 1).await;
        assert_eq!(
            bench.charge(&user("eve")).await.refusal(),
            (Dimension::User, 12 * 60)
        );
    }
    // a user who waited has the whole burst again
    bench.advance(seconds(HOUR));
    bench.fail(&user("eve"), 5).await;
    assert!(!bench.charge(&user("eve")).await.is_allowed());
}

async fn r10_a_user_fails_twenty_times_in_any_24_hours(form: Form) {
    // given a user who fails as early as the hour's budget allows: 5 at once, 15 at 12 minutes each
    let bench = default_bench(form);
    bench.fail(&user("eve"), 5).await;
    for _ in 0..15 {
        bench.advance(seconds(12 * MINUTE));
        bench.fail(&user("eve"), 1).await;
    }
    bench.advance(seconds(HOUR));
    // when 4 hours have passed, then the first failure must be 24 hours old
    assert_eq!(
        bench.charge(&user("eve")).await.refusal(),
        (Dimension::User, 20 * 3600)
    );
    bench.advance(seconds(20 * HOUR - 1));
    assert_eq!(
        bench.charge(&user("eve")).await.refusal(),
        (Dimension::User, 1)
    );
    bench.advance(seconds(1));
    // five failures are 24 hours old now, and the next one 12 minutes later
    bench.fail(&user("eve"), 5).await;
    bench.advance(seconds(12 * MINUTE - 1));
    assert!(!bench.charge(&user("eve")).await.is_allowed());
    bench.advance(seconds(1));
    bench.fail(&user("eve"), 1).await;
}

async fn r10_parallel_guesses_buy_nothing(form: Form) {
    let bench = default_bench(form);
    let attempt = user("eve").at(SCHOOL);
    let outcomes = join_all((0..100).map(|_| bench.charge(&attempt))).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.is_allowed())
            .count(),
        5
    );
    // nor in one slice
    let attempts = vec![user("mallory").at(SCHOOL); 100];
    let outcomes = bench.charge_all(&attempts).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.is_allowed())
            .count(),
        5
    );
}

async fn r10_what_is_given_back_is_restored_exactly(form: Form) {
    let bench = default_bench(form);
    for _ in 0..50 {
        let receipt = bench.charge(&user("ada")).await.receipt();
        bench.give_back(receipt, Effect::Nothing).await;
    }
    bench.fail(&user("ada"), 4).await;
    let receipt = bench.charge(&user("ada")).await.receipt();
    bench.give_back(receipt, Effect::Admitted).await;
    bench.fail(&user("ada"), 1).await;
    assert_eq!(
        bench.charge(&user("ada")).await.refusal(),
        (Dimension::User, 12 * 60)
    );
}

async fn r10_giving_back_is_exact_whatever_came_between(form: Form) {
    // given an attempt under way for twenty minutes, and a failure in between
    let bench = default_bench(form);
    let receipt = bench.charge(&user("ada")).await.receipt();
    bench.advance(seconds(10 * MINUTE));
    bench.fail(&user("ada"), 1).await;
    bench.advance(seconds(10 * MINUTE));
    // when it is given back
    bench.give_back(receipt, Effect::Nothing).await;
    // then only the failure counts: 2 of its 12 minutes are left
    bench.fail(&user("ada"), 4).await;
    assert_eq!(
        bench.charge(&user("ada")).await.refusal(),
        (Dimension::User, 2 * 60)
    );
}

async fn r10_an_address_refuses_nobody_before_the_fourth_failure(form: Form) {
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    bench.fail(&user("ada").at(SCHOOL), 3).await;
    assert_eq!(
        bench.charge(&user("ada").at(SCHOOL)).await.refusal(),
        (Dimension::Address, 120)
    );
    // it refuses nobody who is vouched for, and nobody elsewhere
    for attempt in [
        user("ada").at(SCHOOL).vouched(),
        user("ada").at("203.0.113.8"),
        user("ada"),
    ] {
        let receipt = bench.charge(&attempt).await.receipt();
        bench.give_back(receipt, Effect::Nothing).await;
    }
    // and successful attempts are not among the three
    for _ in 0..5 {
        let receipt = bench.charge(&user("grace").at(SCHOOL)).await.receipt();
        bench.give_back(receipt, Effect::Nothing).await;
    }
    bench.fail(&user("grace").at(SCHOOL), 3).await;
    assert_eq!(
        bench.charge(&user("grace").at(SCHOOL)).await.refusal(),
        (Dimension::Address, 120)
    );
}

async fn r10_a_users_third_failure_is_the_first_that_its_address_pays(form: Form) {
    // given a spent address that regains room for one failure, and a user who waits for it
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    let waiting = user("grace").at(SCHOOL);
    bench.fail(&waiting, 3).await;
    bench.advance(seconds(120));
    // when others fail there for the first and second time
    for name in ["ada", "joan", "mary"] {
        bench.fail(&user(name).at(SCHOOL), 2).await;
    }
    // then there is still room
    let receipt = bench.charge(&waiting).await.receipt();
    bench.give_back(receipt, Effect::Nothing).await;
    // but no more after a third
    bench.fail(&user("ada").at(SCHOOL), 1).await;
    assert_eq!(
        bench.charge(&waiting).await.refusal(),
        (Dimension::Address, 120)
    );
}

async fn r10_an_address_regains_one_failure_each_two_minutes(form: Form) {
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, 3).await;
    bench.advance(seconds(119));
    assert_eq!(
        bench.charge(&attempt).await.refusal(),
        (Dimension::Address, 1)
    );
    bench.advance(seconds(1));
    bench.fail(&attempt, 1).await;
    assert_eq!(
        bench.charge(&attempt).await.refusal(),
        (Dimension::Address, 120)
    );
}

async fn r10_a_refused_attempt_costs_nothing(form: Form) {
    // given a user whom the address refuses again and again
    let bench = default_bench(form);
    bench.spend_address(SCHOOL).await;
    bench.fail(&user("ada").at(SCHOOL), 3).await;
    for _ in 0..20 {
        assert!(!bench.charge(&user("ada").at(SCHOOL)).await.is_allowed());
    }
    // then the user's own budget still has two
    bench.fail(&user("ada"), 2).await;
    assert_eq!(
        bench.charge(&user("ada")).await.refusal().0,
        Dimension::User
    );
}

async fn r10_the_addresss_charge_is_given_back(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, 29).await;
    for _ in 0..10 {
        let receipt = bench.charge(&attempt).await.receipt();
        assert!(
            !bench.charge(&attempt).await.is_allowed(),
            "it is charged while under way"
        );
        bench.give_back(receipt, Effect::Nothing).await;
    }
    bench.fail(&attempt, 1).await;
    assert_eq!(
        bench.charge(&attempt).await.refusal(),
        (Dimension::Address, 120)
    );
}

async fn r10_a_64_of_ipv6_is_one_address(form: Form) {
    let bench = default_bench(form);
    bench.spend_address("2001:db8:5:6::1").await;
    let refused_at = |address: &'static str| {
        let bench = &bench;
        async move {
            let attempt = user(address).at(address);
            bench.fail(&attempt, 3).await;
            !bench.charge(&attempt).await.is_allowed()
        }
    };
    assert!(refused_at("2001:db8:5:6:ffff:ffff:ffff:ffff").await);
    assert!(!refused_at("2001:db8:5:7::1").await);
}

async fn r10_each_first_admission_adds_one_failure_to_its_address(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, 28).await;
    let admitted = bench.charge(&user("grace").at(SCHOOL)).await.receipt();
    bench.give_back(admitted, Effect::Admitted).await;
    let admitted = bench.charge(&user("joan").at(SCHOOL)).await.receipt();
    bench.give_back(admitted, Effect::Admitted).await;
    let again = bench.charge(&user("joan").at(SCHOOL)).await.receipt();
    bench.give_back(again, Effect::Nothing).await;
    // 2 are left of the 30, and 2 were added; the charges that the addition paid are given back to it
    bench.fail(&attempt, 2).await;
    let receipt = bench.charge(&attempt).await.receipt();
    bench.give_back(receipt, Effect::Nothing).await;
    bench.fail(&attempt, 2).await;
    assert_eq!(
        bench.charge(&attempt).await.refusal(),
        (Dimension::Address, 120)
    );
    // additions last for an hour
    let admitted = bench
        .charge(&user("mary").at("203.0.113.8"))
        .await
        .receipt();
    bench.give_back(admitted, Effect::Admitted).await;
    bench.fail(&user("ada").at("203.0.113.8"), 1).await;
    bench.advance(seconds(HOUR));
    bench.fail(&user("ada").at("203.0.113.8"), 30).await;
    assert!(
        !bench
            .charge(&user("ada").at("203.0.113.8"))
            .await
            .is_allowed()
    );
}

async fn r10_first_admissions_add_at_most_three_hundred(form: Form) {
    let bench = Bench::new(
        form,
        Budgets {
            user_free_of_address: 1,
            ..without_user_limit()
        },
    );
    let students: Vec<Attempt> = (0..301)
        .map(|number| user(&format!("student-{number}")).at(SCHOOL))
        .collect();
    let receipts = bench
        .charge_all(&students)
        .await
        .into_iter()
        .map(super::support::Outcome::receipt)
        .collect();
    bench.give_back_all(receipts, Effect::Admitted).await;
    let guesses = vec![user("eve").at(SCHOOL); 400];
    let outcomes = bench.charge_all(&guesses).await;
    let allowed = outcomes
        .iter()
        .filter(|outcome| outcome.is_allowed())
        .count();
    assert_eq!(allowed, 1 + 30 + 300, "one is free");
}

async fn r10_a_calling_service_is_limited_when_configured(form: Form) {
    let budgets = Budgets {
        calling_service_attempts_per_minute: Some(6),
        ..Budgets::default()
    };
    let bench = Bench::new(form, budgets);
    let by = |service: &str, number: usize| Attempt {
        calling_service: service.to_owned(),
        ..user(&format!("student-{number}")).vouched()
    };
    // all attempts count, including those given back
    for number in 0..6 {
        let receipt = bench.charge(&by("importer", number)).await.receipt();
        bench.give_back(receipt, Effect::Admitted).await;
    }
    for _ in 0..6 {
        let outcome = bench.charge(&by("importer", 7)).await;
        assert_eq!(outcome.refusal(), (Dimension::CallingService, 10));
    }
    // a user whom it refused was charged nothing
    bench.fail(&by("learning-platform", 7), 5).await;
    bench.advance(seconds(10));
    assert!(bench.charge(&by("importer", 8)).await.is_allowed());
}

async fn r10_a_clock_set_back_locks_nobody_out(form: Form) {
    // given a spent user
    let bench = default_bench(form);
    bench.fail(&user("eve"), 5).await;
    bench.advance(seconds(-365 * DAY));
    assert!(!bench.charge(&user("eve")).await.is_allowed());
    bench.advance(seconds(DAY));
    assert!(bench.charge(&user("eve")).await.is_allowed());
    // and a spent address and a closed guard
    let bench = Bench::new(form, without_user_limit());
    bench.fail(&user("eve").at(SCHOOL), 30).await;
    bench.fail(&user("mallory").naming("hamilton", 0), 51).await;
    bench.advance(seconds(-365 * DAY));
    assert_eq!(
        bench.charge(&user("eve").at(SCHOOL)).await.refusal(),
        (Dimension::Address, 120)
    );
    assert!(
        bench
            .charge(&user("ada").naming("hamilton", 0))
            .await
            .is_guarded()
    );
    bench.advance(seconds(DAY));
    assert!(bench.charge(&user("eve").at(SCHOOL)).await.is_allowed());
    assert!(
        !bench
            .charge(&user("ada").naming("hamilton", 0))
            .await
            .is_guarded()
    );
}
