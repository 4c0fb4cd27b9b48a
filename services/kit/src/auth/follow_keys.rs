//! Follows the keys of access tokens: at the start, at each pause, and when a token names a key that nobody
//! here knows. What cannot be used leaves the keys before it in use.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Keys, KeysError, TokenKeys, Verifier,
    key_sources::{KeyPauses, Look, Origin, Source, merged},
};
use crate::shutdown::Shutdown;

/// How long after one fetch for an unknown key the next may follow at the earliest, in seconds.
pub const REFETCH_SECONDS_MIN: i64 = 60;
/// Calls that wait for such a fetch at most; further ones are refused at once.
pub const UNKNOWN_KEY_CALLERS_MAX: usize = 64;

/// The first keys could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "JWKS_URL: {url} has given no usable keys for {} seconds: {problem}; correct the address, or name a file in JWKS_FILE instead",
    tried.as_secs()
)]
pub struct TokenKeysUnavailable {
    url: String,
    tried: Duration,
    problem: String,
}

/// The sources of a verifier's keys, and the fetches for unknown ones.
pub(super) struct Following {
    pub(super) sources: Vec<Source>,
    pauses: KeyPauses,
    refetch: Mutex<Refetch>,
    waiting: Semaphore,
    /// Held while one source's keys join the others', so that none are lost.
    joining: Mutex<()>,
}

#[derive(Default)]
struct Refetch {
    /// When the last one began.
    begun: Option<DateTime<Utc>>,
    /// Turns true when it is over.
    over: Option<watch::Receiver<bool>>,
}

impl Refetch {
    /// The fetch under way, if there is one.
    fn under_way(&self) -> Option<watch::Receiver<bool>> {
        let over = self.over.as_ref()?;
        // A fetch that failed without a word is no longer under way either.
        (!*over.borrow() && over.has_changed().is_ok()).then(|| over.clone())
    }

    fn may_begin(&self, now: DateTime<Utc>) -> bool {
        self.begun.is_none_or(|begun| {
            let since = now - begun;
            // A clock that was set back must not stop fetches until it has caught up.
            since >= TimeDelta::seconds(REFETCH_SECONDS_MIN) || since < TimeDelta::zero()
        })
    }
}

impl Following {
    pub(super) fn new(keys: TokenKeys) -> Self {
        Self {
            sources: keys.sources,
            pauses: keys.pauses,
            refetch: Mutex::default(),
            waiting: Semaphore::new(UNKNOWN_KEY_CALLERS_MAX),
            joining: Mutex::default(),
        }
    }

    /// Calls that wait for a fetch now.
    #[cfg(test)]
    pub(super) fn callers_waiting(&self) -> usize {
        UNKNOWN_KEY_CALLERS_MAX - self.waiting.available_permits()
    }
}

impl Verifier {
    /// Fetches the first keys of a URL, and tries again for [`KeyPauses::start_max`]; does nothing where keys
    /// come from elsewhere or have been fetched.
    pub async fn fetch_first_keys(&self) -> Result<(), TokenKeysUnavailable> {
        let KeyPauses {
            start_max,
            start_retry,
            ..
        } = self.following.pauses;
        let begun = Instant::now();
        for source in &self.following.sources {
            while source.is_url() && source.last().keys.is_none() {
                self.look_at(source).await;
                if source.last().keys.is_some() {
                    break;
                }
                if begun.elapsed() + start_retry >= start_max {
                    let problem = source.last().problem.clone().unwrap_or_default();
                    return Err(TokenKeysUnavailable {
                        url: source.origin.to_string(),
                        tried: start_max,
                        problem,
                    });
                }
                sleep(start_retry).await;
            }
        }
        Ok(())
    }

    /// Looks at every file and URL now.
    pub async fn look_again(&self) {
        let sources = self.following.sources.iter();
        join_all(sources.map(|source| self.look_at(source))).await;
    }

    /// Looks at files and URLs after each pause until the shutdown.
    pub async fn follow_keys(self: Arc<Self>, shutdown: Shutdown) {
        let sources = self.following.sources.iter();
        let following = join_all(sources.map(|source| self.follow(source)));
        tokio::select! {
            () = shutdown.wait() => {}
            _ = following => {}
        }
    }

    async fn follow(&self, source: &Source) {
        let pauses = self.following.pauses;
        loop {
            sleep(match source.origin {
                Origin::Fixed => return,
                Origin::File(_) => pauses.file_look,
                Origin::Url(_) if source.last().problem.is_some() => pauses.url_retry,
                Origin::Url(_) => pauses.url_refresh,
            })
            .await;
            self.look_at(source).await;
        }
    }

    async fn look_at(&self, source: &Source) {
        let _turn = source.turn.lock().await;
        let problem = match source.look().await {
            Look::Same => return,
            Look::Unusable(problem) => problem,
            Look::Read(keys) => match self.join(source, keys) {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
        };
        let told = source.last().problem.replace(problem.clone());
        if told.as_ref() != Some(&problem) {
            tracing::warn!(
                source = %source.origin,
                %problem,
                "the keys of access tokens cannot be used; those before stay in use"
            );
        }
    }

    /// Takes a source's keys into use beside those of the others.
    fn join(&self, source: &Source, keys: Keys) -> Result<(), KeysError> {
        let joining = &self.following.joining;
        let _one_at_a_time = joining.lock().unwrap_or_else(PoisonError::into_inner);
        let before = source.last().keys.replace(keys);
        match merged(&self.following.sources) {
            Ok(all) => {
                source.last().problem = None;
                tracing::info!(source = %source.origin, keys = ?all, "the keys of access tokens were read");
                self.replace_keys(all);
                Ok(())
            }
            Err(error) => {
                let mut last = source.last();
                last.keys = before;
                // Another source may change so that they fit together.
                last.seen = None;
                Err(error)
            }
        }
    }

    /// Whether a token with an unknown key is worth another look: a fetch for it has ended in time. One
    /// fetch serves every call that waits, and none begins within [`REFETCH_SECONDS_MIN`] of the one before.
    pub(super) async fn fetched_for_unknown_key(self: &Arc<Self>) -> bool {
        let following = &self.following;
        if !following.sources.iter().any(Source::is_url) {
            return false;
        }
        let Ok(_waits) = following.waiting.try_acquire() else {
            return false;
        };
        let Some(mut over) = self.fetch_for_unknown_key() else {
            return false;
        };
        let waited = timeout(
            following.pauses.unknown_key_wait,
            over.wait_for(|over| *over),
        )
        .await;
        waited.is_ok_and(|over| over.is_ok())
    }

    /// The fetch under way, or a new one; None if it is too early for one.
    fn fetch_for_unknown_key(self: &Arc<Self>) -> Option<watch::Receiver<bool>> {
        let mut refetch = self
            .following
            .refetch
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = refetch.under_way() {
            return Some(over);
        }
        let now = self.clock.now();
        if !refetch.may_begin(now) {
            return None;
        }
        let (ends, over) = watch::channel(false);
        *refetch = Refetch {
            begun: Some(now),
            over: Some(over.clone()),
        };
        let verifier = Arc::clone(self);
        // It ends for everyone, also when the call that began it has gone; its time is bounded.
        tokio::spawn(async move {
            let urls = verifier
                .following
                .sources
                .iter()
                .filter(|source| source.is_url());
            join_all(urls.map(|source| verifier.look_at(source))).await;
            ends.send_replace(true);
        });
        Some(over)
    }
}
