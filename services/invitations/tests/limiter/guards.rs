//! The guards of an organization and of the service, run over all forms.

use homeroom_invitations::limiter::{Budgets, Effect, GuessScope};

use super::support::{
    AttemptWith as _, Bench, DAY, Form, MINUTE, organization, over_every_form, user,
    without_user_limit,
};

over_every_form!(
    r10_a_guessed_organization_queues_for_24_hours,
    r10_an_organizations_budget_follows_its_seats,
    r10_guesses_that_name_none_queue_for_24_hours,
    r10_ongoing_guesses_keep_the_guard_closed,
    r10_a_guess_of_both_kinds_counts_for_both,
    r10_too_many_attempts_under_way_are_guesses_for_that_moment,
    r10_attempts_never_settled_age_within_a_minute,
);

async fn r10_a_guessed_organization_queues_for_24_hours(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    let guess = user("eve").naming("hamilton");
    let scopes = ["hamilton", "lincoln"].map(organization);
    bench.fail(&guess, 50).await;
    // The budget is spent, not overspent.
    assert!(!bench.queues(&guess).await);
    // when it is overspent, its owner is told once
    assert_eq!(bench.closes(&guess).await, Some(scopes[0].clone()));
    // then it queues everybody who is not vouched for, and nobody is refused
    let innocent = user("ada").naming("hamilton");
    assert!(bench.queues(&innocent).await);
    assert!(!bench.queues(&innocent.clone().vouched()).await);
    // nothing else queues
    assert!(!bench.queues(&user("ada").naming("lincoln")).await);
    assert!(!bench.queues(&user("ada")).await);
    // for 24 hours, also for who named something else
    bench.advance(DAY - 1);
    assert!(bench.queues(&innocent).await);
    assert_eq!(bench.limiter.guarded(&scopes).await, [true, false]);
    bench.advance(1);
    assert!(!bench.queues(&innocent).await);
    assert_eq!(bench.limiter.guarded(&scopes).await, [false, false]);
}

async fn r10_an_organizations_budget_follows_its_seats(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    let guess = user("eve")
        .naming("hamilton")
        .with(|attempt| attempt.organization_seats = Some(300));
    bench.fail(&guess, 60).await;
    assert_eq!(bench.closes(&guess).await, Some(organization("hamilton")));
}

async fn r10_guesses_that_name_none_queue_for_24_hours(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    bench.fail(&user("eve"), 600).await;
    assert!(!bench.queues(&user("ada")).await);
    assert_eq!(bench.closes(&user("eve")).await, Some(GuessScope::Service));
    assert!(bench.queues(&user("ada")).await);
    assert!(!bench.queues(&user("ada").naming("hamilton")).await);
    bench.advance(DAY);
    assert!(!bench.queues(&user("ada")).await);
}

async fn r10_ongoing_guesses_keep_the_guard_closed(form: Form) {
    let bench = Bench::new(form, without_user_limit()).await;
    let guess = user("eve").naming("hamilton");
    bench.fail(&guess, 51).await;
    bench.advance(MINUTE);
    // a failure while it is spent closes it for 24 hours from then, without reporting it again
    assert_eq!(bench.closes(&guess).await, None);
    bench.advance(DAY - 1);
    assert!(bench.queues(&user("ada").naming("hamilton")).await);
}

async fn r10_a_guess_of_both_kinds_counts_for_both(form: Form) {
    // given a guess that names an organization by its first letters, and may be anybody's phrase
    let small = |budgets: &mut Budgets| budgets.service_hourly = 52;
    let bench = Bench::with(form, without_user_limit(), small).await;
    let of_both = |id: &str| {
        user("eve")
            .naming(id)
            .with(|attempt| attempt.may_name_none = true)
    };
    // when it overspends the organization's budget, and then the service's
    let guess = of_both("hamilton");
    bench.fail(&guess, 50).await;
    assert_eq!(bench.closes(&guess).await, Some(organization("hamilton")));
    assert!(!bench.queues(&user("ada")).await);
    bench.fail(&guess, 1).await;
    assert_eq!(bench.closes(&guess).await, Some(GuessScope::Service));
    assert!(bench.queues(&user("ada")).await);
    // and a charge that is given back is given back to both
    bench
        .give_back(&of_both("lincoln"), 60, Effect::Nothing)
        .await;
    let scopes = [organization("lincoln"), GuessScope::Service];
    assert_eq!(bench.limiter.guarded(&scopes).await, [false, true]);
}

async fn r10_too_many_attempts_under_way_are_guesses_for_that_moment(form: Form) {
    let three = |budgets: &mut Budgets| budgets.organization_in_flight_attempts_max = 3;
    let bench = Bench::with(form, Budgets::default(), three).await;
    // when four are under way, then the fourth queues, until they end, across a slot boundary
    for round in 0..2 {
        let mut receipts = Vec::new();
        for number in 0..4 {
            let attempt = user(&format!("student-{round}-{number}")).naming("hamilton");
            let receipt = bench.charge(&attempt).await.unwrap();
            assert_eq!(receipt.guess_guarded, number == 3, "{number}");
            receipts.push(receipt);
        }
        bench.advance(30);
        bench.give_back_all(receipts, Effect::Admitted).await;
    }
}

async fn r10_attempts_never_settled_age_within_a_minute(form: Form) {
    let one = |budgets: &mut Budgets| budgets.service_in_flight_attempts_max = 1;
    let bench = Bench::with(form, Budgets::default(), one).await;
    let under_way = bench.charge(&user("ada")).await.unwrap();
    assert!(!under_way.guess_guarded);
    assert!(bench.queues(&user("grace")).await);
    bench.advance(MINUTE);
    assert!(!bench.queues(&user("joan")).await);
}
