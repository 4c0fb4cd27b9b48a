use uuid::Uuid;

use super::{super::attempt::is_decision, *};

fn attempt(user: usize, seconds: i64, limiter_decision: LimiterDecision) -> RefusedAttempt {
    RefusedAttempt {
        id: Uuid::nil(),
        place: None,
        invitation: String::new(),
        user: UserId::parse(&format!("user-{user}")).unwrap(),
        calling_service: "lms".to_owned(),
        preview: false,
        reason: ErrorReason::CodeNotUsable,
        limiter_decision,
        create_time: DateTime::from_timestamp(seconds, 0).unwrap(),
    }
}

/// Returns a log that writes nowhere, and the sizes of its batches.
fn log() -> (AttemptLog, Arc<Mutex<Vec<usize>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sizes = Arc::clone(&written);
    let batches = Batcher::start(BATCHING, move |attempts: Vec<RefusedAttempt>| {
        sizes.lock().unwrap().push(attempts.len());
        async move { vec![(); attempts.len()] }
    });
    let log = AttemptLog {
        batches,
        costless: Mutex::default(),
    };
    (log, written)
}

#[tokio::test]
async fn attempts_wait_up_to_the_bound_and_further_ones_are_dropped() {
    let (log, written) = log();
    let many = |count| vec![attempt(1, 0, LimiterDecision::Allowed); count];
    let mut waiting = Box::pin(log.write(many(ATTEMPTS_QUEUED_MAX - 1)));
    assert!(futures::poll!(&mut waiting).is_pending());
    let mut last = Box::pin(log.write(many(1)));
    assert!(futures::poll!(&mut last).is_pending(), "one more may wait");
    log.write(many(1)).await;
    assert!(written.lock().unwrap().is_empty(), "it did not wait");
    futures::join!(waiting, last);
    let written = written.lock().unwrap();
    assert_eq!(written.iter().sum::<usize>(), ATTEMPTS_QUEUED_MAX);
    assert_eq!(written.iter().max(), Some(&ATTEMPTS_BATCH_MAX));
}

/// Returns those of these attempts, none a repeat, that are to be logged.
fn worth(log: &AttemptLog, attempts: Vec<RefusedAttempt>) -> Vec<RefusedAttempt> {
    log.worth_logging(
        attempts
            .into_iter()
            .map(|attempt| (attempt, false))
            .collect(),
    )
}

fn refused(user: usize, seconds: i64) -> RefusedAttempt {
    attempt(user, seconds, LimiterDecision::RefusedUser)
}

fn refused_in(user: usize, organization: usize) -> RefusedAttempt {
    let place = Place::parse(&format!("organizations/school-{organization}")).unwrap();
    RefusedAttempt {
        place: Some(place),
        ..refused(user, 0)
    }
}

#[tokio::test]
async fn r10_of_a_users_refusals_that_cost_nothing_one_a_minute_is_logged() {
    let (log, _) = log();
    let logged = |attempts| worth(&log, attempts).len();
    assert_eq!(logged(vec![refused(1, 60); 6]), 1);
    let another = logged(vec![refused(2, 119), refused(1, 119)]);
    assert_eq!(another, 1, "another user's is another");
    let next = logged(vec![refused(1, 120), refused(1, 179)]);
    assert_eq!(next, 1, "the next minute begins again");
    let looked_at = logged(vec![attempt(1, 179, LimiterDecision::Guarded); 2]);
    assert_eq!(looked_at, 2, "what was looked at is always logged");
    let full = RefusedAttempt {
        reason: ErrorReason::NoSeats,
        ..attempt(3, 179, LimiterDecision::Allowed)
    };
    assert_eq!(logged(vec![full; 2]), 1, "what is given back costs nothing");
    let repeats = vec![(attempt(4, 179, LimiterDecision::Allowed), true); 2];
    assert_eq!(log.worth_logging(repeats).len(), 1, "nor does a repeat");
}

#[tokio::test]
async fn r10_calls_that_interleave_at_the_turn_of_a_minute_do_not_begin_it_again() {
    let (log, _) = log();
    let logged = |seconds| worth(&log, vec![refused(1, seconds)]).len();
    let times = [120, 119, 120, 119, 179, 60];
    assert_eq!(times.map(logged), [1, 0, 0, 0, 0, 0]);
    assert_eq!(logged(59), 1, "the clock was set back");
    assert_eq!(logged(120), 1, "two minutes later");
}

#[tokio::test]
async fn r10_a_refusal_in_one_organization_hides_none_in_another_up_to_a_bound() {
    let (log, _) = log();
    let logged = |attempts| worth(&log, attempts).len();
    let max = COSTLESS_REFUSALS_PER_USER_MINUTE_MAX;
    assert_eq!(
        logged((0..=max).map(|place| refused_in(1, place)).collect()),
        max
    );
    assert_eq!(logged(vec![refused(1, 0)]), 0, "nor one without a place");
    assert_eq!(logged(vec![refused_in(2, 0); 2]), 1);
}

#[tokio::test]
async fn r10_the_refusals_that_cost_nothing_are_bounded_in_a_minute() {
    let (log, _) = log();
    let of = |user| vec![attempt(user, 0, LimiterDecision::RefusedAddress)];
    for user in 0..COSTLESS_REFUSALS_MINUTE_MAX {
        assert_eq!(worth(&log, of(user)).len(), 1);
    }
    assert_eq!(worth(&log, of(COSTLESS_REFUSALS_MINUTE_MAX)), []);
    assert_eq!(worth(&log, vec![refused_in(0, 0)]), []);
    assert_eq!(log.lock().by_user.len(), COSTLESS_REFUSALS_MINUTE_MAX);
    assert_eq!(worth(&log, vec![refused(0, 60)]).len(), 1);
}

#[test]
fn only_decisions_are_logged() {
    for (reason, logged) in [
        (ErrorReason::CodeNotUsable, true),
        (ErrorReason::EmailUnverified, true),
        (ErrorReason::NoSeats, true),
        (ErrorReason::TooManyAttempts, true),
        (ErrorReason::UseInProgress, false),
        (ErrorReason::MembershipUnavailable, false),
        (ErrorReason::DatabaseUnavailable, false),
        (ErrorReason::Unspecified, false),
    ] {
        assert_eq!(is_decision(reason), logged, "{reason:?}");
    }
}
