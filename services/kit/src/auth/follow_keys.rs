//! Keeps the keys of access tokens up to date: they are read at the start, at intervals, and when a token names an
//! unknown key. If a set cannot be used, the earlier keys stay in use.

use std::{sync::Arc, time::Duration};

use ::metrics::{describe_gauge, gauge};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use homeroom_api::common::v1::ErrorReason;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    Verifier,
    key_sources::{Following, KeyPauses, Origin, Source},
};
use crate::{shutdown::Shutdown, status::Error};

/// The delay after which a call whose token names an unknown key may be retried, in seconds.
pub const UNKNOWN_KEY_RETRY_SECONDS: u64 = 10;
/// The metric of when the set at `JWKS_URL` was last read, in seconds since 1970.
const READ_TIME: &str = "homeroom_token_keys_read_timestamp_seconds";

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

impl Verifier {
    /// Fetches the first keys of a URL, with retries for [`KeyPauses::start_max`]; does nothing if keys come from
    /// elsewhere.
    pub async fn fetch_first_keys(&self) -> Result<(), TokenKeysUnavailable> {
        let KeyPauses {
            start_max,
            start_retry,
            ..
        } = self.following.pauses;
        let begun = Instant::now();
        let sources = self.following.sources.iter();
        for source in sources.filter(|source| source.is_url()) {
            while let Err(problem) = self.look_at(source).await {
                if begun.elapsed() + start_retry >= start_max {
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

    /// Reads files and URLs at their intervals until the shutdown.
    pub async fn follow_keys(self: Arc<Self>, shutdown: Shutdown) {
        let sources = self.following.sources.iter();
        let following = join_all(sources.map(|source| self.follow(source)));
        shutdown.unless_begun(following).await;
    }

    async fn follow(&self, source: &Source) {
        let Following { pauses, wanted, .. } = &self.following;
        let mut pause = match source.origin {
            Origin::Fixed => return,
            Origin::File(_) => pauses.file_look,
            Origin::Url(_) => pauses.url_refresh,
        };
        let mut soonest = Instant::now();
        loop {
            if source.is_url() {
                show_read_time(source.last.lock().await.read_time);
            }
            let sought = async {
                sleep_until(soonest).await;
                wanted.notified().await;
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = sought, if source.is_url() => soonest = Instant::now() + pauses.url_retry,
            }
            let looked = self.look_at(source).await;
            if source.is_url() {
                pause = looked.map_or(pauses.url_retry, |()| pauses.url_refresh);
            }
        }
    }

    /// Reads a source, and puts new keys into use beside those of the other sources.
    pub(super) async fn look_at(&self, source: &Source) -> Result<(), String> {
        let mut last = source.last.lock().await;
        let begun = Instant::now();
        let looked = source.read().await.and_then(|text| {
            if last.text.as_ref() != Some(&text) {
                source.take(&text).map_err(|error| error.to_string())?;
                let keys = self.following.keys();
                tracing::info!(source = %source.origin, ?keys, "the keys of access tokens were read");
                self.replace_keys(keys);
                last.text = Some(text);
            }
            Ok(())
        });
        match &looked {
            Ok(()) => {
                last.problem = None;
                last.read_time = Some(self.clock.now());
                if source.is_url() {
                    self.following.read.send_replace(Some(begun));
                }
            }
            // The same problem is logged once, and not at each read.
            Err(problem) if last.problem.as_ref() == Some(problem) => {}
            Err(problem) => {
                tracing::warn!(
                    source = %source.origin,
                    %problem,
                    read_time = ?last.read_time,
                    "the keys of access tokens cannot be used; those before stay in use"
                );
                last.problem = Some(problem.clone());
            }
        }
        looked
    }

    /// Has the keys read again for a token of this age that names an unknown key, at most once in
    /// [`KeyPauses::url_retry`] for all callers. Returns true if they have been read since the token was made; the
    /// caller looks for the key again in either case. Works only while [`Verifier::follow_keys`] runs.
    pub(crate) async fn keys_read_since(&self, age: Duration) -> bool {
        let following = &self.following;
        let urls = following.sources.iter().any(Source::is_url);
        // If the clock does not reach back that far, the token is older than the keys.
        let Some(made) = Instant::now().checked_sub(age).filter(|_| urls) else {
            return true;
        };
        let mut read = following.read.subscribe();
        let newer = |read: &Option<Instant>| read.is_some_and(|read| read > made);
        if newer(&read.borrow()) {
            return true;
        }
        following.wanted.notify_one();
        let Ok(_waits) = following.waiting.try_acquire() else {
            return false;
        };
        let wait = following.pauses.unknown_key_wait;
        let found = timeout(wait, read.wait_for(newer)).await;
        found.is_ok_and(|found| found.is_ok())
    }
}

/// Reports the age of the keys of a URL as a metric. Files are on this machine, and their problems are logged.
fn show_read_time(read_time: Option<DateTime<Utc>>) {
    describe_gauge!(
        READ_TIME,
        "when the set at JWKS_URL was last read, in seconds since 1970"
    );
    if let Some(read) = read_time {
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
        gauge!(READ_TIME).set(read.timestamp() as f64);
    }
}

/// Returns the refusal of a call whose key may become known later.
pub(crate) fn key_not_known_yet() -> Error {
    Error::unavailable(
        ErrorReason::Overloaded,
        "Retry after the delay given: the key that this access token names (`kid`) is not known yet, and the \
         issuer's keys are asked for again.",
    )
    .retry_after(Duration::from_secs(UNKNOWN_KEY_RETRY_SECONDS))
}
