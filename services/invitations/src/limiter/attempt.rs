//! The limiter's view of an attempt: who tries what, and from where.

use std::{net::IpAddr, time::Duration};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
};
use homeroom_kit::Error;

/// The hash by which a user's attempt is recognized: a keyed hash of what was typed and claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessHash(pub(super) i64);

impl GuessHash {
    /// The hash of an attempt that is never recognized.
    pub const NONE: Self = Self(0);

    /// Returns the first 52 bits of `mac`, which Redis's scripts hold exactly; two guesses of a user do not collide.
    #[must_use]
    pub fn of(mac: [u8; 32]) -> Self {
        let first = u64::from_be_bytes(mac.first_chunk().copied().unwrap_or_default());
        Self(i64::try_from(first >> 12).unwrap_or(i64::MAX).max(1))
    }
}

/// One attempt to redeem or preview a credential.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The user who would be admitted.
    pub user: UserId,
    /// The hash by which the guess is recognized.
    pub guess: GuessHash,
    /// The address of the person's device, if the caller may forward it.
    pub address: Option<IpAddr>,
    /// The organization that the attempt names, by prefix or in the request.
    pub organization: Option<OrganizationId>,
    /// True if the typed text may also open an invitation that names no organization: it is a guess of both kinds.
    pub may_name_none: bool,
    /// That organization's seats, if known: its limit, or the seats used if it has none.
    pub organization_seats: Option<u32>,
    /// The calling service, as the subject of its token.
    pub calling_service: String,
    /// True if the platform vouches for the user.
    pub vouched: bool,
}

/// The scope of a guard: the guesses that it counts, and the short credentials that queue when it closes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuessScope {
    /// Guesses that name this organization.
    Organization(OrganizationId),
    /// Guesses that name none.
    Service,
}

/// The change made by an attempt whose charge is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It changed nothing: the person was a member already, no seat was free, or a part of the service did not answer.
    Nothing,
    /// It filed a request, which waits for approval.
    Filed,
    /// It admitted the person.
    Admitted,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The credential was usable and the person eligible: it was no guess. The effect decides whether the attempt adds
    /// to the address, and whether it counts toward the user's
    /// [`user_refunds_daily_max`](super::Budgets::user_refunds_daily_max).
    GiveBack(Effect),
    /// The attempt failed. The user and the address stay charged. The guard of its guesses counts it now; the guard of
    /// an organization counts neither repeats nor what was found.
    Keep {
        /// True if an invitation in use refused the person: whoever named it did not guess.
        found: bool,
    },
}

/// The budget by which an attempt was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The user's failures.
    User,
    /// The failures from the user's address.
    Address,
    /// All attempts of the calling service.
    CallingService,
}

/// The refusal of an attempt, which was charged nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The budget that is spent.
    pub dimension: Dimension,
    /// The time until an attempt passes, in whole seconds, rounded up; see the module's documentation.
    pub retry_after: Duration,
}

impl Refused {
    /// Returns the error for the caller: `TOO_MANY_ATTEMPTS` with `RetryInfo` and `QuotaFailure`.
    #[must_use]
    pub fn error(self) -> Error {
        let (subject, description) = match self.dimension {
            Dimension::User => ("user", "Too many failed attempts by this user."),
            Dimension::Address => ("address", "Too many failed attempts from this address."),
            Dimension::CallingService => (
                "calling-service",
                "Too many attempts by this calling service.",
            ),
        };
        let seconds = self.retry_after.as_secs();
        Error::new(
            ErrorReason::TooManyAttempts,
            format!("{description} Try again in {seconds} seconds."),
        )
        .quota(subject, description)
        .retry_after(self.retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_a_refusal_tells_when_to_come_back() {
        let retry_after = Duration::from_mins(12);
        let error = Refused {
            dimension: Dimension::User,
            retry_after,
        }
        .error();
        assert_eq!(error.reason(), ErrorReason::TooManyAttempts);
        assert_eq!(error.retry_delay(), Some(retry_after));
        assert!(
            error.message().contains("720 seconds"),
            "{}",
            error.message()
        );
    }
}
