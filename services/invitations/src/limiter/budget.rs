//! The budgets for failures in each dimension: the defaults, their limits, and the rates made of them.

/// The number of microseconds in a second; all times and intervals of the limiter are in microseconds.
pub(crate) const SECOND_MICROS: i64 = 1_000_000;
/// One minute, in microseconds.
pub(crate) const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
/// One hour, in microseconds.
pub(crate) const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// One day, in microseconds.
pub(crate) const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// The time for which additions by first admissions last, from the first of them: one hour.
pub(crate) const ADDRESS_ADMISSIONS_WINDOW_MICROS: i64 = HOUR_MICROS;
/// The slot in which attempts under way are counted: 30 seconds. An attempt counts for at most two slots.
pub(crate) const IN_FLIGHT_SLOT_MICROS: i64 = 30 * SECOND_MICROS;
/// The time after which an attempt under way counts as a failure that was not reported: one minute.
pub(crate) const UNDER_WAY_MICROS: i64 = 2 * IN_FLIGHT_SLOT_MICROS;
/// The divisor of each process's budgets while Redis is unreachable.
pub const FALLBACK_BUDGET_DIVISOR: u32 = 2;
/// The number of hours for which a user's failures are remembered.
const HOURS_PER_DAY: u32 = 24;
/// The maximum number that a budget may be set to.
pub const BUDGET_MAX: u32 = 1_000_000;

/// A budget's name, its minimum, and its field.
pub(super) type Field = (&'static str, u32, fn(&mut Budgets) -> &mut u32);

macro_rules! budgets {
    ($($(#[$doc:meta])+ $name:ident = $default:literal, at least $least:literal;)+) => {
        /// The limiter's budgets (R10); every number counts failures, except where its name says attempts.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Budgets {
            $($(#[$doc])+ pub $name: u32,)+
            /// The number of all attempts that one calling service may make each minute; unset: no limit.
            pub calling_service_attempts_per_minute: Option<u32>,
        }

        impl Default for Budgets {
            fn default() -> Self {
                Self {
                    $($name: $default,)+
                    calling_service_attempts_per_minute: None,
                }
            }
        }

        impl Budgets {
            /// Every budget that is always set: its name, its minimum, and its field.
            pub(super) const FIELDS: [Field; [$($least),+].len()] =
                [$((stringify!($name), $least, |budgets| &mut budgets.$name)),+];
        }
    };
}

budgets! {
    /// Failures that a user without recent failures may make at once.
    user_burst = 5, at least 1;
    /// Failures that a user regains each hour.
    user_hourly = 5, at least 1;
    /// Failures of a user in any 24 hours.
    user_daily = 20, at least 1;
    /// Failures of a user in 24 hours that do not count against the address. One more counts there if it has room; from
    /// then on the address refuses.
    user_free_of_address = 2, at least 0;
    /// Attempts of a user in 24 hours that changed something (admitted, or filed for approval) and are given back
    /// nevertheless; further ones stay charged like failures. So a user who joins and leaves, or files and withdraws,
    /// over and over spends no more uses of a code than these and the day's failures.
    user_refunds_daily_max = 50, at least 1;
    /// Failures of an address (IPv4 /32, IPv6 /64) each hour; also the repeats of one user.
    address_hourly = 30, at least 1;
    /// Failures that first admissions from an address may add to its budget, for an hour.
    address_admissions_max = 300, at least 0;
    /// The minimum of failures each day that name an organization.
    organization_daily_min = 50, at least 1;
    /// Seats of an organization for which one more failure each day is allowed.
    organization_seats_per_failure = 5, at least 1;
    /// Attempts naming one organization that may be under way before further ones are treated as guesses.
    organization_in_flight_attempts_max = 1_024, at least 1;
    /// Failures each hour, in the whole service, that name no organization.
    service_hourly = 600, at least 1;
    /// Attempts naming no organization that may be under way before further ones are treated as guesses.
    service_in_flight_attempts_max = 2_048, at least 1;
}

impl Budgets {
    /// Returns the problems of these budgets, one a line; empty if they can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |name: &str, value: u32, minimum: u32| {
            if value < minimum || value > BUDGET_MAX {
                problems.push(format!(
                    "{name} is {value}; it must be {minimum} to {BUDGET_MAX}"
                ));
            }
        };
        let mut budgets = self.clone();
        for (name, minimum, field) in Self::FIELDS {
            check(name, *field(&mut budgets), minimum);
        }
        if let Some(attempts) = self.calling_service_attempts_per_minute {
            check("calling_service_attempts_per_minute", attempts, 1);
        }
        if self.user_burst > burst_max(self.user_hourly) {
            problems.push(format!(
                "user_burst is {}; it must not be more than {HOURS_PER_DAY} times user_hourly, which is {}",
                self.user_burst, self.user_hourly
            ));
        }
        problems
    }

    /// Returns these budgets divided by `divisor`, at least 1 each: the budgets of one process while Redis is
    /// unreachable.
    ///
    /// The attempts under way and the free failures are not divided, because they are no guesses. A user's burst is not
    /// divided either: a user who mistypes twice while Redis is unreachable would wait for half an hour, and the day's
    /// failures are divided anyway.
    #[must_use]
    pub fn divided_by(&self, divisor: u32) -> Self {
        let part = |value: u32| (value / divisor.max(1)).max(1);
        let user_hourly = part(self.user_hourly);
        Self {
            user_burst: self.user_burst.min(burst_max(user_hourly)),
            user_hourly,
            user_daily: part(self.user_daily),
            address_hourly: part(self.address_hourly),
            address_admissions_max: self.address_admissions_max / divisor.max(1),
            organization_daily_min: part(self.organization_daily_min),
            service_hourly: part(self.service_hourly),
            calling_service_attempts_per_minute: self.calling_service_attempts_per_minute.map(part),
            ..self.clone()
        }
    }

    pub(crate) fn user(&self) -> UserBudget {
        UserBudget {
            rate: Rate::new(self.user_burst, self.user_hourly, HOUR_MICROS),
            daily: i64::from(self.user_daily.max(1)),
            repeats: self.address(),
            refunds: i64::from(self.user_refunds_daily_max),
        }
    }

    pub(crate) fn address(&self) -> Rate {
        Rate::new(self.address_hourly, self.address_hourly, HOUR_MICROS)
    }

    /// Returns the rate of guesses each day that may name an organization with this many seats (0 or unset: no limit
    /// known).
    pub(crate) fn organization(&self, seats: Option<u32>) -> Rate {
        let share = seats.unwrap_or(0) / self.organization_seats_per_failure.max(1);
        let daily = self.organization_daily_min.max(share);
        Rate::new(daily, daily, DAY_MICROS)
    }

    pub(crate) fn service(&self) -> Rate {
        Rate::new(self.service_hourly, self.service_hourly, HOUR_MICROS)
    }

    pub(crate) fn calling_service(&self) -> Option<Rate> {
        self.calling_service_attempts_per_minute
            .map(|attempts| Rate::new(attempts, attempts, MINUTE_MICROS))
    }
}

/// Returns the maximum burst. A user's log reaches back a day, so a spent burst must come back within a day.
fn burst_max(user_hourly: u32) -> u32 {
    user_hourly.saturating_mul(HOURS_PER_DAY)
}

/// A GCRA rate: `burst` at once, then one more each `interval_micros`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) burst: i64,
    pub(crate) interval_micros: i64,
}

impl Rate {
    pub(crate) fn new(burst: u32, count: u32, period_micros: i64) -> Self {
        Self {
            burst: i64::from(burst.max(1)),
            interval_micros: period_micros / i64::from(count.max(1)),
        }
    }

    /// Returns how far ahead of the current time a spent bucket is.
    pub(crate) fn depth_micros(self) -> i64 {
        self.burst.saturating_mul(self.interval_micros)
    }

    /// Returns the arrival after one more charge at `time`.
    pub(crate) fn after(self, arrival: i64, time: i64) -> i64 {
        arrival.max(time) + self.interval_micros
    }

    /// Returns the time until one more charge fits onto `arrival`; 0 or below means at once.
    pub(crate) fn wait(self, arrival: i64, now: i64) -> i64 {
        self.after(arrival, now) - now - self.depth_micros()
    }
}

/// A user's budget: a rate and a daily cap of failures, a rate of repeats, which are no failures, and the changes of a
/// day that are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserBudget {
    pub(crate) rate: Rate,
    pub(crate) daily: i64,
    pub(crate) repeats: Rate,
    pub(crate) refunds: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_the_defaults_have_no_problems() {
        assert_eq!(Budgets::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn r10_a_budget_is_refused_just_beyond_its_bounds() {
        let edge = Budgets {
            user_burst: 120,
            address_hourly: BUDGET_MAX,
            ..Budgets::default()
        };
        assert!(edge.problems().is_empty(), "{:?}", edge.problems());
        let beyond = Budgets {
            user_burst: 121,
            user_daily: 0,
            address_hourly: BUDGET_MAX + 1,
            calling_service_attempts_per_minute: Some(0),
            ..Budgets::default()
        };
        assert_eq!(beyond.problems().len(), 4, "{:?}", beyond.problems());
    }

    #[test]
    fn r10_an_organization_may_be_guessed_at_by_its_seats_but_at_least_fifty_times_a_day() {
        let budgets = Budgets::default();
        for (seats, daily) in [
            (None, 50),
            (Some(0), 50),
            (Some(254), 50),
            (Some(255), 51),
            (Some(5_000), 1_000),
        ] {
            assert_eq!(budgets.organization(seats).burst, daily, "{seats:?} seats");
        }
    }

    #[test]
    fn r10_a_divided_budget_keeps_at_least_one_of_each() {
        let small = Budgets {
            user_hourly: 1,
            ..Budgets::default()
        }
        .divided_by(2);
        assert_eq!(
            (small.user_burst, small.user_hourly, small.user_daily),
            (5, 1, 10)
        );
        assert!(small.problems().is_empty());
    }

    #[test]
    fn r10_a_users_burst_is_divided_only_where_it_would_not_come_back_in_a_day() {
        for (burst, hourly, divided) in [(5, 5, 5), (120, 5, 48), (24, 1, 24)] {
            let budgets = Budgets {
                user_burst: burst,
                user_hourly: hourly,
                ..Budgets::default()
            }
            .divided_by(2);
            assert_eq!(budgets.user_burst, divided, "{burst} of {hourly} an hour");
            assert!(budgets.problems().is_empty());
        }
    }
}
