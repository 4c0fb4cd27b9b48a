//! The redemption limiter (R10): a school behind one address gets in, a guesser does not.
//!
//! **Charge first, give back after.** Every attempt is charged before its credential is looked up. The charge is given
//! back ([`Settlement::GiveBack`]) if the credential turns out to be usable and the person eligible (admitted, queued,
//! already a member, or no seats). Any other end is a failure: it stays charged and is kept ([`Settlement::Keep`]). So
//! parallel guesses gain nothing.
//!
//! # The rule
//! | dimension | budget for failures | when spent |
//! |---|---|---|
//! | user | burst 5, 5 an hour, 20 in any 24 hours, of different guesses | refuse |
//! | address (IPv4 /32, IPv6 /64) | 30 an hour, +1 for each user's first admission of 24 hours (at most 300 an hour) | refuse users not vouched for |
//! | organization that is named | max(50, seats ÷ 5) a day | its short credentials queue 24 hours, for users not vouched for |
//! | whole service, none named | 600 an hour | likewise, all short credentials |
//! | calling service, all attempts | by configuration | refuse |
//!
//! How innocent users and guessers differ, and why the rule holds:
//! - **A user's first two failures in 24 hours never touch the address, and it refuses none before the fourth.** The
//!   user's own log is charged first, and its reply says how many failures came before this one; attempts under way are
//!   included. The third failure is charged to the address if that has room, and passes in any case: until it has
//!   ended, nobody has failed more often than is free. Only from the fourth on does the address refuse, atomically and
//!   before the attempt goes on. So a user who mistypes twice and then types right is never refused because of an
//!   address, however many arrive at once and however spent the address is: of 300 users who mistype 15% of all
//!   attempts, one fails three times in a row. And innocent users under way never spend the address; only users who
//!   failed twice do.
//! - **Guesses from one address** are at most 3 for each account in 24 hours, and beyond them 30 + 30 an hour, + 1 for
//!   each first admission, whatever the number of accounts. A user who leaves and joins again adds nothing more for 24
//!   hours: the user's own key remembers.
//! - **Attempts that change something** (admitted, filed) are given back 50 times a day for one user; then they stay
//!   charged like failures. So joining and leaving, or filing and withdrawing, in a loop spends at most 50 + 20 uses of
//!   codes a day, and needs an account for each further 70.
//! - **Guesses of one user** are at most 5 at once, then one each 12 minutes, 20 in any 24 hours.
//! - **A repeat reveals nothing new to a guesser.** It is recognized by a keyed hash of what was typed and claimed,
//!   which is stored with the user's failures of 24 hours, and costs the user nothing. So a user who presses a button
//!   until a code opens is not locked out when it does. But nobody can poll: repeats beyond a burst of 5 count against
//!   the address like failures. One user has no more repeats than an address has failures (30 at once, then one each
//!   two minutes), and those that name no organization count against the whole service. An organization's guard counts
//!   neither repeats nor refusals by an invitation in use, such as `NOT_YET_VALID`: otherwise a class that presses the
//!   button before a code opens would close it.
//! - **A guess counts wherever it may hit.** A guess that names an organization only by its first letters, and could as
//!   well be another's phrase, counts for both. And a short credential that was matched queues while the guard of its
//!   own organization or that of the whole service is closed, whatever the attempt named: otherwise a credential found
//!   under one name could be redeemed under another.
//! - **Organization and service** count *settled* failures. If attempts under way counted, a class that arrives at once
//!   would close its own organization. Instead they are counted separately, and an attempt is treated as a guess while
//!   too many are under way. So unguarded guesses are at most the budget plus that maximum, once, before the guard
//!   closes. Guards never refuse anyone, so nobody can lock a class out.
//! - A refused attempt was no guess: its other charges are taken back, except that of the calling service, which counts
//!   all attempts.
//!
//! # When to come back
//! The wait in a refusal is exact to the second: the moment at which the next attempt passes, rounded up, given the
//! settled attempts. Attempts under way are charged, but a wait assumes that they are given back: they end within
//! moments, and a wait that counted them would be minutes too long for a user who simply clicked twice. If they turn
//! out to be failures, the attempt that comes back is refused with the wait that then applies. An attempt that is not
//! settled within a minute counts as a failure. The limit that would be asked next, of the address or the calling
//! service, is looked at too, and the longest wait is reported.
//!
//! # Round trips
//! There is one before the answer for every user who has not failed twice recently: all their dimensions are one
//! pipeline. From the third failure on, a second one asks the address (with one key for each script, the address cannot
//! know whose attempt it charges, and a tentative charge would let a class under way refuse its own stragglers), and a
//! third takes back the charges of a refused attempt. A short credential that was matched, of a user who is not vouched
//! for, asks the guards that its attempt did not ask. After the answer one settles, and first admissions add to
//! addresses in another. Each script has one key, so all of it runs on a Redis Cluster.
//!
//! # Redis unreachable
//! [`fallback::GuardedLimiter`] gives each call 50 ms, stops asking after 5 errors in a row and decides in the process
//! with half the budgets (a user's burst stays whole); meanwhile all short credentials queue. Receipts of Redis that
//! cannot be given back simply age; a guard's attempts under way age in a minute. A Redis Cluster counts as unreachable
//! as a whole if one of an attempt's keys cannot be asked. `link.rs` connects anew when a server has been demoted or
//! does not answer.
//!
//! If Redis loses its data (flushed, killed, promoted too early), it is gone: each time, a user has all failures of the
//! day anew.

mod attempt_commands;
pub mod breaker;
pub mod budget;
pub mod budgeted;
pub mod fallback;
mod link;
pub mod memory;
mod recent;
pub mod redis;
pub mod settings;
mod state;
pub mod store;
mod user_log;
mod verdict;

use std::{fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use homeroom_api::{
    common::v1::ErrorReason,
    ids::{OrganizationId, UserId},
};
use homeroom_kit::Error;

pub use budget::Budgets;
use budget::{AddressGroup, Rate};
pub use user_log::Effect;

/// The hash by which a user's attempt is recognized: a keyed hash of what was typed and claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessHash(i64);

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

impl Dimension {
    /// Returns the error for the caller: `TOO_MANY_ATTEMPTS` with `RetryInfo` and `QuotaFailure`.
    #[must_use]
    pub fn refusal(self, retry_after: Duration) -> Error {
        let (subject, description) = match self {
            Self::User => ("user", "Too many failed attempts by this user."),
            Self::Address => ("address", "Too many failed attempts from this address."),
            Self::CallingService => (
                "calling-service",
                "Too many attempts by this calling service.",
            ),
        };
        let seconds = retry_after.as_secs();
        Error::new(
            ErrorReason::TooManyAttempts,
            format!("{description} Try again in {seconds} seconds."),
        )
        .quota(subject, description)
        .retry_after(retry_after)
    }
}

/// The answer to one attempt.
#[derive(Debug)]
pub enum Verdict {
    /// The attempt may go on.
    Allowed {
        /// The receipt, to settle once the attempt's end is known.
        receipt: Receipt,
        /// True if there are many guesses: a short credential leads to the queue now, a long one proceeds.
        guess_guarded: bool,
    },
    /// The attempt may not go on, and was charged nothing.
    Refused {
        /// The budget that is spent.
        dimension: Dimension,
        /// The time until an attempt passes, in whole seconds, rounded up; see the module's documentation.
        retry_after: Duration,
    },
}

/// The scope of a guard: the guesses that it counts, and the short credentials that queue when it closes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuessScope {
    /// Guesses that name this organization.
    Organization(OrganizationId),
    /// Guesses that name none.
    Service,
}

/// The charges of an attempt; settled at most once, because it cannot be copied.
#[derive(Debug)]
pub struct Receipt {
    issuer: Issuer,
    user: UserId,
    guess: GuessHash,
    /// The mark of the user's charge; 0 for a repeat, which costs the user nothing.
    user_mark: i64,
    address: Option<AddressGroup>,
    /// The mark of the address's charge, if it was charged.
    address_mark: Option<i64>,
    guesses: Vec<Guess>,
}

impl Receipt {
    /// Returns true if the user has made this guess before, and so pays nothing for it.
    #[must_use]
    pub const fn is_repeat(&self) -> bool {
        self.user_mark == 0
    }
}

/// The possible guess of an attempt: it is under way in one guard.
#[derive(Debug)]
struct Guess {
    scope: GuessScope,
    rate: Rate,
    mark: i64,
}

/// The limiter that a receipt belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    Primary,
    Fallback,
}

/// The end of an attempt.
#[derive(Debug)]
pub enum Settlement {
    /// The credential was usable and the person eligible: it was no guess.
    GiveBack {
        /// The attempt's receipt.
        receipt: Receipt,
        /// The effect of the attempt: it decides whether the attempt adds to the address, and whether it counts toward
        /// the user's [`Budgets::user_refunds_daily_max`].
        effect: Effect,
    },
    /// The attempt failed. The user and the address stay charged. The guard of its guesses counts it now; the guard of
    /// an organization counts neither repeats nor what was found.
    Keep {
        /// The attempt's receipt.
        receipt: Receipt,
        /// True if an invitation in use refused the person: whoever named it did not guess.
        found: bool,
    },
}

/// Limits attempts (R10). It never fails: an implementation falls back on stricter rules instead.
///
/// Implementations keep these promises (`tests/limiter.rs` checks them):
/// - attempts of one slice are charged in its order;
/// - settling gives back exactly what was charged, except for a user's changes beyond
///   [`Budgets::user_refunds_daily_max`];
/// - a charge that is not settled within a minute stays (user, address) or is forgotten (guards);
/// - a refusal's wait is exact: once all attempts under way are given back, an attempt after it passes, and one a
///   second earlier does not;
/// - all state expires by itself and is bounded.
#[async_trait]
pub trait Limiter: Send + Sync + fmt::Debug {
    /// Charges each attempt and returns one verdict for each, in order.
    async fn charge(&self, attempts: &[Attempt]) -> Vec<Verdict>;

    /// Returns for each scope whether its guard is closed, so that short credentials queue. It is asked once a
    /// credential was matched, whatever its attempt named. True while this is unknown.
    async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool>;

    /// Forgets the state of a user's attempts, except those under way. Returns false while the store does not answer.
    async fn clear(&self, user: &UserId) -> bool;

    /// Settles attempts whose end is known. Returns the guards that this closed, so that their owners can be notified;
    /// each closing is reported once. It runs after the caller has been answered.
    async fn settle(&self, settlements: Vec<Settlement>) -> Vec<GuessScope>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r10_a_refusal_tells_when_to_come_back() {
        let error = Dimension::User.refusal(Duration::from_mins(12));
        assert_eq!(error.reason(), ErrorReason::TooManyAttempts);
        assert_eq!(error.retry_delay(), Some(Duration::from_mins(12)));
        assert!(
            error.message().contains("720 seconds"),
            "{}",
            error.message()
        );
    }
}
