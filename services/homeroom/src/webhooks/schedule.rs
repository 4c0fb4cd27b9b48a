//! Decides what follows an attempt to deliver.

use chrono::TimeDelta;

/// The pauses after the first failed attempt, the second and so on, in seconds, as Standard Webhooks proposes them:
/// about three days in all.
pub(crate) const RETRY_SECONDS_DEFAULT: [u32; 9] =
    [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest pause that an endpoint may ask for by `Retry-After`, in seconds.
pub(crate) const RETRY_AFTER_SECONDS_MAX: u32 = 86_400;
/// The most that chance adds to a pause, in thousandths of it, so that deliveries which failed together do not come
/// back together.
pub(crate) const SPREAD_PERMILLE_MAX: u32 = 200;

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint answered 2xx.
    Delivered,
    /// The endpoint answered 410 Gone: it wants no more deliveries.
    Gone,
    /// Anything else.
    Failed {
        /// Says what went wrong, for people.
        cause: String,
        /// The pause that the endpoint asked for, in seconds.
        retry_after: Option<u32>,
    },
}

/// Says what to do with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Forget it.
    Forget,
    /// Keep it, and deliver nothing to its endpoint.
    Disable,
    /// Try again after this time.
    Retry(TimeDelta),
    /// Give it up.
    Bury,
}

/// Decides what follows an attempt. `failed_before` attempts have failed before it, and chance adds `spread_permille`
/// thousandths to a pause.
pub(crate) fn decide(
    outcome: &Outcome,
    failed_before: usize,
    retry_seconds: &[u32],
    spread_permille: u32,
) -> Next {
    let retry_after = match outcome {
        Outcome::Delivered => return Next::Forget,
        Outcome::Gone => return Next::Disable,
        Outcome::Failed { retry_after, .. } => retry_after.unwrap_or(0),
    };
    let Some(&pause) = retry_seconds.get(failed_before) else {
        return Next::Bury;
    };
    let pause = pause.max(retry_after.min(RETRY_AFTER_SECONDS_MAX));
    Next::Retry(TimeDelta::milliseconds(
        i64::from(pause) * i64::from(1_000 + spread_permille.min(SPREAD_PERMILLE_MAX)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(retry_after: Option<u32>) -> Outcome {
        let cause = "answered 503 Service Unavailable".to_owned();
        Outcome::Failed { cause, retry_after }
    }

    fn after(failed_before: usize, retry_after: Option<u32>, spread_permille: u32) -> Next {
        let retries = &RETRY_SECONDS_DEFAULT;
        decide(
            &failed(retry_after),
            failed_before,
            retries,
            spread_permille,
        )
    }

    #[test]
    fn a_delivery_is_tried_ten_times_within_three_days_and_then_given_up() {
        let mut in_all = TimeDelta::zero();
        for (failed_before, &seconds) in RETRY_SECONDS_DEFAULT.iter().enumerate() {
            let pause = TimeDelta::seconds(i64::from(seconds));
            assert_eq!(after(failed_before, None, 0), Next::Retry(pause));
            in_all += pause;
        }
        assert_eq!(in_all.num_hours(), 75);
        assert_eq!(after(9, None, 0), Next::Bury);
        assert_eq!(after(9, Some(60), 0), Next::Bury);
        assert_eq!(decide(&failed(None), 0, &[], 0), Next::Bury);
    }

    #[test]
    fn chance_adds_at_most_a_fifth() {
        let seconds = |seconds| Next::Retry(TimeDelta::seconds(seconds));
        assert_eq!(after(1, None, SPREAD_PERMILLE_MAX), seconds(360));
        assert_eq!(after(1, None, SPREAD_PERMILLE_MAX + 1), seconds(360));
        assert_eq!(
            after(0, None, 100),
            Next::Retry(TimeDelta::milliseconds(5_500))
        );
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_pause_of_a_day_at_most() {
        let seconds = |seconds| Next::Retry(TimeDelta::seconds(seconds));
        assert_eq!(after(0, Some(60), 0), seconds(60));
        assert_eq!(after(1, Some(60), 0), seconds(300));
        let most = RETRY_AFTER_SECONDS_MAX;
        assert_eq!(after(0, Some(most), 0), seconds(i64::from(most)));
        assert_eq!(after(0, Some(most + 1), 0), seconds(i64::from(most)));
        assert_eq!(after(0, Some(u32::MAX), 0), seconds(i64::from(most)));
    }

    #[test]
    fn an_answer_of_2xx_is_the_end_and_410_disables() {
        let retries = &RETRY_SECONDS_DEFAULT;
        assert_eq!(decide(&Outcome::Delivered, 3, retries, 0), Next::Forget);
        assert_eq!(decide(&Outcome::Gone, 3, retries, 0), Next::Disable);
    }
}
