//! What becomes of a call whose token names a key that nobody here knows: the URL of the keys is asked again,
//! at most once a minute for all callers, and who cannot be told by that comes back later.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use homeroom_api::common::v1::ErrorReason;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{TOKEN_BYTES_MAX, Verifier, key_sources::Source};
use crate::status::Error;

/// How long after one fetch for an unknown key the next may follow at the earliest, in seconds.
pub const REFETCH_SECONDS_MIN: i64 = 60;
/// Calls that wait for such a fetch at most; further ones are told to come back.
pub const UNKNOWN_KEY_CALLERS_MAX: usize = 64;
/// When a call may come back that could not wait for the fetch under way to end, in seconds.
pub const FETCH_RETRY_SECONDS: u64 = 1;
/// Keys that are remembered as taken out of their set, at most; the oldest are forgotten first.
pub const WITHDRAWN_KEYS_MAX: usize = 1_000;

/// Whether an unknown key may still turn out to be one of the issuer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// No: the keys have been read since the call came, or are nowhere to be asked for.
    InVain,
    /// Nobody can say yet.
    Later(Later),
}

/// When an unknown key may have become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// Any moment: the keys are being read, and the call could not wait for that.
    BeingRead,
    /// Once this has passed, and not before: only then may the keys be asked for again.
    NextFetch(Duration),
}

impl Later {
    /// The refusal of a call whose key may yet become known.
    pub(super) fn refusal(self) -> Error {
        let (delay, why) = match self {
            Self::BeingRead => (
                Duration::from_secs(FETCH_RETRY_SECONDS),
                "are being read now",
            ),
            Self::NextFetch(delay) => (delay, "are asked for again only then"),
        };
        let seconds = delay.as_secs();
        Error::unavailable(
            ErrorReason::Overloaded,
            format!(
                "Retry in {seconds} s: the key that this access token names (`kid`) is not known yet, and the \
                 issuer's keys {why}."
            ),
        )
        .retry_after(delay)
    }
}

/// The fetches for unknown keys.
pub(super) struct Seeking {
    fetch: Mutex<Fetch>,
    waiting: Semaphore,
}

impl Default for Seeking {
    fn default() -> Self {
        Self {
            fetch: Mutex::default(),
            waiting: Semaphore::new(UNKNOWN_KEY_CALLERS_MAX),
        }
    }
}

impl Seeking {
    /// Calls that wait for a fetch now.
    #[cfg(test)]
    pub(super) fn callers_waiting(&self) -> usize {
        UNKNOWN_KEY_CALLERS_MAX - self.waiting.available_permits()
    }

    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.fetch().under_way().is_some()
    }

    fn fetch(&self) -> std::sync::MutexGuard<'_, Fetch> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how a fetch ended: whether the keys were read. None: it is under way.
type Ended = watch::Receiver<Option<bool>>;

/// The last fetch.
#[derive(Default)]
struct Fetch {
    begun: Option<DateTime<Utc>>,
    ended: Option<Ended>,
}

impl Fetch {
    /// The fetch under way, if there is one.
    fn under_way(&self) -> Option<Ended> {
        let ended = self.ended.as_ref()?;
        // A fetch that failed without a word is no longer under way either.
        (ended.borrow().is_none() && ended.has_changed().is_ok()).then(|| ended.clone())
    }

    /// How long until the next one may begin, in whole seconds; None: it may now.
    fn too_early_by(&self, now: DateTime<Utc>) -> Option<Duration> {
        let since = now - self.begun?;
        let left = TimeDelta::seconds(REFETCH_SECONDS_MIN) - since;
        // A clock that was set back must not stop fetches until it has caught up.
        let early = since >= TimeDelta::zero() && left > TimeDelta::zero();
        early.then(|| {
            let whole = left.num_seconds() + i64::from(left.subsec_nanos() > 0);
            Duration::from_secs(whole.unsigned_abs())
        })
    }
}

/// A place for a call that needs the keys read again.
enum Turn {
    /// It began the fetch: what that reads is newer than its token.
    Began(Ended),
    /// It came later: the answer may have been on its way when the token's key was published.
    Joined(Ended),
    TooEarly(Duration),
}

/// The `kid`s of keys that were taken out of their set: who shows one needs a new token, not patience.
#[derive(Debug, Default)]
pub(super) struct Withdrawn(VecDeque<String>);

impl Withdrawn {
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|other| other == id)
    }

    /// Remembers the keys of `before` that `now` has no more.
    pub(super) fn note(&mut self, before: &super::Keys, now: &super::Keys) {
        self.0.retain(|id| !now.has_id(id));
        // No token can name a longer one.
        let gone = before.ids().filter(|id| id.len() <= TOKEN_BYTES_MAX);
        for id in gone.filter(|id| !now.has_id(id)) {
            self.0.push_back(id.to_owned());
        }
        let over = self.0.len().saturating_sub(WITHDRAWN_KEYS_MAX);
        self.0.drain(..over);
    }
}

impl Verifier {
    /// Has the keys read again for a token that names an unknown one. One fetch serves every call that
    /// waits, and none begins within [`REFETCH_SECONDS_MIN`] of the one before. Look again afterwards,
    /// whatever comes of it: keys may have come meanwhile.
    pub(super) async fn seek_unknown_key(self: &Arc<Self>) -> Sought {
        let following = &self.following;
        if !following.sources.iter().any(Source::is_url) {
            return Sought::InVain;
        }
        let (mut ended, began) = match self.turn() {
            Turn::TooEarly(delay) => return Sought::Later(Later::NextFetch(delay)),
            Turn::Began(ended) => (ended, true),
            Turn::Joined(ended) => (ended, false),
        };
        let soon = Sought::Later(Later::BeingRead);
        let Ok(_waits) = following.seeking.waiting.try_acquire() else {
            return soon;
        };
        let wait = following.pauses.unknown_key_wait;
        let read = match timeout(wait, ended.wait_for(Option::is_some)).await {
            Ok(Ok(read)) => *read == Some(true),
            Ok(Err(_)) => false,
            Err(_) => return soon,
        };
        if began && read {
            return Sought::InVain;
        }
        let early = following.seeking.fetch().too_early_by(self.clock.now());
        early.map_or(soon, |delay| Sought::Later(Later::NextFetch(delay)))
    }

    /// Has the keys read again for a token whose key was taken out, in case it is back. The call does not
    /// wait for that, and holds no place of those who do.
    pub(super) fn fetch_for_unknown_key(self: &Arc<Self>) {
        if self.following.sources.iter().any(Source::is_url) {
            drop(self.turn());
        }
    }

    fn turn(self: &Arc<Self>) -> Turn {
        let mut fetch = self.following.seeking.fetch();
        if let Some(ended) = fetch.under_way() {
            return Turn::Joined(ended);
        }
        let now = self.clock.now();
        if let Some(delay) = fetch.too_early_by(now) {
            return Turn::TooEarly(delay);
        }
        let (ends, ended) = watch::channel(None);
        *fetch = Fetch {
            begun: Some(now),
            ended: Some(ended.clone()),
        };
        let verifier = Arc::clone(self);
        // It ends for everyone, also when the call that began it has gone; its time is bounded.
        tokio::spawn(async move {
            let sources = verifier.following.sources.iter();
            let urls = sources.filter(|source| source.is_url());
            let read = join_all(urls.map(|source| verifier.look_at(source))).await;
            ends.send_replace(Some(!read.contains(&false)));
        });
        Turn::Began(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{Keys, Signer},
        random::SeededRandomness,
    };

    #[test]
    fn so_many_withdrawn_keys_are_remembered_and_no_more() {
        let keys = |name: &str| {
            let signer = Signer::generate(&SeededRandomness::new(1)).unwrap();
            let mut set: serde_json::Value = serde_json::from_str(&signer.jwks(None)).unwrap();
            set["keys"][0]["kid"] = name.into();
            Keys::from_jwks(&set.to_string()).unwrap()
        };
        let mut withdrawn = Withdrawn::default();
        let mut change = |from: &str, to: &str| withdrawn.note(&keys(from), &keys(to));
        for number in 0..WITHDRAWN_KEYS_MAX {
            change(&number.to_string(), &(number + 1).to_string());
        }
        // One that comes back is withdrawn no more.
        change("1000", "7");
        assert!(withdrawn.has("0") && withdrawn.has("1000") && !withdrawn.has("7"));
        assert_eq!(withdrawn.0.len(), WITHDRAWN_KEYS_MAX);
        withdrawn.note(&keys("7"), &keys("1001"));
        assert!(!withdrawn.has("0") && withdrawn.has("7") && withdrawn.has("1"));
        assert_eq!(withdrawn.0.len(), WITHDRAWN_KEYS_MAX);
    }
}
