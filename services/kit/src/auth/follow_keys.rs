//! Follows the keys of access tokens: at the start and at each pause. What cannot be used leaves the keys before
//! it in use.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::metrics::{describe_gauge, gauge};
use chrono::TimeDelta;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    Keys, KeysError, TokenKeys, Verifier,
    key_sources::{KeyPauses, Look, Origin, Source, merged},
    unknown_keys::Seeking,
};
use crate::shutdown::Shutdown;

/// How often a source that cannot be read is told of again, in minutes.
pub const STALE_TOLD_MINUTES: i64 = 60;
/// When the set at `JWKS_URL` was last read, in seconds since 1970.
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

/// The sources of a verifier's keys, and the fetches for unknown ones.
pub(super) struct Following {
    pub(super) sources: Vec<Source>,
    pub(super) pauses: KeyPauses,
    pub(super) seeking: Seeking,
    /// Held while one source's keys join the others', so that none are lost.
    joining: Mutex<()>,
}

impl Following {
    pub(super) fn new(keys: TokenKeys) -> Self {
        Self {
            sources: keys.sources,
            pauses: keys.pauses,
            seeking: Seeking::default(),
            joining: Mutex::default(),
        }
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
        // The first read may have come before anybody kept metrics.
        show_read_time(source);
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

    /// Whether it could be read and used.
    pub(super) async fn look_at(&self, source: &Source) -> bool {
        let _turn = source.turn.lock().await;
        let problem = match source.look().await {
            // Unusable still, or usable.
            Look::Same => source.last().problem.clone(),
            Look::Unusable(problem) => Some(problem),
            Look::Read(keys) => self.join(source, keys).err().map(|error| error.to_string()),
        };
        self.note(source, problem)
    }

    /// Keeps when a source was last read, and tells of one that cannot be: when that begins or changes, and
    /// again each [`STALE_TOLD_MINUTES`].
    fn note(&self, source: &Source, problem: Option<String>) -> bool {
        let now = self.clock.now();
        let mut last = source.last();
        let Some(problem) = problem else {
            last.problem = None;
            last.read_time = Some(now);
            drop(last);
            show_read_time(source);
            return true;
        };
        let known = last.problem.as_ref() == Some(&problem);
        let told_lately = last
            .told_time
            .is_some_and(|told| now - told < TimeDelta::minutes(STALE_TOLD_MINUTES));
        if !(known && told_lately) {
            last.told_time = Some(now);
            tracing::warn!(
                source = %source.origin,
                %problem,
                minutes = last.read_time.map(|read| (now - read).num_minutes()),
                "the keys of access tokens cannot be used; those before stay in use"
            );
        }
        last.problem = Some(problem);
        false
    }

    /// Takes a source's keys into use beside those of the others.
    fn join(&self, source: &Source, keys: Keys) -> Result<(), KeysError> {
        let joining = &self.following.joining;
        let _one_at_a_time = joining.lock().unwrap_or_else(PoisonError::into_inner);
        let before = source.last().keys.replace(keys);
        match merged(&self.following.sources) {
            Ok(all) => {
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
}

/// Shows how old the keys of a URL are. Files are on this machine, and their problems in its log.
fn show_read_time(source: &Source) {
    let read = source.last().read_time.filter(|_| source.is_url());
    if let Some(read) = read {
        describe_gauge!(
            READ_TIME,
            "when the set at JWKS_URL was last read, in seconds since 1970"
        );
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
        gauge!(READ_TIME).set(read.timestamp() as f64);
    }
}
