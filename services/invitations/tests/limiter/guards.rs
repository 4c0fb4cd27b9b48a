//! The guards of an organization and of the service, run over all forms.

use homeroom_api::ids::OrganizationId;
use homeroom_invitations::limiter::{Attempt, Budgets, Effect, GuessScope};

use super::support::{
    AttemptWith as _, Bench, Form, over_every_form, seconds, user, without_user_limit,
};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

over_every_form!(
    r10_a_guessed_organization_queues_for_24_hours,
    r10_an_organizations_budget_follows_its_seats,
    r10_guesses_that_name_none_queue_for_24_hours,
    r10_ongoing_guesses_keep_the_guard_closed,
    r10_a_guess_of_both_kinds_counts_for_both,
    r10_a_guard_is_seen_by_who_named_something_else,
    r10_too_many_attempts_under_way_are_guesses_for_that_moment,
    r10_attempts_never_settled_age_within_a_minute,
);

fn organization(id: &str) -> GuessScope {
    GuessScope::Organization(OrganizationId::parse(id).unwrap())
}

async fn r10_a_guessed_organization_queues_for_24_hours(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let guess = user("eve").naming("hamilton", 0);
    bench.fail(&guess, 50).await;
    let last = bench.charge(&guess).await;
    assert!(!last.is_guarded(), "the budget is spent, not overspent");
    // when it is overspent, its owner is told once
    assert_eq!(
        bench.keep(last.receipt()).await,
        Some(organization("hamilton"))
    );
    let more = bench.charge(&guess).await;
    assert!(more.is_guarded());
    bench.give_back(more.receipt(), Effect::Nothing).await;
    // then it queues everybody who is not vouched for, and nobody is refused
    let innocent = user("ada").naming("hamilton", 0);
    let outcome = bench.charge(&innocent.clone().vouched()).await;
    assert!(!outcome.is_guarded());
    bench.give_back(outcome.receipt(), Effect::Admitted).await;
    // nothing else queues
    assert!(
        !bench
            .charge(&user("ada").naming("lincoln", 0))
            .await
            .is_guarded()
    );
    assert!(!bench.charge(&user("ada")).await.is_guarded());
    // for 24 hours
    bench.advance(seconds(DAY - 1));
    let outcome = bench.charge(&innocent).await;
    assert!(outcome.is_guarded());
    bench.give_back(outcome.receipt(), Effect::Nothing).await;
    bench.advance(seconds(1));
    assert!(!bench.charge(&innocent).await.is_guarded());
}

async fn r10_an_organizations_budget_follows_its_seats(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let guess = user("eve").naming("hamilton", 300);
    bench.fail(&guess, 60).await;
    let last = bench.charge(&guess).await.receipt();
    assert_eq!(bench.keep(last).await, Some(organization("hamilton")));
}

async fn r10_guesses_that_name_none_queue_for_24_hours(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    bench.fail(&user("eve"), 600).await;
    let last = bench.charge(&user("eve")).await;
    assert!(!last.is_guarded());
    assert_eq!(bench.keep(last.receipt()).await, Some(GuessScope::Service));
    let outcome = bench.charge(&user("ada")).await;
    assert!(outcome.is_guarded());
    bench.give_back(outcome.receipt(), Effect::Nothing).await;
    assert!(
        !bench
            .charge(&user("ada").naming("hamilton", 0))
            .await
            .is_guarded()
    );
    bench.advance(seconds(DAY));
    assert!(!bench.charge(&user("ada")).await.is_guarded());
}

async fn r10_ongoing_guesses_keep_the_guard_closed(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let guess = user("eve").naming("hamilton", 0);
    bench.fail(&guess, 51).await;
    bench.advance(seconds(MINUTE));
    // a failure while it is spent closes it for 24 hours from then, without reporting it again
    let receipt = bench.charge(&guess).await.receipt();
    assert_eq!(bench.keep(receipt).await, None);
    bench.advance(seconds(DAY - 1));
    assert!(
        bench
            .charge(&user("ada").naming("hamilton", 0))
            .await
            .is_guarded()
    );
}

async fn r10_a_guess_of_both_kinds_counts_for_both(form: Form) {
    // given a guess that names an organization by its first letters, and may be anybody's phrase
    let budgets = Budgets {
        service_hourly: 52,
        ..without_user_limit()
    };
    let bench = Bench::new(form, budgets);
    let guess = Attempt {
        may_name_none: true,
        ..user("eve").naming("hamilton", 0)
    };
    // when it overspends the organization's budget, and then the service's
    bench.fail(&guess, 50).await;
    let last = bench.charge(&guess).await.receipt();
    assert_eq!(bench.keep(last).await, Some(organization("hamilton")));
    assert!(!bench.charge(&user("ada")).await.is_guarded());
    bench.fail(&guess, 1).await;
    let last = bench.charge(&guess).await.receipt();
    assert_eq!(bench.keep(last).await, Some(GuessScope::Service));
    assert!(bench.charge(&user("ada")).await.is_guarded());
    // and a charge that is given back is given back to both
    let both = [organization("lincoln"), GuessScope::Service];
    let other = Attempt {
        may_name_none: true,
        ..user("eve").naming("lincoln", 0)
    };
    for _ in 0..60 {
        let receipt = bench.charge(&other).await.receipt();
        bench.give_back(receipt, Effect::Nothing).await;
    }
    assert_eq!(bench.limiter.guarded(&both).await, [false, true]);
}

async fn r10_a_guard_is_seen_by_who_named_something_else(form: Form) {
    let bench = Bench::new(form, without_user_limit());
    let scopes = [
        organization("hamilton"),
        organization("lincoln"),
        GuessScope::Service,
    ];
    bench.fail(&user("eve").naming("hamilton", 0), 50).await;
    assert_eq!(bench.limiter.guarded(&scopes).await, [false; 3]);
    bench.fail(&user("eve").naming("hamilton", 0), 1).await;
    assert_eq!(bench.limiter.guarded(&scopes).await, [true, false, false]);
    bench.advance(seconds(DAY - 1));
    assert_eq!(bench.limiter.guarded(&scopes).await, [true, false, false]);
    bench.advance(seconds(1));
    assert_eq!(bench.limiter.guarded(&scopes).await, [false; 3]);
}

async fn r10_too_many_attempts_under_way_are_guesses_for_that_moment(form: Form) {
    let budgets = Budgets {
        organization_in_flight_attempts_max: 3,
        ..Budgets::default()
    };
    let bench = Bench::new(form, budgets);
    let attempt = |number: usize| user(&format!("student-{number}")).naming("hamilton", 0);
    let mut receipts = Vec::new();
    for number in 0..3 {
        let outcome = bench.charge(&attempt(number)).await;
        assert!(!outcome.is_guarded());
        receipts.push(outcome.receipt());
    }
    let fourth = bench.charge(&attempt(3)).await;
    assert!(fourth.is_guarded());
    // when they end, across a slot boundary, it is over
    bench.advance(seconds(30));
    receipts.push(fourth.receipt());
    bench.give_back_all(receipts, Effect::Admitted).await;
    for number in 4..7 {
        assert!(!bench.charge(&attempt(number)).await.is_guarded());
    }
    assert!(bench.charge(&attempt(7)).await.is_guarded());
}

async fn r10_attempts_never_settled_age_within_a_minute(form: Form) {
    let budgets = Budgets {
        service_in_flight_attempts_max: 1,
        ..Budgets::default()
    };
    let bench = Bench::new(form, budgets);
    assert!(!bench.charge(&user("ada")).await.is_guarded());
    assert!(bench.charge(&user("grace")).await.is_guarded());
    bench.advance(seconds(MINUTE));
    assert!(!bench.charge(&user("joan")).await.is_guarded());
}
