//! The budgets of user, address and calling service at their limits, run over all forms.

use futures::future::join_all;
use homeroom_invitations::limiter::{Attempt, Budgets, Dimension, Effect};

use super::support::{
    AttemptWith as _, BY_ADDRESS, BY_USER, Bench, DAY, FAILED, Form, HOUR, MINUTE, SCHOOL,
    over_every_form, user, without_user_limit,
};

/// The number of failures that an address allows at once.
const ADDRESS: usize = 30;

over_every_form!(
    r10_a_user_fails_five_times_at_once_and_not_six,
    r10_parallel_guesses_buy_nothing,
    r10_what_is_given_back_is_restored_exactly,
    r10_an_address_refuses_nobody_before_the_fourth_failure,
    r10_a_users_third_failure_is_the_first_that_its_address_pays,
    r10_a_refused_attempt_costs_nothing,
    r10_the_addresss_charge_is_given_back,
    r10_each_first_admission_adds_one_failure_to_its_address,
    r10_first_admissions_add_at_most_three_hundred,
    r10_a_user_adds_to_one_address_once_in_24_hours,
    r10_the_fifty_first_change_of_a_day_stays_charged,
    r10_a_calling_service_is_limited_when_configured,
    r10_a_clock_set_back_locks_nobody_out,
    r10_a_cleared_user_begins_anew,
);

async fn r10_a_user_fails_five_times_at_once_and_not_six(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.fail(&user("eve"), 5).await;
    assert_eq!(bench.refusal(&user("eve")).await, BY_USER);
    // vouched for or not
    assert_eq!(bench.refusal(&user("eve").vouched()).await, BY_USER);
    assert!(bench.allows(&user("another")).await);
}

async fn r10_parallel_guesses_buy_nothing(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let attempt = user("eve").at(SCHOOL);
    let verdicts = join_all((0..100).map(|_| bench.charge(&attempt))).await;
    assert_eq!(verdicts.iter().flatten().count(), 5);
    // nor in one slice
    let attempts = vec![user("mallory").at(SCHOOL); 100];
    assert_eq!(bench.allowed_of(&attempts).await, 5);
}

async fn r10_what_is_given_back_is_restored_exactly(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.give_back(&user("ada"), 50, Effect::Nothing).await;
    bench.fail(&user("ada"), 4).await;
    bench.give_back(&user("ada"), 1, Effect::Admitted).await;
    bench.fail(&user("ada"), 1).await;
    assert_eq!(bench.refusal(&user("ada")).await, BY_USER);
    // given an attempt under way for twenty minutes, and a failure in between
    let receipt = bench.charge(&user("grace")).await.unwrap();
    bench.advance(10 * MINUTE);
    bench.fail(&user("grace"), 1).await;
    bench.advance(10 * MINUTE);
    // when it is given back, then only the failure counts: 2 of its 12 minutes are left
    bench.give_back_all(vec![receipt], Effect::Nothing).await;
    bench.fail(&user("grace"), 4).await;
    let refused = (Dimension::User, 2 * 60);
    assert_eq!(bench.refusal(&user("grace")).await, refused);
}

async fn r10_an_address_refuses_nobody_before_the_fourth_failure(form: Form) {
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    let ada = user("ada").at(SCHOOL);
    bench.fail(&ada, 3).await;
    assert_eq!(bench.refusal(&ada).await, BY_ADDRESS);
    // it refuses nobody who is vouched for, and nobody elsewhere
    for attempt in [
        ada.clone().vouched(),
        ada.clone().at("203.0.113.8"),
        user("ada"),
    ] {
        bench.give_back(&attempt, 1, Effect::Nothing).await;
    }
    // and successful attempts are not among the three
    let grace = user("grace").at(SCHOOL);
    bench.give_back(&grace, 5, Effect::Nothing).await;
    bench.fail(&grace, 3).await;
    assert_eq!(bench.refusal(&grace).await, BY_ADDRESS);
    // when two minutes have passed, then one more passes
    bench.advance(119);
    assert_eq!(bench.refusal(&ada).await, (Dimension::Address, 1));
    bench.advance(1);
    bench.fail(&ada, 1).await;
    assert_eq!(bench.refusal(&ada).await, BY_ADDRESS);
}

async fn r10_a_users_third_failure_is_the_first_that_its_address_pays(form: Form) {
    // given a spent address that regains room for one failure, and a user who waits for it
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    let waiting = user("grace").at(SCHOOL);
    bench.fail(&waiting, 3).await;
    bench.advance(120);
    // when others fail there for the first and second time
    for name in ["ada", "joan", "mary"] {
        bench.fail(&user(name).at(SCHOOL), 2).await;
    }
    // then there is still room
    bench.give_back(&waiting, 1, Effect::Nothing).await;
    // but no more after a third
    bench.fail(&user("ada").at(SCHOOL), 1).await;
    assert_eq!(bench.refusal(&waiting).await, BY_ADDRESS);
}

async fn r10_a_refused_attempt_costs_nothing(form: Form) {
    // given a user whom the address refuses again and again
    let bench = Bench::with_defaults(form).await;
    bench.spend_address(SCHOOL).await;
    let ada = user("ada").at(SCHOOL);
    bench.fail(&ada, 3).await;
    assert_eq!(bench.allowed_of(&vec![ada; 20]).await, 0);
    // then the user's own budget still has two
    bench.fail(&user("ada"), 2).await;
    assert_eq!(bench.refusal(&user("ada")).await, BY_USER);
}

async fn r10_the_addresss_charge_is_given_back(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, ADDRESS - 1).await;
    for _ in 0..10 {
        let receipt = bench.charge(&attempt).await.unwrap();
        assert!(
            !bench.allows(&attempt).await,
            "it is charged while under way"
        );
        bench.give_back_all(vec![receipt], Effect::Nothing).await;
    }
    bench.fail(&attempt, 1).await;
    assert_eq!(bench.refusal(&attempt).await, BY_ADDRESS);
}

async fn r10_each_first_admission_adds_one_failure_to_its_address(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    let attempt = user("ada").at(SCHOOL);
    bench.fail(&attempt, ADDRESS - 2).await;
    for name in ["grace", "joan"] {
        let admitted = user(name).at(SCHOOL);
        bench.give_back(&admitted, 1, Effect::Admitted).await;
        bench.give_back(&admitted, 1, Effect::Nothing).await;
    }
    // 2 are left of the 30, and 2 were added; the charges that the addition paid are given back to it
    bench.fail(&attempt, 2).await;
    bench.give_back(&attempt, 1, Effect::Nothing).await;
    bench.fail(&attempt, 2).await;
    assert_eq!(bench.refusal(&attempt).await, BY_ADDRESS);
    // additions last for an hour
    let (mary, ada) = (
        user("mary").at("203.0.113.8"),
        user("ada").at("203.0.113.8"),
    );
    bench.give_back(&mary, 1, Effect::Admitted).await;
    bench.fail(&ada, 1).await;
    bench.advance(HOUR);
    assert_eq!(bench.allowed_of(&vec![ada; 2 * ADDRESS]).await, ADDRESS);
}

async fn r10_first_admissions_add_at_most_three_hundred(form: Form) {
    let one_free = |budgets: &mut Budgets| budgets.user_free_of_address = 1;
    let bench = Bench::with(form, without_user_limit(), one_free).await;
    let student = |number: u32| user(&format!("student-{number}")).at(SCHOOL);
    let students: Vec<Attempt> = (0..301).map(student).collect();
    let receipts = bench.charge_all(&students).await.into_iter().flatten();
    bench
        .give_back_all(receipts.collect(), Effect::Admitted)
        .await;
    let guesses = vec![user("eve").at(SCHOOL); 400];
    let allowed = bench.allowed_of(&guesses).await;
    assert_eq!(allowed, 1 + ADDRESS + 300, "one is free");
}

async fn r10_a_user_adds_to_one_address_once_in_24_hours(form: Form) {
    // given users who join and leave
    let elsewhere = "203.0.113.8";
    for (joined, expected) in [
        (vec![("ada", SCHOOL, 0); 10], ADDRESS + 1),
        (vec![("ada", SCHOOL, 0), ("grace", SCHOOL, 0)], ADDRESS + 2),
        (vec![("ada", elsewhere, 0), ("ada", SCHOOL, 0)], ADDRESS),
        (vec![("ada", SCHOOL, 0), ("ada", SCHOOL, DAY - 1)], ADDRESS),
        (vec![("ada", SCHOOL, 0), ("ada", SCHOOL, DAY)], ADDRESS + 1),
    ] {
        let bench = Bench::new(form, without_user_limit()).await;
        for (name, address, later) in &joined {
            bench.advance(*later);
            let join = user(name).at(address);
            bench.give_back(&join, 1, Effect::Admitted).await;
        }
        let guesses = vec![user("eve").at(SCHOOL); 2 * ADDRESS];
        assert_eq!(bench.allowed_of(&guesses).await, expected, "{joined:?}");
    }
}

async fn r10_the_fifty_first_change_of_a_day_stays_charged(form: Form) {
    let bench = Bench::with_defaults(form).await;
    // given a user who has changed something fifty times, by the same text
    let ada = user("ada").typing(1);
    bench.give_back(&ada, 25, Effect::Admitted).await;
    bench.give_back(&ada, 25, Effect::Filed).await;
    // when nothing is changed, then it is given back however often
    bench.give_back(&ada, 20, Effect::Nothing).await;
    // and five changes more pass at once, as five failures would
    bench.give_back(&ada, 5, Effect::Filed).await;
    assert_eq!(bench.refusal(&ada).await, BY_USER);
    assert!(bench.allows(&user("grace")).await);
    // and after 24 hours all do
    bench.advance(DAY);
    bench.give_back(&ada, 50, Effect::Admitted).await;
    bench.fail(&user("ada"), 5).await;
}

async fn r10_a_calling_service_is_limited_when_configured(form: Form) {
    let six = |budgets: &mut Budgets| budgets.calling_service_attempts_per_minute = Some(6);
    let bench = Bench::with(form, Budgets::default(), six).await;
    let refused = (Dimension::CallingService, 10);
    let by = |service: &str, name: &str| {
        user(name)
            .vouched()
            .with(|attempt| service.clone_into(&mut attempt.calling_service))
    };
    // all attempts count, including those given back
    for number in 0..6 {
        let attempt = by("importer", &format!("student-{number}"));
        bench.give_back(&attempt, 1, Effect::Admitted).await;
    }
    for _ in 0..6 {
        assert_eq!(bench.refusal(&by("importer", "ada")).await, refused);
    }
    // a user whom it refused was charged nothing
    bench.fail(&by("learning-platform", "ada"), 5).await;
    bench.advance(10);
    assert!(bench.allows(&by("importer", "grace")).await);
    // and repeats count too
    let press = by("another", "joan").typing(1);
    bench.fail(&press, 6).await;
    assert_eq!(bench.refusal(&press).await, refused);
}

async fn r10_a_clock_set_back_locks_nobody_out(form: Form) {
    // given a spent user, a user who has spent the repeats, a spent address and a closed guard
    let bench = Bench::with_defaults(form).await;
    let press = user("joan").typing(1);
    bench.fail(&user("eve"), 5).await;
    bench.fail(&press, 31).await;
    let unlimited = Bench::new(form, without_user_limit()).await;
    let (at_school, guess) = (user("eve").at(SCHOOL), user("mallory").naming("hamilton"));
    unlimited.fail(&at_school, ADDRESS).await;
    unlimited.fail(&guess, 51).await;
    // when the clock is set back by a year, then they are still spent
    for bench in [&bench, &unlimited] {
        bench.advance(-365 * DAY);
    }
    assert!(!bench.allows(&user("eve")).await);
    assert_eq!(bench.refusal(&press).await, (Dimension::User, 120));
    assert_eq!(unlimited.refusal(&at_school).await, BY_ADDRESS);
    assert!(unlimited.queues(&guess).await);
    // for no longer than a day
    for bench in [&bench, &unlimited] {
        bench.advance(DAY);
    }
    assert!(bench.allows(&user("eve")).await);
    assert!(bench.allows(&press).await);
    assert!(unlimited.allows(&at_school).await);
    assert!(!unlimited.queues(&guess).await);
}

async fn r10_a_cleared_user_begins_anew(form: Form) {
    let bench = Bench::with_defaults(form).await;
    let under_way = bench.charge(&user("ada")).await.unwrap();
    bench.fail(&user("ada"), 4).await;
    bench.fail(&user("eve"), 5).await;
    assert!(!bench.allows(&user("ada")).await);
    // when support clears her, and somebody unknown
    for name in ["ada", "nobody"] {
        assert!(bench.limiter.clear(&user(name).user).await);
    }
    // then she fails five times again, and nobody else
    bench.settle(under_way, FAILED).await;
    bench.fail(&user("ada"), 5).await;
    for name in ["ada", "eve"] {
        assert!(!bench.allows(&user(name)).await, "{name}");
    }
}
