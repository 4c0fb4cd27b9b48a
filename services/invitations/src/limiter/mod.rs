//! The redemption limiter (R10, 03): a school behind one address gets in, a guesser does not.
//!
//! **Charge first, give back after.** Every attempt is charged before its credential is looked at,
//! and given back ([`Settlement::GiveBack`]) when the credential turned out living and the person
//! eligible (admitted, queued, already in, no seats). Any other end is a failure: it stays charged
//! and is kept ([`Settlement::Keep`]). So parallel guesses buy nothing.
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
//! What makes innocents and guessers differ, and why it holds:
//! - **A user's first two failures in 24 hours never touch the address, and it refuses none before
//!   the fourth.** The user's own log is charged first, and its reply says how many failures came
//!   before this one; attempts under way are among them. The third is charged to the address if that
//!   has room, and passes in any case: until it has ended, nobody has failed more often than is free.
//!   Only from the fourth on does the address refuse, atomically and before the attempt goes on. Who
//!   mistypes twice and then types right is therefore never refused because of an address, however
//!   many arrive at once and however spent it is: of 300 who mistype 15% of all attempts, one fails
//!   three times in a row. And the address is never spent by innocents under way, only by users who
//!   failed twice.
//! - **Guesses from one address** are at most 3 for each account in 24 hours, and beyond them
//!   30 + 30 an hour, + 1 for each first admission, whatever the number of accounts. A user who
//!   leaves and joins again adds nothing more for 24 hours: the user's own key remembers.
//! - **Attempts that change something** (let in, filed) are given back 50 times a day for one user;
//!   then they stay charged as failures do. So joining and leaving, or filing and withdrawing, in a
//!   loop spends at most 50 + 20 uses of codes a day, and an account for each further 70.
//! - **Guesses of one user** are at most 5 at once, then one each 12 minutes, 20 in any 24 hours.
//! - **A repeat tells a guesser nothing new**: it is known by a keyed hash of what was typed and claimed, which the user's
//!   failures of 24 hours bear, and costs the user nothing. So who presses a button until a code opens is not locked out
//!   when it does. But nobody polls: repeats beyond a burst of 5 count against the address as failures do, one user has no
//!   more of them than an address has failures (30 at once, then one each two minutes), and those that name no
//!   organization count against the whole service. An organization's guard counts guesses, and no repeats: a class that
//!   presses the button would close it.
//! - **A guess counts where it may hit.** What names an organization by its first letters alone, and
//!   could as well be another's phrase, counts for both. And a short credential that was found queues
//!   while the guard of its own organization or that of the whole service stands closed, whatever the
//!   attempt named: else what is found under one name would be redeemed under another.
//! - **Organization and service** count *settled* failures. If attempts under way counted, a class
//!   that arrives at once would close its own organization. Instead they are counted apart, and an
//!   attempt is treated as a guess while too many are under way. So unguarded guesses are at most
//!   the budget plus that maximum, once, before the guard closes; they never refuse anyone, so
//!   nobody can lock a class out.
//! - A refused attempt was no guess: what it was charged elsewhere is taken back, but for the
//!   calling service, which counts all attempts.
//!
//! # When to come back
//! The wait that a refusal tells is exact to the second: the moment at which the next attempt passes,
//! rounded up, given what is settled. Attempts under way are charged, but a wait takes them as given
//! back: they end within moments, and a wait that counted them would be minutes too long for who
//! simply clicked twice. Should they turn out failures, the attempt that comes back is refused with
//! the wait that then holds. What nobody settled within a minute counts as a failure. What would
//! be asked next, the address or the calling service, is looked at too, and the longest wait is told.
//!
//! # Round trips
//! One before the answer for every user who has not failed twice of late: all their dimensions are
//! one pipeline. From the third failure on a second one asks the address (03 speaks of one; with
//! one key a script the address cannot know whose attempt it charges, and a tentative charge would
//! let a class under way refuse its own stragglers), and a third takes back what a refused attempt
//! was charged. A short credential that was found, of a user who is not vouched for, asks the guards
//! that its attempt did not. After the answer one settles, and first admissions add to addresses in another. Each
//! script has one key, so all of it runs on a Redis Cluster.
//!
//! # Redis away
//! [`fallback::GuardedLimiter`] gives each call 50 ms, stops asking after 5 errors in a row and
//! decides in the process with half the budgets (a user's burst is whole); all short credentials queue meanwhile. Receipts
//! of Redis that cannot be given back then simply age; a guard's attempts under way age in a minute.
//! A Redis Cluster is away as a whole where one of an attempt's keys cannot be asked. `link.rs` connects
//! anew when a server has been demoted or does not answer.
//!
//! What Redis forgets (flushed, killed, promoted too early) nobody remembers: each time, a user has all
//! failures of the day anew.

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

/// What an attempt is known again by, of one user: a keyed hash of what was typed and claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessHash(i64);

impl GuessHash {
    /// That of an attempt like no other: it is never known again.
    pub const NONE: Self = Self(0);

    /// The first 52 bits of `mac`, which Redis's scripts hold exactly; no two guesses of a user meet.
    #[must_use]
    pub fn of(mac: [u8; 32]) -> Self {
        let first = u64::from_be_bytes(mac.first_chunk().copied().unwrap_or_default());
        Self(i64::try_from(first >> 12).unwrap_or(i64::MAX).max(1))
    }
}

/// One attempt to redeem or preview a credential.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who would be admitted.
    pub user: UserId,
    /// What it is known again by.
    pub guess: GuessHash,
    /// The address of the person's device, when the caller may forward it.
    pub address: Option<IpAddr>,
    /// The organization that the attempt names, by prefix or in the request.
    pub organization: Option<OrganizationId>,
    /// What was typed may also open what names no organization: it is a guess of both kinds.
    pub may_name_none: bool,
    /// That organization's seats, if known: its limit, or without one the seats used.
    pub organization_seats: Option<u32>,
    /// The service that calls, by the subject of its token.
    pub calling_service: String,
    /// The platform vouches for the user.
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
    /// The error for the caller: `TOO_MANY_ATTEMPTS` with `RetryInfo` and `QuotaFailure` (02).
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
    /// It may go on.
    Allowed {
        /// To be settled once the attempt's end is known.
        receipt: Receipt,
        /// Guesses abound: a short credential leads to the queue now, a long one proceeds.
        guess_guarded: bool,
    },
    /// It may not, and nothing was spent on it.
    Refused {
        /// The budget that is spent.
        dimension: Dimension,
        /// How long until an attempt passes, in whole seconds, rounded up; see the module's documentation.
        retry_after: Duration,
    },
}

/// Which guesses a guard counts, and so whose short credentials queue when it closes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GuessScope {
    /// Guesses that name this organization.
    Organization(OrganizationId),
    /// Guesses that name none.
    Service,
}

/// What an attempt was charged; settled at most once, because it cannot be copied.
#[derive(Debug)]
pub struct Receipt {
    issuer: Issuer,
    user: UserId,
    guess: GuessHash,
    /// 0: it was a repeat, and costs the user nothing.
    user_mark: i64,
    address: Option<AddressGroup>,
    /// The address's charge, when it was charged.
    address_mark: Option<i64>,
    guesses: Vec<Guess>,
}

impl Receipt {
    /// Whether the user has made this guess before, and so pays nothing for it.
    #[must_use]
    pub const fn is_repeat(&self) -> bool {
        self.user_mark == 0
    }
}

/// What an attempt counts as, should it fail: under way in one guard.
#[derive(Debug)]
struct Guess {
    scope: GuessScope,
    rate: Rate,
    mark: i64,
}

/// Which limiter a receipt belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    Primary,
    Fallback,
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Settlement {
    /// The credential was living and the person eligible: it was no guess.
    GiveBack {
        /// The attempt's receipt.
        receipt: Receipt,
        /// What the attempt has changed: whether it adds to the address, and whether it counts among
        /// the user's [`Budgets::user_refunds_daily_max`].
        effect: Effect,
    },
    /// A failure. The user and the address stay charged, as settled; the guard of its guesses counts it now, that of an
    /// organization unless it is a repeat.
    Keep {
        /// The attempt's receipt.
        receipt: Receipt,
    },
}

/// Limits attempts (R10). Never fails: an implementation falls back on stricter rules instead.
///
/// Implementations keep these promises (`tests/limiter.rs` holds each to them):
/// - attempts of one slice are charged in its order;
/// - settling gives back exactly what was charged, but for a user's changes beyond
///   [`Budgets::user_refunds_daily_max`];
/// - what is not settled within a minute stays charged (user, address) or is forgotten (guards);
/// - a refusal's wait is exact: once all under way is given back, an attempt after it passes, and one
///   a second earlier does not;
/// - all state expires by itself and is bounded.
#[async_trait]
pub trait Limiter: Send + Sync + fmt::Debug {
    /// Charges each attempt; one verdict each, in order.
    async fn charge(&self, attempts: &[Attempt]) -> Vec<Verdict>;

    /// Whether the guard of each of these scopes stands closed, so that short credentials queue: asked
    /// once a credential was found, whatever its attempt named. True while nobody knows.
    async fn guarded(&self, scopes: &[GuessScope]) -> Vec<bool>;

    /// Forgets what is known of a user's attempts, but for those under way; false while the store does not answer.
    async fn clear(&self, user: &UserId) -> bool;

    /// Settles attempts whose end is known. Answers the guards that this closed, so that their
    /// owners can be told; each closing is reported once. Runs after the caller has been answered.
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
