//! The result of an attempt to deliver, and what follows one that failed.

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

/// Returns the pause after a failed attempt; None to give the delivery up. `failed_before` attempts have failed before it,
/// the endpoint asked for `retry_after` seconds, and chance adds `spread_permille` thousandths.
pub(crate) fn pause(
    failed_before: usize,
    retry_after: Option<u32>,
    retry_seconds: &[u32],
    spread_permille: u32,
) -> Option<TimeDelta> {
    let seconds = *retry_seconds.get(failed_before)?;
    let seconds = seconds.max(retry_after.unwrap_or(0).min(RETRY_AFTER_SECONDS_MAX));
    Some(TimeDelta::milliseconds(
        i64::from(seconds) * i64::from(1_000 + spread_permille.min(SPREAD_PERMILLE_MAX)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(
        failed_before: usize,
        retry_after: Option<u32>,
        spread_permille: u32,
    ) -> Option<TimeDelta> {
        let retries = &RETRY_SECONDS_DEFAULT;
        pause(failed_before, retry_after, retries, spread_permille)
    }

    #[test]
    fn a_delivery_is_tried_ten_times_within_three_days_and_then_given_up() {
        let mut in_all = TimeDelta::zero();
        for (failed_before, &seconds) in RETRY_SECONDS_DEFAULT.iter().enumerate() {
            let pause = TimeDelta::seconds(i64::from(seconds));
            assert_eq!(after(failed_before, None, 0), Some(pause));
            in_all += pause;
        }
        assert_eq!(in_all.num_hours(), 75);
        assert_eq!(after(9, None, 0), None);
        assert_eq!(after(9, Some(60), 0), None);
        assert_eq!(pause(0, None, &[], 0), None);
    }

    #[test]
    fn chance_adds_at_most_a_fifth() {
        let seconds = |seconds| Some(TimeDelta::seconds(seconds));
        assert_eq!(after(1, None, SPREAD_PERMILLE_MAX), seconds(360));
        assert_eq!(after(1, None, SPREAD_PERMILLE_MAX + 1), seconds(360));
        assert_eq!(after(0, None, 100), Some(TimeDelta::milliseconds(5_500)));
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_pause_of_a_day_at_most() {
        let seconds = |seconds| Some(TimeDelta::seconds(seconds));
        assert_eq!(after(0, Some(60), 0), seconds(60));
        assert_eq!(after(1, Some(60), 0), seconds(300));
        let most = RETRY_AFTER_SECONDS_MAX;
        assert_eq!(after(0, Some(most), 0), seconds(i64::from(most)));
        assert_eq!(after(0, Some(most + 1), 0), seconds(i64::from(most)));
        assert_eq!(after(0, Some(u32::MAX), 0), seconds(i64::from(most)));
    }
}
