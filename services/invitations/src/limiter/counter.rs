//! The counters of the limiter, each with its limit, and the steps that change them.

use std::net::{IpAddr, Ipv6Addr};

use homeroom_api::ids::UserId;

use super::{
    attempt::{Attempt, Effect, GuessHash, GuessScope},
    budget::{Budgets, Rate, UserBudget},
};

/// A counter and its limit. Each is one key of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Counter {
    /// The failures of a user, and the guess that this attempt is.
    User {
        user: UserId,
        guess: GuessHash,
        budget: UserBudget,
    },
    /// The failures from an address (see [`group`]), to which first admissions add at most `additions_max`.
    Address {
        address: IpAddr,
        rate: Rate,
        additions_max: i64,
    },
    /// All attempts of a calling service.
    CallingService { name: String, rate: Rate },
    /// The guesses in a scope, and the attempts under way.
    Guard {
        scope: GuessScope,
        rate: Rate,
        in_flight_max: i64,
    },
}

/// A step of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Charges an attempt, which is under way until it is settled.
    Charge,
    /// Charges an attempt that is never settled.
    Spend,
    /// Returns the reply that a charge would get, and charges nothing. A guard ignores the attempts under way.
    Peek,
    /// Removes the charge of `mark`, of an attempt that was no failure.
    Refund { mark: i64, effect: Effect },
    /// Records that the charge of `mark` is a failure.
    Keep { mark: i64 },
    /// Adds one failure to the budget of an address.
    Add,
    /// Forgets everything.
    Clear,
}

/// The reply to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// True unless a charge was refused.
    pub(crate) allowed: bool,
    /// For the charge of a user, the number of failures of the last 24 hours before this one, those under way included;
    /// for a repeat, also the repeats before it that are not paid off, beyond a burst. For the refund of a user, 1 if
    /// this adds to an address. For the charge of a guard, 1 if short credentials queue. For keeping in a guard, 1 if
    /// that closed it.
    pub(crate) count: i64,
    /// If it is not allowed, the time until it would be if all attempts under way were given back, more than 0.
    pub(crate) retry_micros: i64,
    /// The mark, which names the charge to the step that settles it; 0 for a repeat, which charges the user nothing.
    pub(crate) mark: i64,
    /// For the charge of a user, the same as `count`, without attempts under way.
    pub(crate) settled: i64,
}

impl Reply {
    pub(crate) const DONE: Self = Self {
        allowed: true,
        count: 0,
        retry_micros: 0,
        mark: 0,
        settled: 0,
    };

    pub(crate) fn refused(retry_micros: i64) -> Self {
        Self {
            allowed: false,
            retry_micros: retry_micros.max(1),
            ..Self::DONE
        }
    }

    pub(crate) fn counted(count: i64) -> Self {
        Self {
            count,
            ..Self::DONE
        }
    }
}

impl Counter {
    /// Returns the kind and the name of whom it counts.
    pub(crate) fn name(&self) -> (&'static str, String) {
        match self {
            Self::User { user, .. } => ("user", user.to_string()),
            Self::Address { address, .. } => ("address", address.to_string()),
            Self::CallingService { name, .. } => ("calling-service", name.clone()),
            Self::Guard { scope, .. } => match scope {
                GuessScope::Organization(organization) => {
                    ("organization", organization.to_string())
                }
                GuessScope::Service => ("service", String::new()),
            },
        }
    }
}

impl Budgets {
    pub(crate) fn user_counter(&self, user: &UserId, guess: GuessHash) -> Counter {
        Counter::User {
            user: user.clone(),
            guess,
            budget: self.user(),
        }
    }

    pub(crate) fn address_counter(&self, attempt: &Attempt) -> Option<Counter> {
        Some(Counter::Address {
            address: group(attempt.address?),
            rate: self.address(),
            additions_max: i64::from(self.address_admissions_max),
        })
    }

    pub(crate) fn calling_service_counter(&self, attempt: &Attempt) -> Option<Counter> {
        Some(Counter::CallingService {
            name: attempt.calling_service.clone(),
            rate: self.calling_service()?,
        })
    }

    /// Returns the guards that count the attempt if it fails.
    pub(crate) fn guards(&self, attempt: &Attempt) -> impl Iterator<Item = Counter> {
        let named = attempt.organization.clone().map(GuessScope::Organization);
        let names_none = named.is_none() || attempt.may_name_none;
        named
            .into_iter()
            .chain(names_none.then_some(GuessScope::Service))
            .map(|scope| self.guard(scope, attempt.organization_seats))
    }

    pub(crate) fn guard(&self, scope: GuessScope, seats: Option<u32>) -> Counter {
        let (rate, in_flight_max) = match &scope {
            GuessScope::Organization(_) => (
                self.organization(seats),
                self.organization_in_flight_attempts_max,
            ),
            GuessScope::Service => (self.service(), self.service_in_flight_attempts_max),
        };
        Counter::Guard {
            scope,
            rate,
            in_flight_max: i64::from(in_flight_max),
        }
    }
}

/// The bits of an IPv6 address that identify the network of a site.
const IPV6_NETWORK_MASK: u128 = u128::MAX << 64;

/// Returns the first of the addresses that share one budget with `address`: an IPv4 address, also if mapped into IPv6,
/// stands alone, and an IPv6 address shares its /64.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK_MASK).into(),
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_ipv6_addresses_share_their_64_and_ipv4_stand_alone() {
        let group = |text: &str| group(text.parse().unwrap()).to_string();
        for (address, expected) in [
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(group(address), expected);
        }
    }
}
